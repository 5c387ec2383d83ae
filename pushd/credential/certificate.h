/*
 * An APNs client certificate with its key, read out of a .p12 or PEM file and examined: whose it
 * is, for which topics and environments, and how long. Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_CERTIFICATE_H
#define OG_PUSHD_CREDENTIAL_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pushd/credential/material.h"

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

/* What stands behind an app's topic in that of its calls. */
#define CERTIFICATE_CALLS ".voip"

/* True if pushes for the app TOPIC, or its calls, may be sent with it. */
bool certificate_serves(const struct certificate *certificate, const char *topic);

/* Certificates as a form of credential: PEM, or a .p12 (DER). */
extern const struct credential_form certificate_form;

/* False if MATERIAL is a certificate that isn't for the calls of the app TOPIC. */
bool certificate_allows_calls(const struct material *material, const char *topic);

#endif
