/*
 * What a credential is made of, read and examined: a signing key (.p8), a client certificate (.p12
 * or PEM) or a service account (JSON). Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_MATERIAL_H
#define OG_PUSHD_CREDENTIAL_MATERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pushd/conf.h"
#include "pushd/credential/certificate.h"
#include "pushd/credential/jwt.h"
#include "pushd/credential/service_account.h"

enum material_form { MATERIAL_KEY, MATERIAL_CERTIFICATE, MATERIAL_ACCOUNT };

/* "key", "certificate", "service-account" */
extern const char *const material_forms[];

#define MATERIAL_FINGERPRINT_SIZE CERTIFICATE_FINGERPRINT_SIZE

struct material {
	unsigned users;
	enum material_form form;
	char fingerprint[MATERIAL_FINGERPRINT_SIZE]; /* names it; tells nothing of the secret */
	struct jwt_key *key;                         /* MATERIAL_KEY */
	char *key_id, *team_id;
	struct certificate certificate;
	struct service_account account;
};

/* Where it is read from; all borrowed. */
struct material_source {
	const char *bytes; /* NUL behind them */
	size_t len;
	const char *password; /* of a certificate; NULL: none */
	const char *key_id;   /* of a key; NULL: as the provider's configuration says */
	const char *team_id;
};

/*
 * Reads SOURCE for PROVIDER and checks all that doesn't change with time: that it parses, its key
 * matches and has the right curve, its topic fits. NULL with *WHY (heap, the caller frees it),
 * which goes on after the name of what was read: "has no private key".
 */
struct material *material_read(const struct conf_provider *provider,
                               const struct material_source *source, char **why);

/* One user more, one user less; the last one frees it. NULL is fine. */
struct material *material_hold(struct material *material);
void material_release(struct material *material);

/* NULL when it is valid at NOW_MS since 1970; else why not, as above: "expired on …". */
char *material_judge_dates(const struct material *material, int64_t now_ms);

bool material_is_valid(const struct material *material, int64_t now_ms);

/* When it expires, in milliseconds since 1970; 0: never. */
int64_t material_expires_ms(const struct material *material);

/* MATERIAL, which was read from SOURCE, as a text to be kept: a secret on the heap. */
char *material_write(const struct material *material, const struct material_source *source);

/* What material_write() has written, read and checked as material_read() does. */
struct material *material_restore(const struct conf_provider *provider, const char *text,
                                  char **why);

/* MS since 1970 as a date, "2027-01-31"; heap. */
char *material_date(int64_t ms);

#endif
