#include "common/config/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/net.h"
#include "common/redis/redis_url.h"

#define SHOWN_MAX 60 /* bytes of a wrong value that a complaint quotes */
#define SAMPLE_SECRET                                                                              \
	"is still " CONFIG_PLACEHOLDER ": choose a secret, or let deploy/make-secrets write it"

struct unit {
	const char *suffix;
	int64_t factor;
};

/* The largest first: a value is printed in the largest unit that divides it. */
static const struct unit sizes[] = {
	{ "T", INT64_C(1) << 40 }, { "G", 1 << 30 }, { "M", 1 << 20 },
	{ "k", 1 << 10 },          { "", 1 },        { NULL, 0 },
};
static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
	{ "s", 1000 },     { "ms", 1 },      { NULL, 0 },
};
static const struct unit limits[] = {
	{ "T", INT64_C(1) << 40 }, { "G", 1 << 30 }, { "M", 1 << 20 },
	{ "k", 1 << 10 },          { "B", 1 },       { NULL, 0 },
};
static const struct unit bare_seconds = { "", 1000 };
static const struct unit bare_megabytes = { "", 1 << 20 };
static const struct unit bare = { "", 1 };

static const struct unit *units_of(const struct config_key *key)
{
	if (key->kind == CONFIG_LIMIT)
		return limits;
	return key->kind == CONFIG_SIZE ? sizes : durations;
}

static const struct unit *find_unit(const struct config_key *key, const char *suffix)
{
	const struct unit *unit = units_of(key);

	if (*suffix == '\0' && key->kind == CONFIG_LIMIT)
		return &bare_megabytes;
	if (*suffix == '\0')
		return key->kind == CONFIG_DURATION ? &bare_seconds : &bare;
	if (key->kind == CONFIG_INTEGER)
		return NULL;
	while (unit->suffix != NULL && strcmp(unit->suffix, suffix) != 0)
		unit++;
	return unit->suffix == NULL ? NULL : unit;
}

static void print_number(const struct config_key *key, int64_t value, struct buf *out)
{
	const struct unit *unit = units_of(key);

	if (key->kind == CONFIG_INTEGER || value == 0 || (key->kind == CONFIG_LIMIT && value < 0)) {
		buf_printf(out, "%lld", (long long)value);
		return;
	}
	while (value % unit->factor != 0)
		unit++;
	buf_printf(out, "%lld%s", (long long)(value / unit->factor), unit->suffix);
}

static char *complain_range(const struct config_key *key)
{
	struct buf text = { 0 };

	buf_text(&text, "must be from ");
	print_number(key, key->least, &text);
	buf_text(&text, " to ");
	print_number(key, key->most, &text);
	return buf_take(&text);
}

static char *complain_number(const struct config_key *key, const char *text)
{
	const char *form =
	        key->kind == CONFIG_SIZE    ? "a size (a number of bytes, or with k, M, G or T)"
	        : key->kind == CONFIG_LIMIT ? "a limit (a number of MB, or with B, k, M, G or T; "
	                                      "0: none, -1: forbidden)"
	        : key->kind == CONFIG_DURATION ? "a duration (a number with ms, s, m, h or d)"
	                                       : "a whole number";

	return mem_printf("\"%.*s\" is not %s", SHOWN_MAX, text, form);
}

static char *parse_number(const struct config_key *key, void *member, const char *text)
{
	const struct unit *unit;
	long long count;
	int64_t value;
	char *end;

	if (!isdigit((unsigned char)*text) && *text != '-')
		return complain_number(key, text);
	errno = 0;
	count = strtoll(text, &end, 10);
	unit = find_unit(key, end);
	if (errno != 0 || end == text || unit == NULL ||
	    __builtin_mul_overflow(count, unit->factor, &value))
		return complain_number(key, text);
	if ((key->least != 0 || key->most != 0) && (value < key->least || value > key->most))
		return complain_range(key);
	if (value < 0 && key->least >= 0 && key->kind != CONFIG_INTEGER)
		return complain_number(key, text);
	*(int64_t *)member = value;
	return NULL;
}

static char *parse_limit(const struct config_key *key, void *member, const char *text)
{
	char *complaint = NULL;
	int64_t value = -1;

	if (strcmp(text, "-1") != 0)
		complaint = parse_number(key, &value, text);
	if (complaint == NULL && value > CONFIG_LIMIT_MOST)
		complaint = complain_number(key, text);
	if (complaint == NULL)
		*(int64_t *)member = value;
	return complaint;
}

static char *parse_text(const struct config_key *key, void *member, const char *text)
{
	if (*text == '\0' && (key->fallback != NULL || key->never_empty))
		return mem_dup("must not be empty");
	*(char **)member = *text == '\0' ? NULL : mem_dup(text);
	return NULL;
}

static char *parse_secret(const struct config_key *key, void *member, const char *text)
{
	if (strcmp(text, CONFIG_PLACEHOLDER) == 0)
		return mem_dup(SAMPLE_SECRET);
	if (*text != '\0' && strlen(text) < (size_t)key->least)
		return mem_printf("is too short: it can be guessed below %lld bytes",
		                  (long long)key->least);
	return parse_text(key, member, text);
}

static char *parse_address(const struct config_key *key, void *member, const char *text)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	if (*text != '\0' && net_split(text, host, &port) < 0)
		return mem_printf("\"%.*s\" is not an address (host:port or [IPv6]:port)",
		                  SHOWN_MAX, text);
	return parse_text(key, member, text);
}

static char *parse_redis(const struct config_key *key, void *member, const char *text)
{
	struct redis_url url = { 0 };
	const char *why = NULL;

	if (*text != '\0' && !redis_url_is_none(text))
		why = redis_url_parse(&url, text);
	if (url.password != NULL && strcmp(url.password, CONFIG_PLACEHOLDER) == 0)
		why = "its password " SAMPLE_SECRET;
	redis_url_release(&url);
	return why != NULL ? mem_dup(why) : parse_text(key, member, text);
}

static char *parse_boolean(const struct config_key *key, void *member, const char *text)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return mem_printf("\"%.*s\" is neither yes nor no", SHOWN_MAX, text);
	*(bool *)member = *text == 'y';
	return NULL;
}

static void print_choices(const struct config_key *key, struct buf *out)
{
	for (int i = 0; key->choices[i] != NULL; i++)
		buf_printf(out, "%s%s", i == 0 ? "" : ", ", key->choices[i]);
}

static char *parse_choice(const struct config_key *key, void *member, const char *text)
{
	struct buf complaint = { 0 };

	for (int i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			*(int *)member = i;
			return NULL;
		}
	}
	buf_printf(&complaint, "\"%.*s\" is none of ", SHOWN_MAX, text);
	print_choices(key, &complaint);
	return buf_take(&complaint);
}

/* A copy of the LEN bytes at TEXT without the blanks around them; NULL when nothing is left. */
static char *trimmed(const char *text, size_t len)
{
	while (len > 0 && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	return len == 0 ? NULL : mem_dup_bytes(text, len);
}

static void free_list(void *member)
{
	char ***list = member;

	for (char **item = *list; item != NULL && *item != NULL; item++)
		free(*item);
	free(*list);
	*list = NULL;
}

static char *parse_list(const struct config_key *key, void *member, const char *text)
{
	char **items = mem_alloc(1, sizeof(*items));
	size_t count = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		char *item = trimmed(text, len);

		if (item == NULL) {
			free_list(&items);
			return mem_dup("the list has an empty item");
		}
		items = mem_resize(items, count + 2, sizeof(*items));
		items[count++] = item;
		items[count] = NULL;
		text += len + (text[len] == ',');
	}
	*(char ***)member = items;
	return NULL;
}

static void print_int64(const struct config_key *key, const void *member, struct buf *out)
{
	print_number(key, *(const int64_t *)member, out);
}

static void print_text(const struct config_key *key, const void *member, struct buf *out)
{
	const char *text = *(char *const *)member;

	if (text != NULL)
		buf_text(out, text);
}

static void print_secret(const struct config_key *key, const void *member, struct buf *out)
{
	if (*(char *const *)member != NULL)
		buf_text(out, "(hidden)");
}

/* A password stands between the first colon behind the scheme and the last @. */
static void print_redis(const struct config_key *key, const void *member, struct buf *out)
{
	static const char scheme[] = "redis://";
	const char *text = *(char *const *)member, *at = NULL;

	if (text != NULL && strncmp(text, scheme, strlen(scheme)) == 0)
		at = strrchr(text, '@');
	if (at == NULL)
		print_text(key, member, out);
	else
		buf_printf(out, "%.*s:(hidden)%s",
		           (int)(strlen(scheme) + strcspn(text + strlen(scheme), ":")), text, at);
}

static void print_list(const struct config_key *key, const void *member, struct buf *out)
{
	char *const *items = *(char *const *const *)member;

	for (size_t i = 0; items != NULL && items[i] != NULL; i++)
		buf_printf(out, "%s%s", i == 0 ? "" : ", ", items[i]);
}

static void print_boolean(const struct config_key *key, const void *member, struct buf *out)
{
	buf_text(out, *(const bool *)member ? "yes" : "no");
}

static void print_choice(const struct config_key *key, const void *member, struct buf *out)
{
	buf_text(out, key->choices[*(const int *)member]);
}

static void free_text(void *member)
{
	free(*(char **)member);
	*(char **)member = NULL;
}

static void free_secret(void *member)
{
	mem_free_secret(*(char **)member);
	*(char **)member = NULL;
}

static bool same_texts(const void *one, const void *other)
{
	const char *a = *(char *const *)one, *b = *(char *const *)other;

	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_lists(const void *one, const void *other)
{
	char *const *a = *(char *const *const *)one, *const *b = *(char *const *const *)other;

	if (a == NULL || b == NULL)
		return a == b;
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

static const struct kind {
	size_t size;
	char *(*parse)(const struct config_key *key, void *member, const char *text);
	void (*print)(const struct config_key *key, const void *member, struct buf *out);
	bool (*equal)(const void *one, const void *other); /* NULL: same bytes */
	void (*release)(void *member);                     /* NULL: owns nothing */
} kinds[] = {
	/* clang-format off */
	[CONFIG_STRING]   = { sizeof(char *), parse_text, print_text, same_texts, free_text },
	[CONFIG_SECRET]   = { sizeof(char *), parse_secret, print_secret, same_texts, free_secret },
	[CONFIG_REDIS]    = { sizeof(char *), parse_redis, print_redis, same_texts, free_secret },
	[CONFIG_LIST]     = { sizeof(char **), parse_list, print_list, same_lists, free_list },
	[CONFIG_INTEGER]  = { sizeof(int64_t), parse_number, print_int64, NULL, NULL },
	[CONFIG_SIZE]     = { sizeof(int64_t), parse_number, print_int64, NULL, NULL },
	[CONFIG_LIMIT]    = { sizeof(int64_t), parse_limit, print_int64, NULL, NULL },
	[CONFIG_DURATION] = { sizeof(int64_t), parse_number, print_int64, NULL, NULL },
	[CONFIG_BOOLEAN]  = { sizeof(bool), parse_boolean, print_boolean, NULL, NULL },
	[CONFIG_CHOICE]   = { sizeof(int), parse_choice, print_choice, NULL, NULL },
	[CONFIG_ADDRESS]  = { sizeof(char *), parse_address, print_text, same_texts, free_text },
	/* clang-format on */
};

bool config_value_utf8(const char *text)
{
	json_t *string = json_string(text);
	bool valid = string != NULL;

	json_decref(string);
	return valid;
}

char *config_value_parse(const struct config_key *key, void *base, const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return mem_dup("has a control character");
	if (key->kind != CONFIG_SECRET && !config_value_utf8(text))
		return mem_dup("is not UTF-8");
	return kinds[key->kind].parse(key, (char *)base + key->offset, text);
}

void config_value_print(const struct config_key *key, const void *base, struct buf *out)
{
	kinds[key->kind].print(key, (const char *)base + key->offset, out);
}

bool config_value_equal(const struct config_key *key, const void *one, const void *other)
{
	const struct kind *kind = &kinds[key->kind];
	const void *a = (const char *)one + key->offset, *b = (const char *)other + key->offset;

	return kind->equal == NULL ? memcmp(a, b, kind->size) == 0 : kind->equal(a, b);
}

void config_value_swap(const struct config_key *key, void *one, void *other)
{
	char *a = (char *)one + key->offset, *b = (char *)other + key->offset;
	char kept[sizeof(int64_t)];
	size_t size = kinds[key->kind].size;

	memcpy(kept, a, size);
	memcpy(a, b, size);
	memcpy(b, kept, size);
}

void config_value_release(const struct config_key *key, void *base)
{
	if (kinds[key->kind].release != NULL)
		kinds[key->kind].release((char *)base + key->offset);
}
