/*
 * Bare JIDs as pushd compares them: the gateway has prepared them already (RFC 7622), what is left
 * is ASCII case, for callers that are no gateway. Pure.
 */
#ifndef OG_PUSHD_DEVICE_BARE_JID_H
#define OG_PUSHD_DEVICE_BARE_JID_H

#include <stdbool.h>

#define BARE_JID_MAX 2047 /* bytes: a localpart and a domain of 1023 each, and "@" */
#define BARE_JID_DOMAIN_MAX 1023

/* True for "domain" and "local@domain" without a resource. */
bool bare_jid_valid(const char *jid);

/* A lower-case copy on the heap; NULL gives NULL. */
char *bare_jid_fold(const char *jid);

/* The domain within a bare JID. */
const char *bare_jid_domain(const char *jid);

#endif
