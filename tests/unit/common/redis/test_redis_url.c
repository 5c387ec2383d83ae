#include "common/redis/redis_url.c"

#include "tests/unit/unit.h"

/* What a URL holds, written in one way: user|password|host|path|port|db. */
static char *spell(const char *text)
{
	struct redis_url url;
	const char *why = redis_url_parse(&url, text);
	char *spelled;

	if (why != NULL) {
		ck_assert_ptr_null(url.host);
		ck_assert_ptr_null(url.path);
		ck_assert_ptr_null(url.user);
		ck_assert_ptr_null(url.password);
		return mem_printf("(%s)", why);
	}
	spelled = mem_printf("%s|%s|%s|%s|%u|%u", url.user ? url.user : "-",
	                     url.password ? url.password : "-", url.host ? url.host : "-",
	                     url.path ? url.path : "-", url.port, url.db);
	redis_url_release(&url);
	return spelled;
}

static void expect(const char *text, const char *spelled)
{
	char *got = spell(text);

	ck_assert_msg(strcmp(got, spelled) == 0, "%s: %s, not %s", text, got, spelled);
	free(got);
}

START_TEST(every_form_of_the_contract_is_read)
{
	expect("redis://localhost", "-|-|localhost|-|6379|0");
	expect("redis://localhost/", "-|-|localhost|-|6379|0");
	expect("redis://redis-1.example.org:7000/15", "-|-|redis-1.example.org|-|7000|15");
	expect("redis://127.0.0.1:65535", "-|-|127.0.0.1|-|65535|0");
	expect("redis://[::1]", "-|-|::1|-|6379|0");
	expect("redis://[2001:db8::1]:1/2", "-|-|2001:db8::1|-|1|2");
	expect("redis://user:pass@host", "user|pass|host|-|6379|0");
	expect("redis://:pass@host:1/9999", "-|pass|host|-|1|9999");
	expect("redis://us%65r:p%40%3a%2f%20@[::1]:2", "user|p@:/ |::1|-|2|0");
	expect("redis://user:with:colons@and@signs@host",
	       "user|with:colons@and@signs|host|-|6379|0");
	expect("unix:///run/redis.sock", "-|-|-|/run/redis.sock|0|0");
	expect("unix:///run/redis.sock?db=3", "-|-|-|/run/redis.sock|0|3");
}
END_TEST

#define WRONG_SCHEME "(it must begin with redis:// or unix://)"
#define WRONG_HOST "(the host is neither a name nor an address)"
#define WRONG_PORT "(the port must be a number from 1 to 65535)"
#define WRONG_DB "(after the / there must be the number of a database)"
#define WRONG_LOGIN "(before the @ there must be user:password or :password)"
#define WRONG_ESCAPE "(the user or password has a malformed %-escape)"
#define WRONG_UNIX_DB "(after the ? there must be db= and the number of a database)"
#define WRONG_PATH "(after unix:// there must be an absolute path)"

static const struct {
	const char *text, *why;
} cases[] = {
	{ "", WRONG_SCHEME },
	{ "localhost:6379", WRONG_SCHEME },
	{ "rediss://localhost", WRONG_SCHEME },
	{ "REDIS://localhost", WRONG_SCHEME },
	{ "redis:/localhost", WRONG_SCHEME },
	{ "redis://", WRONG_HOST },
	{ "redis:///1", WRONG_HOST },
	{ "redis://:6379", WRONG_HOST },
	{ "redis://a b", WRONG_HOST },
	{ "redis://host?db=1", WRONG_HOST },
	{ "redis://host#x", WRONG_HOST },
	{ "redis://one,two", WRONG_HOST },
	{ "redis://one:1,two:2", WRONG_PORT },
	{ "redis://host:", WRONG_PORT },
	{ "redis://host:0", WRONG_PORT },
	{ "redis://host:65536", WRONG_PORT },
	{ "redis://host:-1", WRONG_PORT },
	{ "redis://host:1x", WRONG_PORT },
	{ "redis://host:+1", WRONG_PORT },
	{ "redis://host: 1", WRONG_PORT },
	{ "redis://host:000006379", WRONG_PORT },
	{ "redis://::1", WRONG_PORT },
	{ "redis://[::1", "(a [ has no ])" },
	{ "redis://[::1]x", WRONG_PORT },
	{ "redis://[]", WRONG_HOST },
	{ "redis://[1.2.3.4]", "(between [ and ] there must be an IPv6 address)" },
	{ "redis://[::g]", "(between [ and ] there must be an IPv6 address)" },
	{ "redis://host/x", WRONG_DB },
	{ "redis://host/-1", WRONG_DB },
	{ "redis://host/1/", WRONG_DB },
	{ "redis://host/10000", WRONG_DB },
	{ "redis://password@host", WRONG_LOGIN },
	{ "redis://user:@host", WRONG_LOGIN },
	{ "redis://@host", WRONG_LOGIN },
	{ "redis://:p%4@host", WRONG_ESCAPE },
	{ "redis://:p%zz@host", WRONG_ESCAPE },
	{ "redis://:p%00@host", WRONG_ESCAPE },
	{ "redis://u%:p@host", WRONG_ESCAPE },
	{ "unix://", WRONG_PATH },
	{ "unix://relative", WRONG_PATH },
	{ "unix:///", WRONG_PATH },
	{ "unix:///s?", WRONG_UNIX_DB },
	{ "unix:///s?db=", WRONG_UNIX_DB },
	{ "unix:///s?db=x", WRONG_UNIX_DB },
	{ "unix:///s?database=1", WRONG_UNIX_DB },
};

START_TEST(everything_else_is_refused_with_a_reason)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(cases[i].text, cases[i].why);
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
	char text[400] = "redis://", *got;

	memset(text + 8, 'a', 253);
	got = spell(text);
	ck_assert_int_ne(got[0], '(');
	free(got);
	text[8 + 253] = 'a';
	expect(text, "(the host is neither a name nor an address)");
	memcpy(text, "unix:///", 8);
	expect(text, "(the path is too long for a unix socket)");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_form_of_the_contract_is_read,
		everything_else_is_refused_with_a_reason,
		what_is_too_long_is_refused,
	};

	return unit_run("redis_url", tests, ARRAY_LEN(tests), NULL, NULL);
}
