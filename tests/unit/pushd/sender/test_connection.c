#include "pushd/sender/connection.c"

#include "tests/unit/unit.h"

static struct connection *connection;

static void done(struct http_call *call)
{
}

static void setup(void)
{
	const struct http_pool_options options = { .http2 = true, .streams = 1000 };

	loop_init();
	connection = connection_new(&options);
}

static void teardown(void)
{
	connection_free(connection);
	loop_release();
}

static struct http_call call_with(const char *body, size_t len)
{
	return (struct http_call){
		.done = done,
		.method = "POST",
		.url = "https://127.0.0.1:1/",
		.body = body,
		.body_len = len,
		.timeout_ms = 10000,
	};
}

START_TEST(the_window_begins_with_one_doubles_and_falls_to_one)
{
	struct http_call call = call_with("", 0);

	ck_assert(connection_has_room(connection));
	connection_send(connection, &call);
	ck_assert(!connection_has_room(connection));
	connection_grow_window(connection);
	ck_assert(connection_has_room(connection));
	connection_reset_window(connection);
	ck_assert(!connection_has_room(connection));
	http_release(&call);
	connection_settled(connection, &call);
	ck_assert(connection_has_room(connection));
}
END_TEST

START_TEST(bodies_in_flight_never_pass_the_window_of_http2)
{
	static const char body[CONNECTION_BODY_MAX];
	struct http_call calls[100];
	size_t sent = 0;

	connection->window = 1000;
	while (connection_has_room(connection)) {
		ck_assert_uint_lt(sent, ARRAY_LEN(calls));
		calls[sent] = call_with(body, 4096 + sent);
		connection_send(connection, &calls[sent++]);
	}
	ck_assert_uint_ge(sent, 14);
	ck_assert_uint_le(connection->body_bytes, CONNECTION_BODIES_MAX);
	for (size_t i = 0; i < sent; i++) {
		http_release(&calls[i]);
		connection_settled(connection, &calls[i]);
	}
	ck_assert_uint_eq(connection->body_bytes, 0);
	ck_assert(connection_has_room(connection));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_window_begins_with_one_doubles_and_falls_to_one,
		bodies_in_flight_never_pass_the_window_of_http2,
	};

	return unit_run("connection", tests, ARRAY_LEN(tests), setup, teardown);
}
