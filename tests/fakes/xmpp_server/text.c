#include "tests/fakes/xmpp_server/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void escape(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t plain = strcspn(text, "<&>'\"");

		buf_append(out, text, plain);
		text += plain;
		if (*text != '\0')
			buf_printf(out, "&#%d;", *text++);
	}
}

static const struct text_value *find(const struct text_value *values, const char *name, size_t len)
{
	for (; values->name != NULL; values++)
		if (strncmp(values->name, name, len) == 0 && values->name[len] == '\0')
			return values;
	return NULL;
}

void text_fill(struct buf *out, const char *text, const struct text_value *values)
{
	const char *brace;

	while ((brace = strchr(text, '{')) != NULL) {
		size_t len = strcspn(brace + 1, "}{");
		const struct text_value *value = NULL;

		buf_append(out, text, (size_t)(brace - text));
		if (brace[1 + len] == '}')
			value = find(values, brace + 1, len);
		text = value == NULL ? brace + 1 : brace + len + 2;
		if (value == NULL)
			buf_text(out, "{");
		else if (value->raw)
			buf_text(out, value->text);
		else
			escape(out, value->text);
	}
	buf_text(out, text);
}

char *text_number(const char *text, uint64_t number)
{
	char digits[32];
	struct buf out = { 0 };

	snprintf(digits, sizeof(digits), "%010" PRIu64, number);
	text_fill(&out, text, (const struct text_value[]){ { "n", digits, 0 }, { NULL } });
	return buf_take(&out);
}
