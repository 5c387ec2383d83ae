/*
 * Data forms (XEP-0004): reading what was submitted. Pure.
 */
#ifndef OG_XMPPGW_XMPP_FORM_H
#define OG_XMPPGW_XMPP_FORM_H

#include "xmppgw/xmpp/xml.h"

#define FORM_NS "jabber:x:data"

/* The form among the children of PARENT, or NULL. */
const struct xml *form_find(const struct xml *parent);

/*
 * The first value of the field VAR; NULL when there is no such field, or it has no value or an
 * empty one.
 */
const char *form_value(const struct xml *form, const char *var);

/* All values of the field VAR, a line feed between each two: heap; NULL as above. */
char *form_lines(const struct xml *form, const char *var);

#endif
