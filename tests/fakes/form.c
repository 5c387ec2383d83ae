#include "tests/fakes/form.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static int hex_value(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit == '\0' ? NULL : strchr(digits, digit | 0x20);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Decodes TEXT in place; -1 when an escape is bad or stands for NUL. */
static int unescape(char *text)
{
	char *out = text;

	for (char *at = text; *at != '\0'; at++) {
		int high, low;

		if (*at != '%') {
			*out++ = (char)(*at == '+' ? ' ' : *at);
			continue;
		}
		high = hex_value(at[1]);
		low = high < 0 ? -1 : hex_value(at[2]);
		if (low < 0 || high + low == 0)
			return -1;
		*out++ = (char)(high << 4 | low);
		at += 2;
	}
	*out = '\0';
	return 0;
}

/* Adds "name=value"; -1 when it isn't that. */
static int add_member(json_t *form, char *pair)
{
	char *value = strchr(pair, '=');

	if (value == NULL)
		return -1;
	*value++ = '\0';
	if (unescape(pair) < 0 || unescape(value) < 0 || json_object_get(form, pair) != NULL)
		return -1;
	return json_object_set_new(form, pair, json_string(value));
}

json_t *form_read(const char *text, size_t len)
{
	char *copy = mem_dup_bytes(text, len), *rest = copy, *pair;
	json_t *form = json_object();

	if (len == 0 || strlen(copy) != len)
		rest = NULL;
	while (form != NULL && (pair = strsep(&rest, "&")) != NULL) {
		if (add_member(form, pair) < 0) {
			json_decref(form);
			form = NULL;
		}
	}
	free(copy);
	if (form != NULL && json_object_size(form) == 0) {
		json_decref(form);
		form = NULL;
	}
	return form;
}
