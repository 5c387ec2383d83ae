/* The files that a provider's configuration names as its credential, tried and read. */
#ifndef OG_PUSHD_CREDENTIAL_CREDENTIAL_FILE_H
#define OG_PUSHD_CREDENTIAL_CREDENTIAL_FILE_H

#include <stdbool.h>

#include "pushd/conf.h"
#include "pushd/credential/material.h"

/*
 * What PROVIDER's files hold, or NULL if it names none or they are at fault. *WHY (heap, the caller
 * frees it): what is wrong; with a material that it isn't valid now; NULL: nothing is.
 */
struct material *credential_file_read(const struct conf_provider *provider, char **why);

/*
 * Tries what PROVIDER names without using it: 0, or -1 with *WHY (heap, the caller frees it) when
 * there is no sense in serving. That a certificate has expired is no such reason, since the other
 * providers would stop with it; and where one is SETTABLE its files may be missing or at fault,
 * since a good one may be in Redis.
 */
int credential_file_check(const struct conf_provider *provider, bool settable, char **why);

/* The same for an operator who asks whether all is well: whatever is wrong with the files. */
int credential_file_check_all(const struct conf_provider *provider, char **why);

#endif
