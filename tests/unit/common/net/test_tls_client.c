#include "common/net/tls_client.c"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/unit/certificate.h"
#include "tests/unit/unit.h"

/* Real servers that prove their name, or fail to, are in tests/e2e/test_component_tls.py. */

static struct ssl_ctx_st *context;
static struct ssl_st *tls;
static int peer; /* the server's end */
static int own;
static unsigned events;
static const char *why;

static void setup(void)
{
	int pair[2];

	signal(SIGPIPE, SIG_IGN); /* as loop_init() does */
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

START_TEST(a_handshake_that_cannot_be_sent_waits_for_that)
{
	static const char bytes[4096];

	while (write(own, bytes, sizeof(bytes)) > 0)
		;
	ck_assert_int_eq(tls_client_handshake(tls, &events, &why), 0);
	ck_assert_uint_eq(events, EPOLLOUT);
}
END_TEST

START_TEST(nothing_older_than_tls_1_2_and_no_partial_wildcard_is_taken)
{
	ck_assert_int_eq(SSL_CTX_get_min_proto_version(context), TLS1_2_VERSION);
	ck_assert_uint_eq(X509_VERIFY_PARAM_get_hostflags(SSL_get0_param(tls)),
	                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}
END_TEST

/* ---- a server with a certificate for 127.0.0.1 and localhost ---- */

static SSL *remote;

/* Connects to NAME, TRUSTED: with its certificate as authority: what the handshake returned. */
static int shake_hands(const char *name, bool trusted)
{
	struct certificate certificate;
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	BIO *chain, *key;
	X509 *x509;
	EVP_PKEY *private;
	int done;

	certificate_init(&certificate);
	chain = BIO_new_mem_buf(certificate.chain, -1);
	key = BIO_new_mem_buf(certificate.key, -1);
	x509 = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	private = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	ck_assert_int_eq(SSL_CTX_use_certificate(server, x509), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(server, private), 1);
	remote = SSL_new(server);
	SSL_set_fd(remote, peer);
	SSL_set_accept_state(remote);

	tls_client_free(tls);
	tls_client_free_context(context);
	context = tls_client_context(trusted ? certificate.file : NULL, &why);
	tls = tls_client_new(context, own, name);
	while ((done = tls_client_handshake(tls, &events, &why)) == 0)
		SSL_do_handshake(remote);
	SSL_do_handshake(remote);

	certificate_release(&certificate);
	X509_free(x509);
	EVP_PKEY_free(private);
	BIO_free(chain);
	BIO_free(key);
	SSL_CTX_free(server);
	return done;
}

static void refuses(const char *name, bool trusted, long verdict)
{
	ck_assert_int_eq(shake_hands(name, trusted), -1);
	ck_assert_int_eq(SSL_get_verify_result(tls), verdict);
	ck_assert_str_eq(why, X509_verify_cert_error_string(verdict));
	SSL_free(remote);
}

START_TEST(a_host_is_proved)
{
	ck_assert_int_eq(shake_hands("localhost", true), 1);
	SSL_free(remote);
}
END_TEST

START_TEST(an_address_is_proved)
{
	ck_assert_int_eq(shake_hands("127.0.0.1", true), 1);
	SSL_free(remote);
}
END_TEST

START_TEST(another_host_is_refused)
{
	refuses("xmpp.example.org", true, X509_V_ERR_HOSTNAME_MISMATCH);
}
END_TEST

START_TEST(another_address_is_refused)
{
	refuses("127.0.0.2", true, X509_V_ERR_IP_ADDRESS_MISMATCH);
}
END_TEST

START_TEST(an_unknown_authority_is_refused)
{
	refuses("localhost", false, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
}
END_TEST

START_TEST(the_rest_is_sent_from_where_the_buffer_is_then)
{
	static char bytes[1 << 20];
	struct buf buf = { 0 };
	size_t unsent, came = 0, total = 2 * sizeof(bytes);
	int count;

	ck_assert_int_eq(shake_hands("localhost", true), 1);
	buf_append(&buf, bytes, sizeof(bytes));
	ck_assert_int_eq(tls_client_flush(tls, &buf), 0);
	unsent = buf_len(&buf);
	ck_assert_uint_gt(unsent, 0);
	ck_assert_uint_lt(unsent, sizeof(bytes));
	buf_append(&buf, bytes, sizeof(bytes)); /* moves it */
	while (came < total) {
		ck_assert_int_eq(tls_client_flush(tls, &buf), 0);
		while ((count = SSL_read(remote, bytes, sizeof(bytes))) > 0)
			came += (size_t)count;
	}
	ck_assert_uint_eq(came, total);
	ck_assert_uint_eq(buf_len(&buf), 0);
	buf_release(&buf);
	SSL_free(remote);
}
END_TEST

static void read_after_end(bool in_order)
{
	char byte;

	ck_assert_int_eq(shake_hands("localhost", true), 1);
	ck_assert_int_eq(tls_client_read(tls, &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	if (in_order)
		SSL_shutdown(remote);
	SSL_free(remote);
	close(peer);
	peer = -1;
	ck_assert_int_eq(tls_client_read(tls, &byte, 1), in_order ? 0 : -1);
	if (!in_order)
		ck_assert_int_eq(errno, ECONNRESET);
}

START_TEST(a_close_in_order_is_the_end)
{
	read_after_end(true);
}
END_TEST

START_TEST(any_other_close_is_an_error)
{
	read_after_end(false);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_handshake_waits_for_the_server_and_names_it,
		what_is_no_tls_fails_with_the_reason,
		a_server_that_closes_fails_too,
		a_file_without_authorities_is_refused,
		a_handshake_that_cannot_be_sent_waits_for_that,
		nothing_older_than_tls_1_2_and_no_partial_wildcard_is_taken,
		a_host_is_proved,
		an_address_is_proved,
		another_host_is_refused,
		another_address_is_refused,
		an_unknown_authority_is_refused,
		the_rest_is_sent_from_where_the_buffer_is_then,
		a_close_in_order_is_the_end,
		any_other_close_is_an_error,
	};

	return unit_run("tls_client", tests, ARRAY_LEN(tests), setup, teardown);
}
