/*
 * Load for a relay: opens streams through SOCKS5 and the control API, moves bytes whose content is checked, and says
 * what that cost the relay in CPU and memory (from /proc/PID). With --direct the same bytes go over plain TCP connections,
 * to compare with. See tests/bench/relay for how it is run.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/net.h"

#define BLOCK (1 << 20) /* the content repeats after this many bytes */
#define PORTION (256 * 1024)
#define PORTIONS_PER_EVENT 4

struct transfer {
	struct io out, in;
	uint64_t sent, got;
};

enum mode { MODE_TRANSFER, MODE_IDLE, MODE_CHURN };

static struct {
	enum mode mode;
	bool direct, whole; /* whole: every byte is compared, not only the ends of each portion */
	unsigned streams;
	uint64_t bytes; /* of one stream */
	const char *token, *congestion;
	union net_address relay, control;
	int pid;
	int control_fd;
	unsigned serial;
} load = { .streams = 1, .bytes = 1 << 30, .token = "", .control_fd = -1 };

static unsigned char content[BLOCK + PORTION], arrived[PORTION];
static unsigned finished;

static void fail(const char *what)
{
	fprintf(stderr, "relay_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* What the relay has used up */

struct usage {
	double cpu_s;
	long memory_kib; /* private, resident */
};

static struct usage read_usage(void)
{
	struct usage usage = { 0 };
	unsigned long user, system_ticks;
	char path[64], line[1024];
	FILE *file;

	if (load.pid == 0)
		return usage;
	snprintf(path, sizeof(path), "/proc/%d/stat", load.pid);
	file = fopen(path, "re");
	if (file == NULL || fgets(line, sizeof(line), file) == NULL ||
	    sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
	           &user, &system_ticks) != 2)
		fail(path);
	fclose(file);
	usage.cpu_s = (double)(user + system_ticks) / (double)sysconf(_SC_CLK_TCK);
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", load.pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		long kib;

		if (sscanf(line, "Private_Dirty: %ld", &kib) == 1)
			usage.memory_kib = kib;
	}
	if (file != NULL)
		fclose(file);
	return usage;
}

static double now_s(void)
{
	return (double)loop_now_ns() / 1e9;
}

/* Opening streams: blocking, since it isn't what is measured (but for churn, where the relay's CPU is). */

static void tune(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (load.congestion != NULL && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, load.congestion,
	                                          (socklen_t)strlen(load.congestion)) != 0)
		fail(load.congestion);
}

static int dial(const union net_address *address)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	tune(fd);
	if (connect(fd, &address->sa, net_length(address)) != 0)
		fail("connect");
	return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send");
}

static void hear(int fd, void *bytes, size_t len)
{
	if (recv(fd, bytes, len, MSG_WAITALL) != (ssize_t)len)
		fail("recv");
}

static int open_half(const char *hash)
{
	unsigned char reply[47];
	char request[48];
	int fd = dial(&load.relay);

	say(fd, "\x05\x01\x00", 3);
	hear(fd, reply, 2);
	memcpy(request, "\x05\x01\x00\x03\x28", 5);
	memcpy(request + 5, hash, 40);
	memcpy(request + 45, "\x00\x00", 2);
	say(fd, request, 47);
	hear(fd, reply, 47);
	if (reply[1] != 0)
		fail("the relay refused a half");
	return fd;
}

static void activate(const char *hash)
{
	static const char body[] =
	        "{\"parties\":[{\"user\":\"a@b.example\",\"domain\":\"b.example\"},"
	        "{\"user\":\"c@d.example\",\"domain\":\"d.example\"}],"
	        "\"deadline_ms\":3000}";
	char text[1024];
	ssize_t n;

	if (load.control_fd < 0)
		load.control_fd = dial(&load.control);
	snprintf(text, sizeof(text),
	         "POST /v1/streams/%s/activate HTTP/1.1\r\nHost: relay\r\n"
	         "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
	         hash, load.token, strlen(body), body);
	say(load.control_fd, text, strlen(text));
	n = recv(load.control_fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	if (strncmp(text, "HTTP/1.1 200", 12) != 0)
		fail("the relay didn't activate");
	while (strstr(text, "\"active\"") == NULL) { /* the body may follow by itself */
		n = recv(load.control_fd, text, sizeof(text) - 1, 0);
		if (n <= 0)
			fail("recv");
		text[n] = '\0';
	}
}

static void open_stream(int ends[2])
{
	char hash[41];

	snprintf(hash, sizeof(hash), "%020d%020u", (int)getpid(), load.serial++);
	ends[0] = open_half(hash);
	ends[1] = open_half(hash);
	activate(hash);
}

static void open_direct(int ends[2])
{
	union net_address address;
	int listener;

	if (net_parse("127.0.0.1:0", &address) != 0 || (listener = net_listen(&address, 1)) < 0 ||
	    net_local(listener, &address) != 0)
		fail("listen");
	ends[0] = dial(&address);
	do
		ends[1] = accept(listener, NULL, NULL);
	while (ends[1] < 0 && errno == EAGAIN);
	tune(ends[1]);
	close(listener);
}

/* Moving bytes */

static void check(const struct transfer *transfer, size_t len)
{
	const unsigned char *expected = content + transfer->got % BLOCK;
	size_t ends = len < 64 ? len : 64;

	if (load.whole ? memcmp(arrived, expected, len) != 0
	               : memcmp(arrived, expected, ends) != 0 ||
	                         memcmp(arrived + len - ends, expected + len - ends, ends) != 0) {
		fprintf(stderr, "relay_load: wrong content behind byte %" PRIu64 "\n",
		        transfer->got);
		exit(1);
	}
}

static void on_writable(struct io *io, uint32_t events)
{
	struct transfer *transfer = container_of(io, struct transfer, out);

	for (int i = 0; i < PORTIONS_PER_EVENT && transfer->sent < load.bytes; i++) {
		uint64_t left = load.bytes - transfer->sent;
		ssize_t n = send(io->fd, content + transfer->sent % BLOCK,
		                 left < PORTION ? left : PORTION, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			fail("send");
		transfer->sent += (uint64_t)n;
	}
	if (transfer->sent == load.bytes) {
		io_stop(io);
		shutdown(io->fd, SHUT_WR);
		finished++;
	}
}

static void on_readable(struct io *io, uint32_t events)
{
	struct transfer *transfer = container_of(io, struct transfer, in);

	for (int i = 0; i < PORTIONS_PER_EVENT; i++) {
		ssize_t n = recv(io->fd, arrived, PORTION, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			fail("recv");
		if (n == 0) {
			io_stop(io);
			if (transfer->got != load.bytes)
				fail("a stream ended early");
			finished++;
			return;
		}
		check(transfer, (size_t)n);
		transfer->got += (uint64_t)n;
	}
}

/* The receiving process: reads all streams to their ends. Exits with success if every byte was right. */
static void receive_all(struct transfer *transfers)
{
	loop_init();
	for (unsigned i = 0; i < load.streams; i++) {
		close(transfers[i].out.fd); /* else the sender's end would stay open here */
		if (io_start(&transfers[i].in, transfers[i].in.fd, EPOLLIN) != 0)
			fail("epoll_ctl");
	}
	while (finished < load.streams)
		loop_turn(-1);
	_exit(0);
}

static void send_all(struct transfer *transfers)
{
	loop_init();
	for (unsigned i = 0; i < load.streams; i++) {
		if (io_start(&transfers[i].out, transfers[i].out.fd, EPOLLOUT) != 0)
			fail("epoll_ctl");
	}
	while (finished < load.streams)
		loop_turn(-1);
	loop_release();
}

static void open_all(struct transfer *transfers)
{
	for (unsigned i = 0; i < load.streams; i++) {
		int ends[2];

		(load.direct ? open_direct : open_stream)(ends);
		transfers[i].out.ready = on_writable;
		transfers[i].in.ready = on_readable;
		transfers[i].out.fd = ends[0];
		transfers[i].in.fd = ends[1];
	}
}

/* Sender and receiver are two processes, as two clients would be. */
static void transfer_all(void)
{
	struct transfer *transfers = mem_alloc(load.streams, sizeof(*transfers));
	struct usage before, after;
	double start, took, gib;
	int status;
	pid_t child;

	open_all(transfers);
	before = read_usage();
	start = now_s();
	child = fork();
	if (child == 0)
		receive_all(transfers);
	send_all(transfers);
	if (waitpid(child, &status, 0) != child || status != 0)
		fail("the receiver");
	took = now_s() - start;
	after = read_usage();
	gib = (double)load.bytes * load.streams / (1 << 30);
	printf("streams=%u gib=%.2f seconds=%.2f gib_per_s=%.2f relay_cpu_s_per_gib=%.3f\n",
	       load.streams, gib, took, gib / took, (after.cpu_s - before.cpu_s) / gib);
	free(transfers);
}

static void hold_idle(void)
{
	struct usage before = read_usage(), after, later;
	int *ends = mem_alloc(load.streams, 2 * sizeof(int));

	loop_init();
	for (unsigned i = 0; i < load.streams; i++)
		open_stream(ends + 2 * i);
	loop_turn(500);
	after = read_usage();
	for (uint64_t end_ms = loop_now_ms() + 3000; loop_now_ms() < end_ms;)
		loop_turn(1000);
	later = read_usage();
	printf("pairs=%u bytes_per_pair=%.0f idle_cpu_s=%.2f\n", load.streams,
	       (double)(after.memory_kib - before.memory_kib) * 1024 / load.streams,
	       later.cpu_s - after.cpu_s);
	for (unsigned i = 0; i < 2 * load.streams; i++)
		close(ends[i]);
	free(ends);
	loop_release();
}

static void churn(void)
{
	struct usage before = read_usage();
	double start = now_s(), took, cpu_s;

	for (unsigned i = 0; i < load.streams; i++) {
		int ends[2];

		open_stream(ends);
		close(ends[0]);
		close(ends[1]);
	}
	took = now_s() - start;
	cpu_s = read_usage().cpu_s - before.cpu_s;
	printf("streams=%u per_second=%.0f per_relay_cpu_second=%.0f\n", load.streams,
	       load.streams / took, load.streams / cpu_s);
}

/* Options */

static const char help[] =
        "relay_load [--direct] [--relay ADDRESS --control ADDRESS --token TOKEN --pid PID]\n"
        "           [--streams N] [--bytes N] [--whole] [--congestion NAME] [--idle | --churn]\n"
        "--bytes is for each stream; --idle holds pairs, --churn opens and closes them\n";

static void set_option(int option)
{
	switch (option) {
	case 'd':
		load.direct = true;
		return;
	case 'w':
		load.whole = true;
		return;
	case 'i':
		load.mode = MODE_IDLE;
		return;
	case 'u':
		load.mode = MODE_CHURN;
		return;
	case 'r':
	case 'o':
		if (net_parse(optarg, option == 'r' ? &load.relay : &load.control) == 0)
			return;
		break;
	case 't':
		load.token = optarg;
		return;
	case 'p':
		load.pid = (int)strtol(optarg, NULL, 10);
		return;
	case 's':
		load.streams = (unsigned)strtoul(optarg, NULL, 10);
		return;
	case 'b':
		load.bytes = strtoull(optarg, NULL, 10);
		return;
	case 'c':
		load.congestion = optarg;
		return;
	}
	fputs(help, stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "direct", no_argument, NULL, 'd' },
		{ "whole", no_argument, NULL, 'w' },
		{ "idle", no_argument, NULL, 'i' },
		{ "churn", no_argument, NULL, 'u' },
		{ "relay", required_argument, NULL, 'r' },
		{ "control", required_argument, NULL, 'o' },
		{ "token", required_argument, NULL, 't' },
		{ "pid", required_argument, NULL, 'p' },
		{ "streams", required_argument, NULL, 's' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "congestion", required_argument, NULL, 'c' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(option);
	srandom(1);
	for (size_t i = 0; i < BLOCK; i++)
		content[i] = (unsigned char)random();
	memcpy(content + BLOCK, content, PORTION);
	if (load.mode == MODE_TRANSFER)
		transfer_all();
	else if (load.mode == MODE_IDLE)
		hold_idle();
	else
		churn();
	return 0;
}
