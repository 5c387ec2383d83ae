/*
 * Data forms (XEP-0004): reading what was submitted, and writing fields. Pure.
 */
#ifndef OG_XMPPGW_XMPP_FORM_H
#define OG_XMPPGW_XMPP_FORM_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "xmppgw/xmpp/xml.h"

#define FORM_NS "jabber:x:data"

/* The form among the children of PARENT, or NULL. */
const struct xml *form_find(const struct xml *parent);

/*
 * The first value of the field VAR; NULL when there is no such field, or it has no value or an
 * empty one.
 */
const char *form_value(const struct xml *form, const char *var);

/* A field to be written; what is NULL is left out. */
struct form_field {
	const char *var;
	const char *type; /* "text-single" … */
	const char *label;
	const char *help;
	bool required;
	const char *value;
	const char *const
	        *options; /* of list-single: values, which are also their labels; or NULL */
	size_t option_count;
};

void form_add_field(struct buf *out, const struct form_field *field);

#endif
