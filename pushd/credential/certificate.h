/*
 * An APNs client certificate with its key, read out of a .p12 or PEM file and examined: whose it
 * is, for which topics and environments, and how long. Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_CERTIFICATE_H
#define OG_PUSHD_CREDENTIAL_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_FINGERPRINT_SIZE 65 /* 64 hex digits and NUL */

struct certificate {
	char *chain;   /* PEM, the key's own first */
	char *key;     /* PEM, without a passphrase: a secret */
	char *subject; /* RFC 2253, for people */
	char *topic;   /* UID of the subject; NULL: none */
	char **topics; /* of an extension for several, ended by NULL; NULL: it has none */
	bool sandbox, production; /* what Apple's extensions say; both false: nothing */
	int64_t starts_ms, expires_ms;
	char fingerprint[CERTIFICATE_FINGERPRINT_SIZE]; /* SHA-256 */
};

/*
 * Fills CERTIFICATE from LEN bytes, which PASSWORD (NULL: none) opens. Returns 0, or -1 with *WHY
 * (static text) and nothing to release.
 */
int certificate_read(struct certificate *certificate, const char *bytes, size_t len,
                     const char *password, const char **why);

void certificate_release(struct certificate *certificate);

/* True if pushes for the app TOPIC, or its calls (TOPIC.voip), may be sent with it. */
bool certificate_serves(const struct certificate *certificate, const char *topic);

#endif
