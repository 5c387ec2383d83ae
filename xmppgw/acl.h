/*
 * Access to a component: the domains that it serves, to whom transfers are charged, and its
 * administrators, as its section of the configuration names them, in prepared form. All zeros
 * serves everybody, charges requesters and has no administrators.
 */
#ifndef OG_XMPPGW_ACL_H
#define OG_XMPPGW_ACL_H

#include <stdbool.h>

#include "common/base/map.h"
#include "xmppgw/conf.h"

struct acl {
	/* The module's own: sets of prepared texts, each its own key. */
	struct map served, admins;
	/* Read by all. */
	enum serve serve;
	enum charge charge;
};

/* Makes ACL, which is zero, that of CONF, whose names conf_check() has checked. */
void acl_init(struct acl *acl, const struct conf_component *conf);

/* Frees what ACL has; it is zero then. */
void acl_release(struct acl *acl);

/* True if DOMAIN (prepared) is served, as all are unless some are configured. */
bool acl_serves(const struct acl *acl, const char *domain);

/* Calls EACH with every administrator's bare JID, in any order. */
void acl_each_admin(const struct acl *acl, void (*each)(const char *admin, void *state),
                    void *state);

/* True if JID, a stanza's from as it came, is an administrator's, with or without a resource. */
bool acl_is_admin(const struct acl *acl, const char *jid);

#endif
