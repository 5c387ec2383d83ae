#include "xmppgw/xmpp/form.h"

#include <string.h>

#include "xmppgw/xmpp/markup.h"

const struct xml *form_find(const struct xml *parent)
{
	return xml_child(parent, FORM_NS, "x");
}

const char *form_value(const struct xml *form, const char *var)
{
	const struct xml *field = xml_child(form, FORM_NS, "field");

	for (; field != NULL; field = xml_again(field)) {
		const char *name = xml_attribute(field, "var");
		const struct xml *value = xml_child(field, FORM_NS, "value");

		if (name != NULL && strcmp(name, var) == 0)
			return value != NULL && value->text[0] != '\0' ? value->text : NULL;
	}
	return NULL;
}

void form_add_field(struct buf *out, const struct form_field *field)
{
	markup_add(out, "<field var='%s' type='%s' label='%s'", field->var, field->type,
	           field->label);
	if (field->help == NULL && !field->required && field->value == NULL &&
	    field->option_count == 0) {
		buf_text(out, "/>");
		return;
	}
	buf_text(out, ">");
	if (field->help != NULL)
		markup_add(out, "<desc>%s</desc>", field->help);
	if (field->required)
		buf_text(out, "<required/>");
	if (field->value != NULL)
		markup_add(out, "<value>%s</value>", field->value);
	for (size_t i = 0; i < field->option_count; i++)
		markup_add(out, "<option label='%s'><value>%s</value></option>", field->options[i],
		           field->options[i]);
	buf_text(out, "</field>");
}
