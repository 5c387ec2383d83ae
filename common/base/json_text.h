/*
 * Writing JSON (RFC 8259) directly as text, where building a tree of values would be too slow. As
 * with snprintf(), text that doesn't fit is left out, and the length is that of the whole. Pure.
 */
#ifndef OG_COMMON_BASE_JSON_TEXT_H
#define OG_COMMON_BASE_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct json_text {
	char *bytes; /* the caller's; without a NUL */
	size_t size;
	size_t len; /* of the whole text; more than SIZE: its end is missing */
};

/* Appends JSON as it is. */
void json_text_add(struct json_text *out, const char *json);

/* Appends TEXT (UTF-8) as a string: quoted and escaped. */
void json_text_string(struct json_text *out, const char *text);

void json_text_integer(struct json_text *out, int64_t number);

#endif
