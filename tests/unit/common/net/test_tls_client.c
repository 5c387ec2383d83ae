#include "common/net/tls_client.c"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* Servers that prove their name, or fail to, are in tests/e2e/test_component_tls.py. */

static struct ssl_ctx_st *context;
static struct ssl_st *tls;
static int peer; /* the server's end */
static int own;
static unsigned events;
static const char *why;

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	own = pair[0];
	peer = pair[1];
	context = tls_client_context(NULL, &why);
	ck_assert_ptr_nonnull(context);
	tls = tls_client_new(context, own, "xmpp.example.org");
	why = NULL;
}

static void teardown(void)
{
	tls_client_free(tls);
	tls_client_free_context(context);
	close(own);
	if (peer >= 0)
		close(peer);
}

START_TEST(the_handshake_waits_for_the_server_and_names_it)
{
	char bytes[4096];
	ssize_t count;

	ck_assert_int_eq(tls_client_handshake(tls, &events, &why), 0);
	ck_assert_uint_eq(events, EPOLLIN);
	count = recv(peer, bytes, sizeof(bytes), 0);
	ck_assert_int_gt(count, 5);
	ck_assert_int_eq(bytes[0], 22); /* RFC 8446 5.1: handshake */
	ck_assert_ptr_nonnull(memmem(bytes, (size_t)count, "xmpp.example.org", 16));
}
END_TEST

START_TEST(what_is_no_tls_fails_with_the_reason)
{
	ck_assert_int_eq(tls_client_handshake(tls, &events, &why), 0);
	ck_assert_int_eq(write(peer, "<?xml version='1.0'?>", 21), 21);
	ck_assert_int_eq(tls_client_handshake(tls, &events, &why), -1);
	ck_assert_str_eq(why, "wrong version number");
}
END_TEST

START_TEST(a_server_that_closes_fails_too)
{
	ck_assert_int_eq(tls_client_handshake(tls, &events, &why), 0);
	close(peer);
	peer = -1;
	ck_assert_int_eq(tls_client_handshake(tls, &events, &why), -1);
	ck_assert_ptr_nonnull(why);
}
END_TEST

START_TEST(a_file_without_authorities_is_refused)
{
	ck_assert_ptr_null(tls_client_context("/nowhere.pem", &why));
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_null(tls_client_context("/dev/null", &why));
	ck_assert_str_eq(why, "no certificate or crl found");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_handshake_waits_for_the_server_and_names_it,
		what_is_no_tls_fails_with_the_reason,
		a_server_that_closes_fails_too,
		a_file_without_authorities_is_refused,
	};

	return unit_run("tls_client", tests, ARRAY_LEN(tests), setup, teardown);
}
