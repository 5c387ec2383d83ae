#include "common/http/http_route.c"

#include <stdio.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static void first(struct http_request *request)
{
}

static const struct http_route more_routes[] = {
	{ "GET", "/v1/limits", first, .open = false },
	{ "DELETE", "/v1/last", first, .open = false },
	{ NULL },
};

static const struct http_route routes[] = {
	{ "GET", "/", first, .open = false },
	{ "GET", "/v1/streams", first, .open = false },
	{ "GET", "/v1/streams/{hash}", first, .open = false },
	{ "DELETE", "/v1/streams/{hash}", first, .open = false },
	{ "POST", "/v1/streams/{hash}/activate", first, .open = false },
	{ "PUT", "/{one}/x/{two}", first, .open = false },
	{ .rows = more_routes },
	{ "GET", "/v1/last", first, .open = false },
	{ NULL },
};

/* "row param param" of the route found, or "none: methods". */
static void expect(const char *method, const char *path, const char *spelled)
{
	char *params[HTTP_PARAMS_MAX] = { NULL }, text[200];
	struct buf allow = { 0 };
	const struct http_route *route = http_route_find(routes, method, path, params, &allow);
	bool is_more = route >= more_routes && route < more_routes + ARRAY_LEN(more_routes);

	buf_append(&allow, "", 1);
	if (route != NULL)
		snprintf(text, sizeof(text), "%s%d %s %s", is_more ? "more " : "",
		         (int)(route - (is_more ? more_routes : routes)),
		         params[0] ? params[0] : "-", params[1] ? params[1] : "-");
	else
		snprintf(text, sizeof(text), "none: %s", buf_data(&allow));
	ck_assert_msg(strcmp(text, spelled) == 0, "%s %s: %s, not %s", method, path, text, spelled);
	if (route == NULL)
		ck_assert(params[0] == NULL && params[1] == NULL);
	http_route_free_params(params);
	buf_release(&allow);
}

START_TEST(a_path_finds_its_row_and_its_parts_come_decoded)
{
	expect("GET", "/", "0 - -");
	expect("GET", "/v1/streams", "1 - -");
	expect("GET", "/v1/streams/abc", "2 abc -");
	expect("HEAD", "/v1/streams/abc", "2 abc -");
	expect("DELETE", "/v1/streams/a%2Fb%40c%25", "3 a/b@c% -");
	expect("POST", "/v1/streams/abc/activate", "4 abc -");
	expect("PUT", "/a/x/b", "5 a b");
	expect("PUT", "/%7e/x/%C3%A9", "5 ~ \xc3\xa9");
}
END_TEST

START_TEST(a_path_without_a_row_finds_none)
{
	static const char *const paths[] = {
		"",
		"*",
		"//",
		"/v1",
		"/v1/",
		"/v1/stream",
		"/v1/streamsx",
		"/v1/streams/",
		"/v1/streams//activate",
		"/v1/streams/a/activate/",
		"/v1/streams/a/b",
		"/V1/streams",
		"/v1/streams/%",
		"/v1/streams/%4",
		"/v1/streams/a%4g",
		"/v1/streams/%00",
		"/v1/streams/a%00",
		"/v1%2Fstreams",
		"/a/x/",
		"//x/b",
		"/a/x/%",
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		expect("GET", paths[i], "none: ");
}
END_TEST

START_TEST(a_path_with_rows_for_other_methods_tells_which)
{
	expect("POST", "/v1/streams/abc", "none: GET, HEAD, DELETE");
	expect("GET", "/v1/streams/abc/activate", "none: POST");
	expect("get", "/v1/streams", "none: GET, HEAD");
	expect("", "/", "none: GET, HEAD");
}
END_TEST

START_TEST(the_rows_of_another_table_stand_where_it_is_named)
{
	expect("GET", "/v1/limits", "more 0 - -");
	expect("DELETE", "/v1/last", "more 1 - -");
	expect("GET", "/v1/last", "7 - -");
	expect("PUT", "/v1/last", "none: DELETE, GET, HEAD");
	expect("POST", "/v1/limits", "none: GET, HEAD");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_path_finds_its_row_and_its_parts_come_decoded,
		a_path_without_a_row_finds_none,
		a_path_with_rows_for_other_methods_tells_which,
		the_rows_of_another_table_stand_where_it_is_named,
	};

	return unit_run("http_route", tests, ARRAY_LEN(tests), NULL, NULL);
}
