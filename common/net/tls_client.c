#include "common/net/tls_client.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>

#include "common/base/panic.h"
#include "common/net/net.h"

static const char *last_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return text != NULL ? text : "the connection was closed";
}

struct ssl_ctx_st *tls_client_context(const char *ca_file, const char **why)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int loaded;

	if (context == NULL)
		panic("SSL_CTX_new");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	loaded = ca_file == NULL ? SSL_CTX_set_default_verify_paths(context)
	                         : SSL_CTX_load_verify_locations(context, ca_file, NULL);
	if (loaded == 1)
		return context;
	*why = last_error();
	SSL_CTX_free(context);
	return NULL;
}

void tls_client_free_context(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

struct ssl_st *tls_client_new(struct ssl_ctx_st *context, int fd, const char *name)
{
	SSL *tls = SSL_new(context);
	union net_address address;
	int set;

	if (tls == NULL || SSL_set_fd(tls, fd) != 1)
		panic("SSL_new");
	SSL_set_connect_state(tls);
	SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (net_numeric(name, 0, &address) == 0)
		set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), name);
	else
		set = SSL_set1_host(tls, name) == 1 && SSL_set_tlsext_host_name(tls, name) == 1;
	if (set != 1)
		panic("SSL_set1_host");
	return tls;
}

void tls_client_free(struct ssl_st *tls)
{
	SSL_free(tls);
}

int tls_client_handshake(struct ssl_st *tls, unsigned *events, const char **why)
{
	long verdict;
	int result, error;

	ERR_clear_error();
	result = SSL_do_handshake(tls);
	if (result == 1)
		return 1;
	error = SSL_get_error(tls, result);
	*events = error == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	verdict = SSL_get_verify_result(tls);
	*why = verdict == X509_V_OK ? last_error() : X509_verify_cert_error_string(verdict);
	ERR_clear_error();
	return -1;
}

/* What RESULT of a read or write is in terms of sockets. */
static ssize_t settle(struct ssl_st *tls, int result)
{
	int error = SSL_get_error(tls, result);

	ERR_clear_error();
	if (result > 0)
		return result;
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		errno = EAGAIN;
	else if (error != SSL_ERROR_SYSCALL || errno == 0)
		errno = ECONNRESET;
	return -1;
}

ssize_t tls_client_read(struct ssl_st *tls, void *room, size_t size)
{
	errno = 0;
	ERR_clear_error();
	return settle(tls, SSL_read(tls, room, size > INT_MAX ? INT_MAX : (int)size));
}

size_t tls_client_pending(const struct ssl_st *tls)
{
	return (size_t)SSL_pending(tls);
}

int tls_client_flush(struct ssl_st *tls, struct buf *buf)
{
	while (buf_len(buf) > 0) {
		size_t len = buf_len(buf);
		ssize_t sent;

		errno = 0;
		ERR_clear_error();
		sent = settle(tls,
		              SSL_write(tls, buf_data(buf), len > INT_MAX ? INT_MAX : (int)len));
		if (sent <= 0)
			return sent < 0 && errno == EAGAIN ? 0 : -1;
		buf_consume(buf, (size_t)sent);
	}
	return 0;
}
