#include "xmppgw/xmpp/form.h"

#include <string.h>

const struct xml *form_find(const struct xml *parent)
{
	return xml_child(parent, FORM_NS, "x");
}

const char *form_value(const struct xml *form, const char *var)
{
	const struct xml *field = xml_child(form, FORM_NS, "field");

	for (; field != NULL; field = xml_again(field)) {
		const char *name = xml_attribute(field, "var");
		const struct xml *value;

		if (name == NULL || strcmp(name, var) != 0)
			continue;
		value = xml_child(field, FORM_NS, "value");
		return value != NULL && value->text[0] != '\0' ? value->text : NULL;
	}
	return NULL;
}
