#include "xmppgw/xmpp/form.h"

#include <string.h>

#include "common/base/buf.h"

const struct xml *form_find(const struct xml *parent)
{
	return xml_child(parent, FORM_NS, "x");
}

static const struct xml *first_value(const struct xml *form, const char *var)
{
	const struct xml *field = xml_child(form, FORM_NS, "field");

	for (; field != NULL; field = xml_again(field)) {
		const char *name = xml_attribute(field, "var");

		if (name != NULL && strcmp(name, var) == 0)
			return xml_child(field, FORM_NS, "value");
	}
	return NULL;
}

const char *form_value(const struct xml *form, const char *var)
{
	const struct xml *value = first_value(form, var);

	return value != NULL && value->text[0] != '\0' ? value->text : NULL;
}

char *form_lines(const struct xml *form, const char *var)
{
	const struct xml *value = first_value(form, var);
	struct buf lines = { 0 };

	if (value == NULL || (value->text[0] == '\0' && xml_again(value) == NULL))
		return NULL;
	for (const struct xml *line = value; line != NULL; line = xml_again(line)) {
		if (line != value)
			buf_text(&lines, "\n");
		buf_text(&lines, line->text);
	}
	return buf_take(&lines);
}
