/*
 * Preloaded into a daemon: counts the calls that can fail, and makes the n-th of one kind fail.
 *
 * OG_TORTURE names a file that is mapped as a struct board; the test (tests/e2e/torture.py) writes
 * what shall fail and reads what was counted. Beside ASan this library comes behind libasan in
 * LD_PRELOAD: the daemon calls libasan's interceptor, which calls the next one, which is here, and
 * this calls the next one, which is the library's. Calls that a library makes are counted, too,
 * except to libcrypto, whose calls from libssl are too many.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define KINDS_MAX 96
#define NAME_BYTES 40
#define FDS_MAX 4096
#define SHORT (-1) /* the fault that isn't one: only one byte is taken or given */

/* What the call returns when it fails stands with each function below. */
/* clang-format off */
#define KINDS(X) \
	X(read) X(write) X(writev) X(send) X(sendto) X(sendmsg) X(sendfile64) X(recv) \
	X(recvfrom) X(recvmsg) X(splice) X(accept4) X(connect) X(socket) X(socketpair) \
	X(bind) X(listen) X(pipe2) X(eventfd) X(epoll_create1) X(epoll_ctl) \
	X(epoll_wait) X(signalfd) X(open) X(fopen) X(getrandom) X(fcntl) X(getsockname) \
	X(redisAsyncConnect) X(redisAsyncConnectUnix) X(redisAsyncCommand) \
	X(redisAsyncFormattedCommand) X(redisFormatCommandArgv) X(redisvFormatCommand) \
	X(redisBufferWrite) X(curl_global_init) X(curl_easy_init) X(curl_easy_setopt) \
	X(curl_easy_getinfo) X(curl_multi_init) X(curl_multi_setopt) \
	X(curl_multi_add_handle) X(curl_multi_socket_action) X(MHD_start_daemon) \
	X(MHD_add_connection) X(MHD_create_response_from_buffer) \
	X(MHD_add_response_header) X(MHD_queue_response) X(MHD_run) X(ares_init_options) \
	X(SSL_CTX_new) X(SSL_CTX_load_verify_locations) X(SSL_new) X(SSL_set_fd) \
	X(SSL_set1_host) X(SSL_connect) X(SSL_do_handshake) X(SSL_read) X(SSL_write) \
	X(RAND_bytes) X(BIO_new) X(BIO_new_mem_buf) X(EVP_MD_CTX_new) \
	X(EVP_DigestInit_ex) X(EVP_DigestSignInit) X(EVP_DigestSign) \
	X(EVP_DigestVerifyInit) X(EVP_CIPHER_CTX_new) X(EVP_EncryptInit_ex) \
	X(EVP_EncryptUpdate) X(EVP_EncryptFinal_ex) X(EVP_DecryptInit_ex) \
	X(EVP_DecryptUpdate) X(EVP_DecryptFinal_ex) X(PEM_read_bio_PrivateKey) \
	X(PEM_read_bio_X509) X(PEM_write_bio_PKCS8PrivateKey) X(PEM_write_bio_PUBKEY) \
	X(PEM_write_bio_X509) X(PKCS12_parse) X(d2i_PKCS12) X(X509_digest)
/* clang-format on */

#define KIND_ENUM(name) KIND_##name,
enum kind { KINDS(KIND_ENUM) KIND_COUNT };

#define KIND_NAME(name) #name,
static const char *const names[] = { KINDS(KIND_NAME) };
_Static_assert(KIND_COUNT <= KINDS_MAX, "room for all");

/* Shared with the test, which knows this layout. */
struct board {
	_Atomic uint32_t counting; /* calls are counted, and may fail */
	uint32_t kind, first;      /* the first of this kind's calls to fail; 0: none fails */
	uint32_t times;            /* so many in a row */
	int32_t fault;             /* an errno, SHORT, or the library's own number */
	uint32_t trace;            /* say on stderr where a call is made to fail */
	_Atomic uint32_t struck;   /* how many were */
	_Atomic uint32_t leaks;    /* 1: look for leaks; answered by 2: none, or 3: on stderr */
	_Atomic uint32_t counts[KINDS_MAX];
	char names[KINDS_MAX][NAME_BYTES];
};

static struct board *board;
static struct {
	uintptr_t start, end;
} program; /* where the daemon's own code is */

/* Edge-triggered watches: a call that says EAGAIN must be followed by an edge. */
static struct {
	int epoll; /* plus one; 0: none */
	struct epoll_event event;
} watches[FDS_MAX];

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
void __sanitizer_print_stack_trace(void) __attribute__((weak));

static int find_program(struct dl_phdr_info *info, size_t size, void *data)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		if (program.start == 0)
			program.start = start;
		program.end = start + info->dlpi_phdr[i].p_memsz;
	}
	return 1; /* the program is the first one */
}

__attribute__((constructor)) static void map_board(void)
{
	const char *path = getenv("OG_TORTURE");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *room = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*board)) == 0)
		room = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (room == MAP_FAILED) {
		perror("OG_TORTURE");
		_exit(1);
	}
	close(fd);
	dl_iterate_phdr(find_program, NULL);
	board = room;
	for (int kind = 0; kind < KIND_COUNT; kind++)
		snprintf(board->names[kind], NAME_BYTES, "%s", names[kind]);
}

static void find(void *function, const char *name)
{
	if (*(void **)function == NULL)
		*(void **)function = dlsym(RTLD_NEXT, name);
	if (*(void **)function == NULL)
		abort();
}

/* Counts a call; what it shall fail with, or 0. */
static int fault_of(enum kind kind)
{
	uint32_t n;

	if (board == NULL || !board->counting)
		return 0;
	n = ++board->counts[kind];
	if (kind != board->kind || board->first == 0 || n < board->first ||
	    n - board->first >= board->times)
		return 0;
	board->struck++;
	if (board->trace && __sanitizer_print_stack_trace != NULL) {
		int saved_errno = errno;

		__sanitizer_print_stack_trace();
		errno = saved_errno;
	}
	return board->fault;
}

static int fault_of_own(enum kind kind, const void *caller)
{
	bool own = (uintptr_t)caller >= program.start && (uintptr_t)caller < program.end;

	return own ? fault_of(kind) : 0;
}

static int failed(int error)
{
	errno = error;
	return -1;
}

static int (*real_epoll_ctl)(int, int, int, struct epoll_event *);

/* A descriptor that was called not ready becomes ready: its watch gives a new edge. */
static void give_edge(int fd)
{
	if (fd < 0 || fd >= FDS_MAX || watches[fd].epoll == 0 ||
	    (watches[fd].event.events & EPOLLET) == 0)
		return;
	real_epoll_ctl(watches[fd].epoll - 1, EPOLL_CTL_MOD, fd, &watches[fd].event);
}

static int refused(int fd, int error)
{
	if (error == EAGAIN)
		give_edge(fd);
	return failed(error);
}

#define WRAP_IF(question, result, name, params, args, failure)                                     \
	result name params;                                                                        \
	result name params                                                                         \
	{                                                                                          \
		static result(*real) params;                                                       \
		int fault;                                                                         \
                                                                                                   \
		find(&real, #name);                                                                \
		fault = question;                                                                  \
		return fault != 0 ? (failure) : real args;                                         \
	}
#define WRAP(result, name, params, args, failure)                                                  \
	WRAP_IF(fault_of(KIND_##name), result, name, params, args, failure)
#define WRAP_OWN(result, name, params, args, failure)                                              \
	WRAP_IF(fault_of_own(KIND_##name, __builtin_return_address(0)), result, name, params,      \
	        args, failure)

/* ---- the system's ---- */

/* clang-format off */
WRAP(ssize_t, read, (int fd, void *room, size_t size), (fd, room, size),
     fault == SHORT ? real(fd, room, size > 0) : refused(fd, fault))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size),
     fault == SHORT ? real(fd, data, size > 0) : refused(fd, fault))
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count),
     fault == SHORT ? write(fd, parts[0].iov_base, parts[0].iov_len > 0) : refused(fd, fault))
WRAP(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags),
     fault == SHORT ? real(fd, data, size > 0, flags) : refused(fd, fault))
WRAP(ssize_t, sendto,
     (int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t len),
     (fd, data, size, flags, to, len), refused(fd, fault))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
     fault == SHORT ? send(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len > 0, flags)
                    : refused(fd, fault))
WRAP(ssize_t, sendfile64, (int out, int in, off64_t *offset, size_t count),
     (out, in, offset, count), refused(out, fault))
WRAP(ssize_t, recv, (int fd, void *room, size_t size, int flags), (fd, room, size, flags),
     fault == SHORT ? real(fd, room, size > 0, flags) : refused(fd, fault))
WRAP(ssize_t, recvfrom,
     (int fd, void *room, size_t size, int flags, struct sockaddr *from, socklen_t *len),
     (fd, room, size, flags, from, len), refused(fd, fault))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags),
     refused(fd, fault))
WRAP(int, accept4, (int fd, struct sockaddr *from, socklen_t *len, int flags),
     (fd, from, len, flags), failed(fault))
WRAP(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len),
     failed(fault))
WRAP(int, socket, (int family, int type, int protocol), (family, type, protocol), failed(fault))
WRAP(int, socketpair, (int family, int type, int protocol, int fds[2]),
     (family, type, protocol, fds), failed(fault))
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len),
     failed(fault))
WRAP(int, listen, (int fd, int backlog), (fd, backlog), failed(fault))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), failed(fault))
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), failed(fault))
WRAP(int, epoll_create1, (int flags), (flags), failed(fault))
WRAP(int, signalfd, (int fd, const sigset_t *signals, int flags), (fd, signals, flags),
     failed(fault))
WRAP(ssize_t, getrandom, (void *room, size_t size, unsigned flags), (room, size, flags),
     failed(fault))
WRAP(int, getsockname, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len),
     failed(fault))
/* clang-format on */

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
               unsigned flags)
{
	static ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned);
	int fault;

	find(&real, "splice");
	fault = fault_of(KIND_splice);
	if (fault == 0)
		return real(in, in_offset, out, out_offset, size, flags);
	if (fault == SHORT)
		return real(in, in_offset, out, out_offset, size > 0, flags);
	if (fault == EAGAIN)
		give_edge(in);
	return refused(out, fault);
}

/* Only a new watch can be refused: a change needs no memory, and a removal can't fail. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	int fault = operation == EPOLL_CTL_ADD ? fault_of(KIND_epoll_ctl) : 0;

	find(&real_epoll_ctl, "epoll_ctl");
	if (fault != 0)
		return failed(fault);
	if (fd >= 0 && fd < FDS_MAX)
		watches[fd].epoll = operation == EPOLL_CTL_DEL ? 0 : epoll + 1;
	if (fd >= 0 && fd < FDS_MAX && event != NULL)
		watches[fd].event = *event;
	return real_epoll_ctl(epoll, operation, fd, event);
}

static void look_for_leaks(void)
{
	int found;

	if (board == NULL || board->leaks != 1)
		return;
	found = __lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check();
	board->leaks = found ? 3 : 2;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	static int (*real)(int, struct epoll_event *, int, int);
	int fault;

	find(&real, "epoll_wait");
	look_for_leaks();
	fault = fault_of(KIND_epoll_wait);
	return fault != 0 ? failed(fault) : real(epoll, events, most, timeout_ms);
}

static int open_as(enum kind kind, const char *name, const char *path, int flags, mode_t mode)
{
	int (*real)(const char *, int, ...) = NULL;
	int fault = fault_of(kind);

	find(&real, name);
	return fault != 0 ? failed(fault) : real(path, flags, mode);
}

/* The mode is read whether it was given or not: what is there is then not looked at. */
#define WRAP_OPEN(name)                                                                            \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list args;                                                                      \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(args, flags);                                                             \
		mode = va_arg(args, mode_t);                                                       \
		va_end(args);                                                                      \
		return open_as(KIND_open, #name, path, flags, mode);                               \
	}
WRAP_OPEN(open)
WRAP_OPEN(open64)

#define WRAP_FOPEN(name)                                                                           \
	FILE *name(const char *path, const char *mode)                                             \
	{                                                                                          \
		static FILE *(*real)(const char *, const char *);                                  \
		int fault = fault_of(KIND_fopen);                                                  \
                                                                                                   \
		find(&real, #name);                                                                \
		if (fault == 0)                                                                    \
			return real(path, mode);                                                   \
		errno = fault;                                                                     \
		return NULL;                                                                       \
	}
WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)

/* Only the commands that make a descriptor. */
#define WRAP_FCNTL(name)                                                                           \
	int name(int fd, int command, ...)                                                         \
	{                                                                                          \
		static int (*real)(int, int, ...);                                                 \
		bool makes = command == F_DUPFD || command == F_DUPFD_CLOEXEC;                     \
		int fault = makes ? fault_of(KIND_fcntl) : 0;                                      \
		va_list args;                                                                      \
		void *arg;                                                                         \
                                                                                                   \
		va_start(args, command);                                                           \
		arg = va_arg(args, void *);                                                        \
		va_end(args);                                                                      \
		find(&real, #name);                                                                \
		return fault != 0 ? failed(fault) : real(fd, command, arg);                        \
	}
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

/* ---- hiredis ---- */

static int set_error(redisContext *context, int error)
{
	context->err = REDIS_ERR_IO;
	snprintf(context->errstr, sizeof(context->errstr), "%s", strerror(error));
	return REDIS_ERR;
}

/* What hiredis returns when connect() fails at once: a context that says why. */
static redisAsyncContext *broken(redisAsyncContext *context, int error)
{
	if (context == NULL)
		return NULL;
	set_error(&context->c, error);
	context->err = context->c.err;
	context->errstr = context->c.errstr;
	return context;
}

/* clang-format off */
WRAP(redisAsyncContext *, redisAsyncConnect, (const char *host, int port), (host, port),
     fault == SHORT ? NULL : broken(real(host, port), fault))
WRAP(redisAsyncContext *, redisAsyncConnectUnix, (const char *path), (path),
     fault == SHORT ? NULL : broken(real(path), fault))
WRAP(int, redisAsyncFormattedCommand,
     (redisAsyncContext *context, redisCallbackFn *done, void *data, const char *text, size_t len),
     (context, done, data, text, len), REDIS_ERR)
/* clang-format on */

int redisAsyncCommand(redisAsyncContext *context, redisCallbackFn *done, void *data,
                      const char *format, ...)
{
	int (*real)(redisAsyncContext *, redisCallbackFn *, void *, const char *, va_list) = NULL;
	va_list args;
	int result;

	if (fault_of(KIND_redisAsyncCommand) != 0)
		return REDIS_ERR;
	find(&real, "redisvAsyncCommand");
	va_start(args, format);
	result = real(context, done, data, format, args);
	va_end(args);
	return result;
}

#if HIREDIS_MAJOR >= 1
typedef long long command_length;
#else
typedef int command_length;
#endif

/* clang-format off */
WRAP(command_length, redisFormatCommandArgv,
     (char **target, int argc, const char **argv, const size_t *lens), (target, argc, argv, lens),
     -1)
WRAP(int, redisvFormatCommand, (char **target, const char *format, va_list args),
     (target, format, args), -1)
WRAP(int, redisBufferWrite, (redisContext *context, int *done), (context, done),
     set_error(context, ENOBUFS))

/* ---- libcurl: the fault is the CURLcode or CURLMcode ---- */

WRAP(int, curl_global_init, (long flags), (flags), fault)
WRAP(void *, curl_easy_init, (void), (), NULL)
WRAP(void *, curl_multi_init, (void), (), NULL)
WRAP(int, curl_multi_add_handle, (void *multi, void *easy), (multi, easy), fault)
WRAP(int, curl_multi_socket_action, (void *multi, int fd, int what, int *running),
     (multi, fd, what, running), fault)
/* clang-format on */

/* All kinds of arguments are as wide as a pointer. */
_Static_assert(sizeof(void *) == sizeof(int64_t), "curl_off_t is as wide as a pointer");
#define WRAP_OPTION(name)                                                                          \
	int name(void *handle, int option, ...);                                                   \
	int name(void *handle, int option, ...)                                                    \
	{                                                                                          \
		static int (*real)(void *, int, ...);                                              \
		int fault = fault_of(KIND_##name);                                                 \
		va_list args;                                                                      \
		void *arg;                                                                         \
                                                                                                   \
		va_start(args, option);                                                            \
		arg = va_arg(args, void *);                                                        \
		va_end(args);                                                                      \
		find(&real, #name);                                                                \
		return fault != 0 ? fault : real(handle, option, arg);                             \
	}
WRAP_OPTION(curl_easy_setopt)
WRAP_OPTION(curl_easy_getinfo)
WRAP_OPTION(curl_multi_setopt)

/* ---- libmicrohttpd: MHD_NO is 0 ---- */

/* It closes the descriptor in any case. */
static int not_added(int fd)
{
	close(fd);
	return 0;
}

/* clang-format off */
WRAP(int, MHD_add_connection,
     (void *daemon, int fd, const struct sockaddr *address, socklen_t len),
     (daemon, fd, address, len), not_added(fd))
WRAP(void *, MHD_create_response_from_buffer, (size_t size, void *text, int mode),
     (size, text, mode), NULL)
WRAP(int, MHD_add_response_header, (void *response, const char *name, const char *value),
     (response, name, value), 0)
WRAP(int, MHD_queue_response, (void *connection, unsigned status, void *response),
     (connection, status, response), 0)
WRAP(int, MHD_run, (void *daemon), (daemon), 0)
/* clang-format on */

void *MHD_start_daemon(unsigned flags, uint16_t port, void *accept, void *accept_data,
                       void *handler, void *handler_data, ...);
void *MHD_start_daemon(unsigned flags, uint16_t port, void *accept, void *accept_data,
                       void *handler, void *handler_data, ...)
{
	static void *(*real)(unsigned, uint16_t, void *, void *, void *, void *, va_list);
	va_list args;
	void *daemon;

	if (fault_of(KIND_MHD_start_daemon) != 0)
		return NULL;
	find(&real, "MHD_start_daemon_va");
	va_start(args, handler_data);
	daemon = real(flags, port, accept, accept_data, handler, handler_data, args);
	va_end(args);
	return daemon;
}

/* ---- c-ares: the fault is its status ---- */

/* clang-format off */
WRAP(int, ares_init_options, (void **channel, void *options, int mask), (channel, options, mask),
     fault)
/* clang-format on */

/* ---- OpenSSL ---- */

#define ERR_LIB_SYS_ 2
#define ERR_LIB_SSL_ 20
#define SSL_R_BAD_LENGTH_ 271

/* SSL_get_error() will see the system's error FAULT, or with SHORT one of the protocol. */
static int tls_failed(int fault)
{
	static void (*begin)(void);
	static void (*set)(int, int, const char *, ...);

	find(&begin, "ERR_new");
	find(&set, "ERR_set_error");
	begin();
	set(fault == SHORT ? ERR_LIB_SSL_ : ERR_LIB_SYS_,
	    fault == SHORT ? SSL_R_BAD_LENGTH_ : fault, NULL);
	return failed(fault == SHORT ? 0 : fault);
}

/* clang-format off */
WRAP(void *, SSL_CTX_new, (const void *method), (method), NULL)
WRAP(int, SSL_CTX_load_verify_locations, (void *context, const char *file, const char *folder),
     (context, file, folder), 0)
WRAP(void *, SSL_new, (void *context), (context), NULL)
WRAP(int, SSL_set_fd, (void *tls, int fd), (tls, fd), 0)
WRAP(int, SSL_set1_host, (void *tls, const char *name), (tls, name), 0)
WRAP(int, SSL_connect, (void *tls), (tls), tls_failed(fault))
WRAP(int, SSL_do_handshake, (void *tls), (tls), tls_failed(fault))
WRAP(int, SSL_read, (void *tls, void *room, int size), (tls, room, size), tls_failed(fault))
WRAP(int, SSL_write, (void *tls, const void *data, int size), (tls, data, size),
     tls_failed(fault))

WRAP_OWN(int, RAND_bytes, (unsigned char *room, int size), (room, size), 0)
WRAP_OWN(void *, BIO_new, (const void *method), (method), NULL)
WRAP_OWN(void *, BIO_new_mem_buf, (const void *data, int len), (data, len), NULL)
WRAP_OWN(void *, EVP_MD_CTX_new, (void), (), NULL)
WRAP_OWN(int, EVP_DigestInit_ex, (void *context, const void *type, void *engine),
         (context, type, engine), 0)
WRAP_OWN(int, EVP_DigestSignInit,
         (void *context, void **key_context, const void *type, void *engine, void *key),
         (context, key_context, type, engine, key), 0)
WRAP_OWN(int, EVP_DigestSign,
         (void *context, unsigned char *signature, size_t *len, const unsigned char *data,
          size_t size),
         (context, signature, len, data, size), 0)
WRAP_OWN(int, EVP_DigestVerifyInit,
         (void *context, void **key_context, const void *type, void *engine, void *key),
         (context, key_context, type, engine, key), 0)
WRAP_OWN(void *, EVP_CIPHER_CTX_new, (void), (), NULL)
WRAP_OWN(int, EVP_EncryptInit_ex,
         (void *context, const void *type, void *engine, const unsigned char *key,
          const unsigned char *iv),
         (context, type, engine, key, iv), 0)
WRAP_OWN(int, EVP_EncryptUpdate,
         (void *context, unsigned char *out, int *len, const unsigned char *in, int size),
         (context, out, len, in, size), 0)
WRAP_OWN(int, EVP_EncryptFinal_ex, (void *context, unsigned char *out, int *len),
         (context, out, len), 0)
WRAP_OWN(int, EVP_DecryptInit_ex,
         (void *context, const void *type, void *engine, const unsigned char *key,
          const unsigned char *iv),
         (context, type, engine, key, iv), 0)
WRAP_OWN(int, EVP_DecryptUpdate,
         (void *context, unsigned char *out, int *len, const unsigned char *in, int size),
         (context, out, len, in, size), 0)
WRAP_OWN(int, EVP_DecryptFinal_ex, (void *context, unsigned char *out, int *len),
         (context, out, len), 0)
WRAP_OWN(void *, PEM_read_bio_PrivateKey, (void *bio, void **key, void *ask, void *data),
         (bio, key, ask, data), NULL)
WRAP_OWN(void *, PEM_read_bio_X509, (void *bio, void **certificate, void *ask, void *data),
         (bio, certificate, ask, data), NULL)
WRAP_OWN(int, PEM_write_bio_PKCS8PrivateKey,
         (void *bio, const void *key, const void *cipher, const char *password, int len,
          void *ask, void *data),
         (bio, key, cipher, password, len, ask, data), 0)
WRAP_OWN(int, PEM_write_bio_PUBKEY, (void *bio, const void *key), (bio, key), 0)
WRAP_OWN(int, PEM_write_bio_X509, (void *bio, const void *certificate), (bio, certificate), 0)
WRAP_OWN(int, PKCS12_parse,
         (void *file, const char *password, void **key, void **certificate, void **others),
         (file, password, key, certificate, others), 0)
WRAP_OWN(void *, d2i_PKCS12, (void **file, const unsigned char **data, long len),
         (file, data, len), NULL)
WRAP_OWN(int, X509_digest,
         (const void *certificate, const void *type, unsigned char *digest, unsigned *len),
         (certificate, type, digest, len), 0)
/* clang-format on */
