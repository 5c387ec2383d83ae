/*
 * Access: the domains that are served and the administrators, as the configuration names them, in
 * prepared form.
 */
#ifndef OG_XMPPGW_ACL_H
#define OG_XMPPGW_ACL_H

#include <stdbool.h>

/* Module. */
extern const struct daemon_module acl_module;

/* True if DOMAIN (prepared) is served, as all are unless some are configured. */
bool acl_serves(const char *domain);

/* Calls EACH with every administrator's bare JID, in any order. */
void acl_each_admin(void (*each)(const char *admin, void *state), void *state);

/* True if JID, a stanza's from as it came, is an administrator's, with or without a resource. */
bool acl_is_admin(const char *jid);

#endif
