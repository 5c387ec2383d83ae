#include "common/base/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void append(struct json_text *out, const char *bytes, size_t len)
{
	if (out->len < out->size)
		memcpy(out->bytes + out->len, bytes,
		       len < out->size - out->len ? len : out->size - out->len);
	out->len += len;
}

void json_text_add(struct json_text *out, const char *json)
{
	append(out, json, strlen(json));
}

static size_t count_plain(const char *text)
{
	const char *c = text;

	while ((unsigned char)*c >= 0x20 && *c != '"' && *c != '\\')
		c++;
	return (size_t)(c - text);
}

/* RFC 8259 section 7: quotation mark, reverse solidus, and the control characters. */
static void escape(struct json_text *out, char c)
{
	char escaped[8];

	if (c == '"' || c == '\\')
		snprintf(escaped, sizeof(escaped), "\\%c", c);
	else
		snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned char)c);
	json_text_add(out, escaped);
}

void json_text_string(struct json_text *out, const char *text)
{
	append(out, "\"", 1);
	for (;;) {
		size_t plain = count_plain(text);

		append(out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		escape(out, *text++);
	}
	append(out, "\"", 1);
}

void json_text_integer(struct json_text *out, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	json_text_add(out, text);
}
