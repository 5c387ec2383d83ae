/*
 * A TLS server in a child process that speaks just enough HTTP/2 (RFC 9113) to answer every request
 * the same way. The body of an answer is the number of its connection, counted from 1.
 */
#ifndef OG_TESTS_UNIT_H2_SERVER_H
#define OG_TESTS_UNIT_H2_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <linux/sockios.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/net/net.h"
#include "tests/unit/certificate.h"

enum h2_manner {
	H2_ANSWERS, /* 200 and a body; 404 to one who shows no certificate where one is asked for */
	H2_SILENT,  /* takes requests and says nothing */
	H2_CUTS,    /* ends the connection at the first request */
	H2_CUTS_ANSWERS, /* ends it after the status */
	H2_GOES_AWAY,    /* GOAWAY and the end after each answer */
	H2_LEAVES, /* on the first connection GOAWAY in place of an answer, which stays open */
	H2_LEAVES_BEHIND, /* the same behind the answer to the second request of three */
	H2_LACKS_ALPN,    /* TLS without any protocol named */
	H2_REFUSES,       /* the certificate that it asked for: by an alert of TLS */
	H2_HANGS_UP,      /* at the certificate that it asked for, without an alert */
};

struct h2_server {
	int tls_max; /* set before the start: the newest version that it speaks; 0: any */
	int fault;   /* set before the start: X509_V_ERR_… that H2_REFUSES finds */
	pid_t pid;
	int left; /* a pipe from which a byte can be read when the client's kernel has the GOAWAY */
	char url[64];
};

enum { H2_DATA = 0, H2_HEADERS = 1, H2_SETTINGS = 4, H2_GOAWAY = 7 };
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4 };

static inline int h2_choose(SSL *ssl, const unsigned char **out, unsigned char *len,
                            const unsigned char *in, unsigned in_len, void *data)
{
	(void)ssl, (void)in, (void)in_len, (void)data;
	*out = (const unsigned char *)"h2";
	*len = 2;
	return SSL_TLSEXT_ERR_OK;
}

static inline int h2_take_any(int preverified, X509_STORE_CTX *store)
{
	(void)preverified, (void)store;
	return 1;
}

/* In the place of OpenSSL's own look at the client's certificate; DATA is the server's fault. */
static inline int h2_refuse(X509_STORE_CTX *store, void *data)
{
	X509_STORE_CTX_set_error(store, *(int *)data);
	return 0;
}

static inline int h2_hang_up(X509_STORE_CTX *store, void *data)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

	(void)data;
	shutdown(SSL_get_fd(ssl), SHUT_RDWR);
	return 1;
}

/* Writes a frame to AT; the place behind it. */
static inline char *h2_frame(char *at, int type, int flags, unsigned stream, const char *data,
                             unsigned char len)
{
	char head[9] = { 0, 0, (char)len, (char)type, (char)flags };

	stream = htonl(stream);
	memcpy(head + 5, &stream, 4);
	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), data, len);
	return at + sizeof(head) + len;
}

static inline void h2_send(SSL *ssl, int type, int flags, unsigned stream, const char *data,
                           unsigned char len)
{
	char frame[9 + 255];

	SSL_write(ssl, frame, (int)(h2_frame(frame, type, flags, stream, data, len) - frame));
}

static inline int h2_read(SSL *ssl, unsigned char *data, size_t len)
{
	for (int n; len > 0; data += n, len -= (size_t)n)
		if ((n = SSL_read(ssl, data, (int)len)) <= 0)
			return -1;
	return 0;
}

static inline void h2_go_away(SSL *ssl, unsigned last)
{
	char body[8] = { 0 };

	last = htonl(last);
	memcpy(body, &last, 4);
	h2_send(ssl, H2_GOAWAY, 0, 0, body, sizeof(body));
}

/* Tells LEFT that all that was sent has arrived. */
static inline void h2_tell_left(SSL *ssl, int left)
{
	int unread = 1;

	while (ioctl(SSL_get_fd(ssl), SIOCOUTQ, &unread) == 0 && unread > 0)
		poll(NULL, 0, 1);
	(void)!write(left, "", 1);
}

/* The answer to the second of three requests, and GOAWAY behind it in one record of TLS. */
static inline void h2_leave_behind(SSL *ssl)
{
	char frames[64], *at = frames;

	at = h2_frame(at, H2_HEADERS, H2_END_HEADERS, 3, "\x88", 1);
	at = h2_frame(at, H2_DATA, H2_END_STREAM, 3, "1", 1);
	at = h2_frame(at, H2_GOAWAY, 0, 0, "\0\0\0\5\0\0\0", 8);
	SSL_write(ssl, frames, (int)(at - frames));
}

/* What the first connection of one that leaves does with the request on STREAM. */
static inline void h2_leave(SSL *ssl, enum h2_manner manner, unsigned stream, int left)
{
	unsigned last = manner == H2_LEAVES ? 1 : 5;

	if (stream != last)
		return;
	if (manner == H2_LEAVES)
		h2_go_away(ssl, last);
	else
		h2_leave_behind(ssl);
	h2_tell_left(ssl, left);
}

/* Answers the request on STREAM; -1: the connection ends. */
static inline int h2_answer(SSL *ssl, enum h2_manner manner, unsigned stream, int connection,
                            int left)
{
	X509 *shown = SSL_get1_peer_certificate(ssl);
	int refused = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && shown == NULL;
	char body[16];

	X509_free(shown);
	snprintf(body, sizeof(body), "%d", connection);
	if (manner == H2_SILENT)
		return 0;
	if (manner == H2_CUTS)
		return -1;
	if ((manner == H2_LEAVES || manner == H2_LEAVES_BEHIND) && connection == 1) {
		h2_leave(ssl, manner, stream, left);
		return 0;
	}
	/* Entries 8 and 13 of HPACK's static table: ":status: 200" and ":status: 404". */
	h2_send(ssl, H2_HEADERS, H2_END_HEADERS, stream, refused ? "\x8d" : "\x88", 1);
	if (manner == H2_CUTS_ANSWERS)
		return -1;
	h2_send(ssl, H2_DATA, H2_END_STREAM, stream, body, (unsigned char)strlen(body));
	if (manner != H2_GOES_AWAY)
		return 0;
	h2_go_away(ssl, stream);
	return -1;
}

static inline void h2_converse(SSL *ssl, enum h2_manner manner, int connection, int left)
{
	static unsigned char frame[1 << 16];
	unsigned char head[24];
	unsigned len, stream;

	if (SSL_accept(ssl) <= 0 || h2_read(ssl, head, 24) < 0) /* the client's preface */
		return;
	h2_send(ssl, H2_SETTINGS, 0, 0, "", 0);
	while (h2_read(ssl, head, 9) == 0) {
		len = (unsigned)head[0] << 16 | (unsigned)head[1] << 8 | head[2];
		memcpy(&stream, head + 5, 4);
		if (len > sizeof(frame) || h2_read(ssl, frame, len) < 0)
			return;
		if (head[3] == H2_SETTINGS && !(head[4] & H2_ACK))
			h2_send(ssl, H2_SETTINGS, H2_ACK, 0, "", 0);
		if (head[3] <= H2_HEADERS && head[4] & H2_END_STREAM &&
		    h2_answer(ssl, manner, ntohl(stream), connection, left) < 0)
			return;
	}
}

/* Without a reset, which what the client still sends would otherwise be answered with. */
static inline void h2_close(int fd)
{
	char rest[256];

	shutdown(fd, SHUT_WR);
	while (read(fd, rest, sizeof(rest)) > 0)
		;
}

static inline void h2_serve(int listener, SSL_CTX *context, enum h2_manner manner, int left)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	for (int connection = 1;; connection++) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(context);

		if (fd >= 0 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			SSL_set_fd(ssl, fd);
			h2_converse(ssl, manner, connection, left);
			SSL_shutdown(ssl);
			h2_close(fd);
			_exit(0);
		}
		SSL_free(ssl);
		close(fd);
	}
}

/* Starts it with CERTIFICATE; asks clients for one of theirs if ASKS. */
static inline void h2_server_start(struct h2_server *server, const struct certificate *certificate,
                                   enum h2_manner manner, int asks)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	BIO *key = BIO_new_mem_buf(certificate->key, -1);
	EVP_PKEY *private = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	union net_address address;
	char text[NET_TEXT_MAX];
	int listener, left[2];

	ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(context, certificate->file), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, private), 1);
	if (manner != H2_LACKS_ALPN)
		SSL_CTX_set_alpn_select_cb(context, h2_choose, NULL);
	if (asks)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, h2_take_any);
	if (manner == H2_REFUSES || manner == H2_HANGS_UP)
		SSL_CTX_set_cert_verify_callback(
		        context, manner == H2_REFUSES ? h2_refuse : h2_hang_up, &server->fault);
	SSL_CTX_set_max_proto_version(context, server->tls_max);
	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, &address.sa, net_length(&address)), 0);
	ck_assert_int_eq(listen(listener, 100), 0);
	ck_assert_int_eq(net_local(listener, &address), 0);
	snprintf(server->url, sizeof(server->url), "https://%s/", net_format(&address, text));
	ck_assert_int_eq(pipe(left), 0);
	server->left = left[0];
	server->pid = fork();
	ck_assert_int_ge(server->pid, 0);
	if (server->pid == 0)
		h2_serve(listener, context, manner, left[1]);
	close(listener);
	close(left[1]);
	EVP_PKEY_free(private);
	BIO_free(key);
	SSL_CTX_free(context);
}

static inline void h2_server_stop(struct h2_server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	close(server->left);
}

/* Waits, without a turn of the loop, for the GOAWAY of one that leaves. */
static inline void h2_server_wait_left(const struct h2_server *server)
{
	char byte;

	ck_assert_int_eq(read(server->left, &byte, 1), 1);
}

#endif
