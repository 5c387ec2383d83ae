#include "common/base/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/panic.h"

#define BATCH_MAX 256 /* events fetched in one turn; the rest come with the next */
#define NS_PER_MS UINT64_C(1000000)
#define REFUSED_MS 100 /* after which a watch that was refused is tried again */
#define REFUSED_LOG_MS 1000

static struct {
	int epoll;
	bool ending;
	bool in_turn;
	struct epoll_event batch[BATCH_MAX];
	int fetched;         /* entries of the batch */
	int next;            /* the first that is not yet served */
	struct timer **heap; /* heap[0] is due first; a timer's slot is its index plus one */
	uint32_t timers;
	uint32_t heap_size;
	uint64_t order; /* the last that was given to a timer */
	struct list tasks;
	struct io **refused; /* started, but the kernel has no room for them */
	size_t refused_count, refused_size;
	struct timer refused_timer;
	uint64_t refused_logged_ms;
	uint64_t lag_ns;
	struct io signals;
	void (*on_signal)(int signal);
} loop = { .epoll = -1, .signals = { .fd = -1 } };

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

uint64_t loop_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t loop_now_ms(void)
{
	return loop_now_ns() / NS_PER_MS;
}

bool loop_once_in(uint64_t every_ms, uint64_t *last_ms)
{
	uint64_t now_ms = loop_now_ms();

	if (*last_ms != 0 && now_ms - *last_ms < every_ms)
		return false;
	*last_ms = now_ms;
	return true;
}

int64_t loop_wall_ms(void)
{
	return (int64_t)(read_clock(CLOCK_REALTIME) / NS_PER_MS);
}

void loop_init(void)
{
	assert(loop.epoll < 0);
	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop.epoll < 0)
		panic("epoll_create1: %m");
	list_init(&loop.tasks);
	loop.ending = false;
	signal(SIGPIPE, SIG_IGN);
}

/* Descriptors */

static bool is_refused(const struct io *io)
{
	for (size_t i = 0; i < loop.refused_count; i++)
		if (loop.refused[i] == io)
			return true;
	return false;
}

static void forget_refused(const struct io *io)
{
	for (size_t i = 0; i < loop.refused_count; i++)
		if (loop.refused[i] == io)
			loop.refused[i--] = loop.refused[--loop.refused_count];
}

static int add_watch(struct io *io)
{
	struct epoll_event event = { .events = io->events, .data.ptr = io };

	return epoll_ctl(loop.epoll, EPOLL_CTL_ADD, io->fd, &event);
}

static void retry_refused(struct timer *timer)
{
	for (size_t i = loop.refused_count; i > 0; i--)
		if (add_watch(loop.refused[i - 1]) == 0)
			forget_refused(loop.refused[i - 1]);
	if (loop.refused_count > 0)
		timer_start(timer, REFUSED_MS);
}

/* errno says why the kernel has no room for IO. */
static void keep_refused(struct io *io)
{
	if (loop_once_in(REFUSED_LOG_MS, &loop.refused_logged_ms))
		log_warn("watch-refused reason=\"%m\" retry_ms=%d", REFUSED_MS);
	if (loop.refused_count == loop.refused_size) {
		loop.refused_size = loop.refused_size == 0 ? 16 : 2 * loop.refused_size;
		loop.refused = mem_resize(loop.refused, loop.refused_size, sizeof(struct io *));
	}
	loop.refused[loop.refused_count++] = io;
	loop.refused_timer.expired = retry_refused;
	if (!timer_active(&loop.refused_timer))
		timer_start(&loop.refused_timer, REFUSED_MS);
}

int io_start(struct io *io, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = io };
	int operation = io->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	assert(io->ready != NULL && (io->events == 0 || io->fd == fd));
	if (events == 0) {
		io_stop(io);
		return 0;
	}
	/* Setting edge-triggered events again asks for a new edge, so that call must be made. */
	if (io->events == events && (events & (EPOLLET | EPOLLONESHOT)) == 0)
		return 0;
	/* One that was refused is tried with its new events when its time comes. */
	if (!is_refused(io) && epoll_ctl(loop.epoll, operation, fd, &event) < 0)
		return -1;
	io->fd = fd;
	io->events = events;
	return 0;
}

void io_insist(struct io *io, int fd, uint32_t events)
{
	if (io_start(io, fd, events) == 0)
		return;
	if (errno != ENOSPC && errno != ENOMEM)
		panic("epoll_ctl: %m");
	io->fd = fd;
	io->events = events;
	keep_refused(io);
}

void io_stop(struct io *io)
{
	if (io->events == 0)
		return;
	if (!is_refused(io))
		epoll_ctl(loop.epoll, EPOLL_CTL_DEL, io->fd, NULL);
	forget_refused(io);
	io->events = 0;
	for (int i = loop.next; i < loop.fetched; i++) {
		if (loop.batch[i].data.ptr == io)
			loop.batch[i].data.ptr = NULL;
	}
}

static void serve_batch(void)
{
	while (loop.next < loop.fetched) {
		const struct epoll_event *event = &loop.batch[loop.next++];
		struct io *io = event->data.ptr;
		uint32_t events;

		if (io == NULL)
			continue;
		/* What is watched may have changed since the batch was fetched. */
		events = event->events & (io->events | EPOLLERR | EPOLLHUP);
		if (events != 0)
			io->ready(io, events);
	}
}

/* Timers: a binary heap that knows each timer's place, so that stopping one is O(log n). */

static bool is_before(const struct timer *a, const struct timer *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct timer *timer, uint32_t index)
{
	loop.heap[index] = timer;
	timer->slot = index + 1;
}

static void sift_up(struct timer *timer, uint32_t index)
{
	while (index > 0 && is_before(timer, loop.heap[(index - 1) / 2])) {
		place(loop.heap[(index - 1) / 2], index);
		index = (index - 1) / 2;
	}
	place(timer, index);
}

static void sift_down(struct timer *timer, uint32_t index)
{
	for (;;) {
		uint32_t child = 2 * index + 1;

		if (child + 1 < loop.timers && is_before(loop.heap[child + 1], loop.heap[child]))
			child++;
		if (child >= loop.timers || is_before(timer, loop.heap[child]))
			break;
		place(loop.heap[child], index);
		index = child;
	}
	place(timer, index);
}

/* Finds the place of TIMER, which takes over INDEX, towards either end. */
static void sift(struct timer *timer, uint32_t index)
{
	if (index > 0 && is_before(timer, loop.heap[(index - 1) / 2]))
		sift_up(timer, index);
	else
		sift_down(timer, index);
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
	uint64_t now_ns = loop_now_ns();

	assert(timer->expired != NULL);
	if (delay_ms > (UINT64_MAX - now_ns) / NS_PER_MS)
		timer->due_ns = UINT64_MAX;
	else
		timer->due_ns = now_ns + delay_ms * NS_PER_MS;
	timer->order = ++loop.order;
	if (timer->slot != 0) {
		sift(timer, timer->slot - 1);
		return;
	}
	if (loop.timers == loop.heap_size) {
		loop.heap_size = loop.heap_size == 0 ? 16 : 2 * loop.heap_size;
		loop.heap = mem_resize(loop.heap, loop.heap_size, sizeof(struct timer *));
	}
	sift_up(timer, loop.timers++);
}

void timer_stop(struct timer *timer)
{
	uint32_t index = timer->slot - 1;
	struct timer *last;

	if (timer->slot == 0)
		return;
	timer->slot = 0;
	last = loop.heap[--loop.timers];
	if (last != timer)
		sift(last, index);
}

/* Timers that are started by a callback wait for the next turn, even if they are due already. */
static void serve_timers(void)
{
	uint64_t last_order = loop.order;
	uint64_t now_ns;

	if (loop.timers == 0)
		return;
	now_ns = loop_now_ns();
	while (loop.timers > 0) {
		struct timer *timer = loop.heap[0];

		if (timer->due_ns > now_ns || timer->order > last_order)
			return;
		timer_stop(timer);
		timer->expired(timer);
	}
}

/* Tasks */

void task_start(struct task *task)
{
	assert(task->run != NULL);
	if (!list_linked(&task->link))
		list_append(&loop.tasks, &task->link);
}

void task_stop(struct task *task)
{
	list_remove(&task->link);
}

static void serve_tasks(void)
{
	struct list due;
	struct list_link *link;

	list_init(&due);
	while ((link = list_take(&loop.tasks)) != NULL)
		list_append(&due, link);
	while ((link = list_take(&due)) != NULL) {
		struct task *task = container_of(link, struct task, link);

		task->run(task);
	}
}

/* Signals */

static void read_signal(struct io *io, uint32_t events)
{
	struct signalfd_siginfo info;

	if (read(io->fd, &info, sizeof(info)) == sizeof(info))
		loop.on_signal((int)info.ssi_signo);
}

void loop_signals(const int *signals, void (*handle)(int signal))
{
	sigset_t set;
	int fd;

	assert(loop.epoll >= 0 && loop.on_signal == NULL);
	sigemptyset(&set);
	for (; *signals != 0; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		panic("sigprocmask: %m");
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	loop.on_signal = handle;
	loop.signals.ready = read_signal;
	if (fd < 0 || io_start(&loop.signals, fd, EPOLLIN) < 0)
		panic("signalfd: %m");
}

/* Turns */

/* How long epoll may wait: a timer's delay is rounded up, since waking early would only spin. */
static int wait_ms(int most_ms)
{
	uint64_t now_ns, left_ms;

	if (loop.ending || !list_empty(&loop.tasks))
		return 0;
	if (loop.timers == 0)
		return most_ms;
	now_ns = loop_now_ns();
	if (loop.heap[0]->due_ns <= now_ns)
		return 0;
	left_ms = (loop.heap[0]->due_ns - now_ns - 1) / NS_PER_MS + 1;
	if (most_ms >= 0 && left_ms > (uint64_t)most_ms)
		return most_ms;
	return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

void loop_turn(int timeout_ms)
{
	uint64_t start_ns, spent_ns;
	int count;

	assert(loop.epoll >= 0 && !loop.in_turn);
	loop.in_turn = true;
	count = epoll_wait(loop.epoll, loop.batch, BATCH_MAX, wait_ms(timeout_ms));
	if (count < 0 && errno != EINTR)
		panic("epoll_wait: %m");
	start_ns = loop_now_ns();
	loop.next = 0;
	loop.fetched = count < 0 ? 0 : count;
	serve_batch();
	serve_timers();
	serve_tasks();
	loop.in_turn = false;
	spent_ns = loop_now_ns() - start_ns;
	if (spent_ns > loop.lag_ns)
		loop.lag_ns = spent_ns;
}

void loop_run(void)
{
	while (!loop.ending)
		loop_turn(-1);
	loop.ending = false;
}

void loop_end(void)
{
	loop.ending = true;
}

uint64_t loop_take_lag_ns(void)
{
	uint64_t lag_ns = loop.lag_ns;

	loop.lag_ns = 0;
	return lag_ns;
}

void loop_release(void)
{
	assert(!loop.in_turn);
	while (loop.timers > 0)
		loop.heap[--loop.timers]->slot = 0;
	free(loop.heap);
	free(loop.refused);
	loop.heap = NULL;
	loop.refused = NULL;
	loop.heap_size = 0;
	loop.refused_count = loop.refused_size = 0;
	if (loop.epoll < 0)
		return;
	while (list_take(&loop.tasks) != NULL)
		;
	if (loop.on_signal != NULL) {
		io_stop(&loop.signals);
		close(loop.signals.fd);
		loop.on_signal = NULL;
	}
	close(loop.epoll);
	loop.epoll = -1;
}
