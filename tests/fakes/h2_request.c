#include "tests/fakes/h2_request.h"

#include <string.h>

#include "common/base/mem.h"

#define SIZE_DIGITS_MAX 9

enum pseudo { PSEUDO_METHOD, PSEUDO_SCHEME, PSEUDO_PATH, PSEUDO_AUTHORITY, PSEUDOS };

static const char *const pseudo_names[] = {
	[PSEUDO_METHOD] = ":method",
	[PSEUDO_SCHEME] = ":scheme",
	[PSEUDO_PATH] = ":path",
	[PSEUDO_AUTHORITY] = ":authority",
};

#define NEEDED (1u << PSEUDO_METHOD | 1u << PSEUDO_SCHEME | 1u << PSEUDO_PATH)

/* Section 8.2.2 */
static const char *const of_connections[] = { "connection", "proxy-connection", "keep-alive",
	                                      "transfer-encoding", "upgrade" };

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* Lower case (section 8.2.1), and of the characters that a token has (RFC 9110, section 5.6.2). */
static bool name_good(const char *name, size_t len)
{
	static const char others[] = "0123456789!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		if ((name[i] < 'a' || name[i] > 'z') &&
		    memchr(others, name[i], sizeof(others) - 1) == NULL)
			return false;
	}
	return len > 0;
}

static bool value_good(const char *value, size_t len)
{
	return memchr(value, '\0', len) == NULL && memchr(value, '\r', len) == NULL &&
	       memchr(value, '\n', len) == NULL;
}

static bool pseudo_value_good(enum pseudo pseudo, const char *value, size_t len)
{
	if (pseudo == PSEUDO_SCHEME)
		return is(value, len, "https") || is(value, len, "https:");
	if (pseudo == PSEUDO_PATH)
		return len > 0 && value[0] == '/';
	return len > 0;
}

static bool take_pseudo(struct h2_request *form, const char *name, size_t name_len,
                        const char *value, size_t value_len)
{
	for (unsigned i = 0; i < PSEUDOS; i++) {
		if (!is(name, name_len, pseudo_names[i]))
			continue;
		if (form->fields || (form->pseudo & 1u << i) != 0)
			return false;
		form->pseudo |= 1u << i;
		return pseudo_value_good((enum pseudo)i, value, value_len);
	}
	return false;
}

static bool take_size(struct h2_request *form, const char *digits, size_t len)
{
	if (form->sized || len == 0 || len > SIZE_DIGITS_MAX)
		return false;
	form->sized = true;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		form->size = form->size * 10 + (size_t)(digits[i] - '0');
	}
	return true;
}

bool h2_request_field(struct h2_request *form, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
	if (!value_good(value, value_len))
		return false;
	if (name_len > 0 && name[0] == ':')
		return take_pseudo(form, name, name_len, value, value_len);
	form->fields = true;
	for (size_t i = 0; i < ARRAY_LEN(of_connections); i++) {
		if (is(name, name_len, of_connections[i]))
			return false;
	}
	if (is(name, name_len, "te"))
		return is(value, value_len, "trailers");
	if (is(name, name_len, "content-length"))
		return take_size(form, value, value_len);
	return name_good(name, name_len);
}

bool h2_request_whole(const struct h2_request *form, size_t body)
{
	return (form->pseudo & NEEDED) == NEEDED && (!form->sized || form->size == body);
}
