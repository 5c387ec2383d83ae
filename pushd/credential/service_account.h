/* A Google service account's key file (JSON), read and checked; a form of credential. Pure. */
#ifndef OG_PUSHD_CREDENTIAL_SERVICE_ACCOUNT_H
#define OG_PUSHD_CREDENTIAL_SERVICE_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "pushd/credential/jwt.h"
#include "pushd/credential/material.h"

struct service_account {
	char *client_email;
	char *private_key_id;
	char *token_uri;
	char *project_id; /* NULL when the file names none */
	struct jwt_key *key;
};

/* Fills ACCOUNT from TEXT. Returns 0, or -1 with *WHY (static text) and nothing to release. */
int service_account_read(struct service_account *account, const char *text, size_t len,
                         const char **why);

void service_account_release(struct service_account *account);

/*
 * The form that is posted to the token endpoint at NOW_S, seconds since the epoch; heap, a secret.
 */
char *service_account_grant(const struct service_account *account, int64_t now_s);

extern const struct credential_form service_account_form;

#endif
