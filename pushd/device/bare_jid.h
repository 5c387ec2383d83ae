/*
 * Bare JIDs in the form in which pushd stores and compares them, which is that of the gateway: both
 * parts prepared (RFC 6122). Callers that are no gateway write them as they like. Pure.
 */
#ifndef OG_PUSHD_DEVICE_BARE_JID_H
#define OG_PUSHD_DEVICE_BARE_JID_H

#include <stdbool.h>

#define BARE_JID_MAX 2047 /* bytes: a localpart and a domain of 1023 each, and "@" */
#define BARE_JID_DOMAIN_MAX 1023

/* True for "domain" and "local@domain" without a resource. */
bool bare_jid_valid(const char *jid);

/*
 * JID prepared, on the heap; NULL gives NULL. Of a text that is no JID only ASCII letters are made
 * lower case.
 */
char *bare_jid_prepare(const char *jid);

/* The domain within a bare JID. */
const char *bare_jid_domain(const char *jid);

#endif
