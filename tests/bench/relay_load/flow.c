#include "tests/bench/relay_load/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "tests/bench/relay_load/options.h"
#include "tests/bench/relay_load/step.h"

#define BLOCK (1 << 20) /* the content repeats after this many bytes */
#define PORTION (256 * 1024)
#define PORTIONS_PER_EVENT 4
#define CHECKED_AT_ENDS 64 /* bytes at each end of a portion that are compared without --whole */
#define STILL_MS 1000      /* nothing has moved for so long: all buffers are full */

struct flow {
	struct io near, far;
	uint64_t sent, received; /* received: in the receiving process */
};

struct flows {
	unsigned count;
	unsigned open;      /* whose end this process hasn't reached */
	uint64_t *received; /* memory that both processes share */
	double *ended_s;    /* likewise; when the last one ended */
	struct flow list[];
};

static unsigned char content[BLOCK + PORTION], arrived[PORTION];
static struct flows *all;
static uint64_t end_ns; /* when sending ends */

static double now_s(void)
{
	return (double)loop_now_ns() / 1e9;
}

static void make_content(void)
{
	srandom(1);
	for (size_t i = 0; i < BLOCK; i++)
		content[i] = (unsigned char)random();
	memcpy(content + BLOCK, content, PORTION);
}

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		step_fail("mmap");
	return memory;
}

static void check(uint64_t offset, size_t len)
{
	const unsigned char *expected = content + offset % BLOCK;
	size_t head = len < CHECKED_AT_ENDS || options.whole ? len : CHECKED_AT_ENDS;

	errno = 0;
	if (memcmp(arrived, expected, head) != 0 ||
	    memcmp(arrived + len - head, expected + len - head, head) != 0)
		step_fail("wrong content arrived");
}

/* Sends one portion; false if the socket takes no more for now. */
static bool send_portion(struct flow *flow)
{
	ssize_t n = send(flow->near.fd, content + flow->sent % BLOCK, PORTION,
	                 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0)
		step_fail("send");
	flow->sent += (uint64_t)n;
	return true;
}

static void end_sending(struct flow *flow)
{
	io_stop(&flow->near);
	if (shutdown(flow->near.fd, SHUT_WR) != 0)
		step_fail("shutdown");
	all->open--;
}

static void on_writable(struct io *io, uint32_t events)
{
	struct flow *flow = container_of(io, struct flow, near);

	for (int i = 0; i < PORTIONS_PER_EVENT; i++) {
		if (loop_now_ns() >= end_ns) {
			end_sending(flow);
			return;
		}
		if (!send_portion(flow))
			return;
	}
}

static void end_receiving(struct flow *flow)
{
	io_stop(&flow->far);
	all->received[flow - all->list] = flow->received;
	all->open--;
}

static void on_readable(struct io *io, uint32_t events)
{
	struct flow *flow = container_of(io, struct flow, far);

	for (int i = 0; i < PORTIONS_PER_EVENT; i++) {
		ssize_t n = recv(io->fd, arrived, PORTION, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			step_fail("recv");
		if (n == 0) {
			end_receiving(flow);
			return;
		}
		check(flow->received, (size_t)n);
		flow->received += (uint64_t)n;
	}
}

/* The other process: reads all flows to their ends. */
static void receive_all(struct flows *flows)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	loop_init();
	flows->open = flows->count;
	for (unsigned i = 0; i < flows->count; i++) {
		struct flow *flow = &flows->list[i];

		close(flow->near.fd); /* else the sender's connection would outlive it */
		if (io_start(&flow->far, flow->far.fd, EPOLLIN) != 0)
			step_fail("epoll_ctl");
	}
	while (flows->open > 0)
		loop_turn(-1);
	*flows->ended_s = now_s();
	_exit(0);
}

static void send_all(struct flows *flows)
{
	loop_init();
	flows->open = flows->count;
	for (unsigned i = 0; i < flows->count; i++) {
		struct flow *flow = &flows->list[i];

		close(flow->far.fd);
		flow->far.fd = -1;
		if (io_start(&flow->near, flow->near.fd, EPOLLOUT) != 0)
			step_fail("epoll_ctl");
	}
	while (flows->open > 0)
		loop_turn(-1);
	loop_release();
}

static void await_receiver(pid_t receiver)
{
	int status;

	if (waitpid(receiver, &status, 0) != receiver)
		step_fail("waitpid");
	errno = 0;
	if (status != 0)
		step_fail("the receiver failed");
}

struct flows *flows_new(const struct pair *pairs, unsigned count)
{
	struct flows *flows = mem_alloc(1, sizeof(*flows) + count * sizeof(struct flow));

	make_content();
	flows->count = count;
	flows->received = share(count * sizeof(*flows->received));
	flows->ended_s = share(sizeof(*flows->ended_s));
	for (unsigned i = 0; i < count; i++) {
		flows->list[i].near = (struct io){ .ready = on_writable, .fd = pairs[i].near };
		flows->list[i].far = (struct io){ .ready = on_readable, .fd = pairs[i].far };
	}
	all = flows;
	return flows;
}

void flows_free(struct flows *flows)
{
	for (unsigned i = 0; i < flows->count; i++) {
		close(flows->list[i].near.fd);
		if (flows->list[i].far.fd >= 0)
			close(flows->list[i].far.fd);
	}
	munmap(flows->received, flows->count * sizeof(*flows->received));
	munmap(flows->ended_s, sizeof(*flows->ended_s));
	free(flows);
}

double flows_pass(struct flows *flows, double seconds)
{
	double began_s = now_s();
	pid_t receiver;

	end_ns = loop_now_ns() + (uint64_t)(seconds * 1e9);
	receiver = fork();
	if (receiver < 0)
		step_fail("fork");
	if (receiver == 0)
		receive_all(flows);
	send_all(flows);
	await_receiver(receiver);
	errno = 0;
	for (unsigned i = 0; i < flows->count; i++) {
		if (flows->received[i] != flows->list[i].sent)
			step_fail("not all that was sent arrived");
	}
	return *flows->ended_s - began_s;
}

void flows_fill(struct flows *flows)
{
	uint64_t moved_ms = loop_now_ms(), before = 0;

	end_ns = UINT64_MAX;
	loop_init();
	for (unsigned i = 0; i < flows->count; i++) {
		struct flow *flow = &flows->list[i];

		if (io_start(&flow->near, flow->near.fd, EPOLLOUT) != 0)
			step_fail("epoll_ctl");
	}
	while (loop_now_ms() - moved_ms < STILL_MS) {
		loop_turn(STILL_MS / 4);
		if (flows_sent(flows) != before)
			moved_ms = loop_now_ms();
		before = flows_sent(flows);
	}
	for (unsigned i = 0; i < flows->count; i++)
		io_stop(&flows->list[i].near);
	loop_release();
}

uint64_t flows_sent(const struct flows *flows)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < flows->count; i++)
		bytes += flows->list[i].sent;
	return bytes;
}
