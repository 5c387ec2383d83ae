/*
 * Who may what: the domains that are served and the administrators, as the configuration names
 * them, in prepared form.
 */
#ifndef OG_XMPPGW_ACL_H
#define OG_XMPPGW_ACL_H

#include <stdbool.h>

/* Module. */
extern const struct daemon_module acl_module;

/* True if DOMAIN (prepared) is served, as all are unless some are configured. */
bool acl_serves(const char *domain);

/* Calls EACH with every administrator's bare JID, in no order. */
void acl_each_admin(void (*each)(const char *admin, void *state), void *state);

/* True if JID, as it stands in a stanza's from, is one of an administrator's resources. */
bool acl_is_admin(const char *jid);

#endif
