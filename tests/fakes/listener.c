#include "tests/fakes/listener.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 64
#define PAUSE_MS 100

/* In our order, as Google and Apple have it. */
static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char served[] = "\x02h2\x08http/1.1";
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_len, served, sizeof(served) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A certificate that isn't good is APNs's to refuse, by a reason. */
static int take_any(int good, X509_STORE_CTX *context)
{
	return 1;
}

/* Asks for a client's certificate, and does without it. */
static bool ask_for_certificate(SSL_CTX *tls, const char *ca, struct refusals *refusals)
{
	static const unsigned char session_context[] = "providers";

	if (ca == NULL)
		return true;
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, take_any);
	refusals_apply(refusals, tls);
	SSL_CTX_set_session_id_context(tls, session_context, sizeof(session_context) - 1);
	return SSL_CTX_load_verify_file(tls, ca) == 1;
}

static SSL_CTX *tls_new(const struct listener_options *options, struct refusals *refusals,
                        char *why, size_t size)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	const char *file = options->client_ca;

	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	if (options->tls12)
		SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                              SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(tls, 1);
	if (!options->no_alpn)
		SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
	if (!ask_for_certificate(tls, file, refusals))
		goto failed;
	file = options->certificate;
	if (SSL_CTX_use_certificate_chain_file(tls, file) != 1)
		goto failed;
	file = options->key;
	if (SSL_CTX_use_PrivateKey_file(tls, file, SSL_FILETYPE_PEM) == 1)
		return tls;
failed:
	snprintf(why, size, "%s: %s", file, ERR_reason_error_string(ERR_peek_last_error()));
	SSL_CTX_free(tls);
	return NULL;
}

/* No descriptors left: a listening socket that stays readable would spin. */
static void pause_accepting(struct listener *listener)
{
	log_warn("accept-paused error=%s", strerror(errno));
	io_stop(&listener->io);
	timer_start(&listener->again, PAUSE_MS);
}

static void on_again(struct timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, again);

	if (io_start(&listener->io, listener->io.fd, EPOLLIN) < 0)
		timer_start(&listener->again, PAUSE_MS);
}

static bool nothing_to_accept(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED;
}

static void on_ready(struct io *io, uint32_t events)
{
	struct listener *listener = container_of(io, struct listener, io);

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		union net_address client;
		socklen_t length = sizeof(client);
		int fd = accept4(io->fd, &client.sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && !nothing_to_accept(errno))
			pause_accepting(listener);
		if (fd < 0)
			return;
		connection_open(&listener->owner, fd, &client);
	}
}

int listener_start(struct listener *listener, const struct listener_options *options, char *why,
                   size_t size)
{
	char text[NET_TEXT_MAX];
	int fd;

	listener->owner.tls = tls_new(options, &listener->owner.service->refusals, why, size);
	if (listener->owner.tls == NULL)
		return -1;
	listener->owner.no_http = options->no_alpn;
	list_init(&listener->owner.connections);
	lingers_init(&listener->owner.lingers);
	fd = net_listen(&options->listen, BACKLOG);
	if (fd < 0 || net_local(fd, &listener->address) < 0) {
		snprintf(why, size, "%s: %s", net_format(&options->listen, text), strerror(errno));
		SSL_CTX_free(listener->owner.tls);
		listener->owner.tls = NULL;
		return -1;
	}
	listener->again.expired = on_again;
	listener->io = (struct io){ .ready = on_ready, .fd = fd };
	on_again(&listener->again);
	return 0;
}

void listener_stop(struct listener *listener)
{
	if (listener->owner.tls == NULL)
		return;
	connection_close_all(&listener->owner);
	lingers_release(&listener->owner.lingers);
	timer_stop(&listener->again);
	io_stop(&listener->io);
	close(listener->io.fd);
	SSL_CTX_free(listener->owner.tls);
	listener->owner.tls = NULL;
}
