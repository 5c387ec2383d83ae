/*
 * How often a domain may publish (domain-rate, domain-burst): a bucket of tokens in this process
 * for each.
 */
#ifndef OG_PUSHD_API_DOMAIN_LIMIT_H
#define OG_PUSHD_API_DOMAIN_LIMIT_H

#include <stdbool.h>

/* For the daemon's table of modules. */
extern const struct daemon_module domain_limit_module;

/*
 * True if DOMAIN (the publisher's, in any case) may publish one notification now; that counts as
 * done. False is counted: the outcome is `unavailable`.
 */
bool domain_limit_allow(const char *domain);

#endif
