#include <errno.h>
#include <sys/epoll.h>

/* So many new watches the kernel has no room for. */
static int no_room;

static int test_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation != EPOLL_CTL_ADD || no_room == 0)
		return epoll_ctl(epoll, operation, fd, event);
	no_room--;
	errno = ENOSPC;
	return -1;
}

#define epoll_ctl test_epoll_ctl
#include "tests/unit/loop_owner.h"
#undef epoll_ctl

#include <fcntl.h>

static void unwatch(struct owner *owner)
{
	io_stop(&owner->io);
	close(owner->io.fd);
}

/* Two owners whose events come in one batch, each the other's partner. */
static void watch_pair(struct owner *a, struct owner *b)
{
	a->partner = b;
	b->partner = a;
	watch(a, EPOLLIN);
	watch(b, EPOLLIN);
}

START_TEST(level_triggered_events_come_again_while_the_descriptor_is_ready)
{
	struct owner a = make('a', NULL);

	watch(&a, EPOLLIN);
	loop_turn(0);
	loop_turn(0);
	ck_assert_str_eq(trace, "aa");
	ck_assert_uint_eq(a.seen, EPOLLIN);
	unwatch(&a);
}
END_TEST

START_TEST(edge_triggered_events_come_once_and_again_after_a_new_start)
{
	struct owner a = make('a', NULL);

	watch(&a, EPOLLIN | EPOLLET);
	loop_turn(0);
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	ck_assert_int_eq(io_start(&a.io, a.io.fd, EPOLLIN | EPOLLET), 0);
	loop_turn(0);
	ck_assert_str_eq(trace, "aa");
	unwatch(&a);
}
END_TEST

START_TEST(a_hang_up_is_reported_although_only_input_is_watched)
{
	struct owner a = make('a', NULL);
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(io_start(&a.io, fds[0], EPOLLIN), 0);
	close(fds[1]);
	loop_turn(0);
	ck_assert_uint_eq(a.seen, EPOLLHUP);
	unwatch(&a);
}
END_TEST

START_TEST(starting_to_watch_nothing_is_stopping)
{
	struct owner a = make('a', NULL);

	watch(&a, EPOLLIN);
	ck_assert_int_eq(io_start(&a.io, a.io.fd, 0), 0);
	ck_assert_uint_eq(a.io.events, 0);
	loop_turn(0);
	ck_assert_str_eq(trace, "");
	ck_assert_int_eq(io_start(&a.io, a.io.fd, EPOLLIN), 0);
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	unwatch(&a);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_refused_with_errno)
{
	struct owner a = make('a', NULL);
	int fd = open("/proc/self/exe", O_RDONLY);

	ck_assert_int_eq(io_start(&a.io, fd, EPOLLIN), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_uint_eq(a.io.events, 0);
	close(fd);
}
END_TEST

START_TEST(a_watch_without_room_gets_its_events_once_there_is_room)
{
	struct owner a = make('a', NULL);

	freeze();
	no_room = 2;
	io_insist(&a.io, make_readable(), EPOLLIN);
	ck_assert_uint_eq(a.io.events, EPOLLIN);
	for (int refusals = 1; refusals >= 0; refusals--) {
		ck_assert_int_eq(no_room, refusals);
		loop_turn(0);
		ck_assert_str_eq(trace, "");
		advance_ms(REFUSED_MS);
		loop_turn(0);
	}
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	unwatch(&a);
}
END_TEST

START_TEST(a_watch_without_room_may_be_changed_and_stopped)
{
	struct owner a = make('a', NULL), b = make('b', NULL);

	freeze();
	no_room = 2;
	io_insist(&a.io, make_readable(), EPOLLOUT);
	io_insist(&b.io, make_readable(), EPOLLIN);
	ck_assert_int_eq(io_start(&a.io, a.io.fd, EPOLLIN), 0);
	unwatch(&b);
	advance_ms(REFUSED_MS);
	loop_turn(0);
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	ck_assert_uint_eq(a.seen, EPOLLIN);
	ck_assert_uint_eq(loop.refused_count, 0);
	unwatch(&a);
}
END_TEST

static void stop_self(struct owner *owner)
{
	io_stop(&owner->io);
}

START_TEST(a_callback_may_stop_itself)
{
	struct owner a = make('a', stop_self);

	watch(&a, EPOLLIN);
	loop_turn(0);
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	close(a.io.fd);
}
END_TEST

START_TEST(a_neighbour_stopped_in_the_same_batch_is_not_called)
{
	struct owner a = make('a', stop_partner);
	struct owner b = make('b', stop_partner);

	watch_pair(&a, &b);
	loop_turn(0);
	ck_assert_int_eq(loop.fetched, 2);
	ck_assert_uint_eq(strlen(trace), 1);
	close(a.io.fd);
	close(b.io.fd);
}
END_TEST

/* The partner's descriptor is closed and its number opened again, silent, with the same io. */
static void reopen_partner(struct owner *owner)
{
	struct io *io = &owner->partner->io;
	int number = io->fd;
	int silent = eventfd(0, EFD_NONBLOCK);

	io_stop(io);
	close(number);
	ck_assert_int_eq(dup2(silent, number), number);
	close(silent);
	ck_assert_int_eq(io_start(io, number, EPOLLIN), 0);
}

START_TEST(a_descriptor_number_reused_in_one_batch_gets_no_event_of_the_old_one)
{
	struct owner a = make('a', reopen_partner);
	struct owner b = make('b', reopen_partner);
	uint64_t one = 1;

	watch_pair(&a, &b);
	loop_turn(0);
	ck_assert_int_eq(loop.fetched, 2);
	ck_assert_uint_eq(strlen(trace), 1);

	/* The new registration works. */
	struct owner *reopened = trace[0] == 'a' ? &b : &a;
	io_stop(&reopened->partner->io);
	reopened->act = NULL;
	ck_assert_int_eq(write(reopened->io.fd, &one, sizeof(one)), sizeof(one));
	loop_turn(0);
	ck_assert_int_eq(trace[1], reopened->letter);
	io_stop(&reopened->io);
	close(a.io.fd);
	close(b.io.fd);
}
END_TEST

static void free_owner(struct owner *owner)
{
	io_stop(&owner->io);
	if (owner->io.fd > 0)
		close(owner->io.fd);
	timer_stop(&owner->timer);
	task_stop(&owner->task);
	free(owner);
}

static void free_pair(struct owner *owner)
{
	free_owner(owner->partner);
	free_owner(owner);
}

static struct owner *make_on_heap(char letter)
{
	struct owner *owner = mem_alloc(1, sizeof(*owner));

	*owner = make(letter, free_pair);
	return owner;
}

START_TEST(owners_may_be_freed_inside_any_callback)
{
	struct owner *a, *b;

	watch_pair(make_on_heap('i'), make_on_heap('i'));
	loop_turn(0);

	a = make_on_heap('t');
	b = make_on_heap('t');
	a->partner = b;
	b->partner = a;
	timer_start(&a->timer, 0);
	timer_start(&b->timer, 0);
	loop_turn(0);

	a = make_on_heap('k');
	b = make_on_heap('k');
	a->partner = b;
	task_start(&a->task);
	task_start(&b->task);
	loop_turn(0);
	ck_assert_str_eq(trace, "itk");
}
END_TEST

static void watch_output_of_partner(struct owner *owner)
{
	struct io *io = &owner->partner->io;

	ck_assert_int_eq(io_start(io, io->fd, EPOLLOUT), 0);
}

START_TEST(an_event_that_is_not_watched_any_more_is_not_delivered)
{
	struct owner a = make('a', watch_output_of_partner);
	struct owner b = make('b', watch_output_of_partner);

	watch_pair(&a, &b);
	loop_turn(0);
	ck_assert_uint_eq(strlen(trace), 1);
	a.act = b.act = NULL;
	loop_turn(0);
	ck_assert_uint_eq(strlen(trace), 3);
	ck_assert_uint_eq((trace[0] == 'a' ? &b : &a)->seen, EPOLLOUT);
	unwatch(&a);
	unwatch(&b);
}
END_TEST

START_TEST(more_ready_descriptors_than_a_batch_holds_are_all_served)
{
	static struct owner owners[BATCH_MAX + 50];

	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		owners[i] = make('\0', NULL);
		watch(&owners[i], EPOLLIN | EPOLLET);
	}
	loop_turn(0);
	loop_turn(0);
	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		ck_assert_uint_eq(owners[i].seen, EPOLLIN);
		unwatch(&owners[i]);
	}
}
END_TEST

static void start_all_of_partner(struct owner *owner)
{
	io_stop(&owner->io);
	task_start(&owner->partner->task);
	timer_start(&owner->partner->timer, 0);
}

START_TEST(tasks_run_after_the_events_and_timers_of_their_turn)
{
	struct owner a = make('a', start_all_of_partner);
	struct owner b = make('b', NULL);
	struct owner c = make('c', NULL);

	freeze();
	a.partner = &c;
	timer_start(&b.timer, 0);
	watch(&a, EPOLLIN);
	loop_turn(0);
	/*
	 * a by io, b by timer, c by the timer that a started before timers were served, c by task.
	 */
	ck_assert_str_eq(trace, "abcc");
	close(a.io.fd);
}
END_TEST

static void start_own_task(struct owner *owner)
{
	task_start(&owner->task);
	owner->act = NULL;
}

START_TEST(a_task_started_by_a_task_runs_in_the_next_turn_which_does_not_wait)
{
	struct owner a = make('a', start_own_task);

	task_start(&a.task);
	loop_turn(-1);
	ck_assert_str_eq(trace, "a");
	loop_turn(-1);
	ck_assert_str_eq(trace, "aa");
	loop_turn(0);
	ck_assert_str_eq(trace, "aa");
}
END_TEST

START_TEST(a_task_started_twice_runs_once_and_a_stopped_one_does_not)
{
	struct owner a = make('a', stop_partner);
	struct owner b = make('b', NULL);
	struct owner c = make('c', NULL);

	a.partner = &b;
	task_start(&a.task);
	task_start(&b.task);
	task_start(&c.task);
	task_start(&a.task);
	loop_turn(0);
	ck_assert_str_eq(trace, "ac");
	task_stop(&a.task);
}
END_TEST

static int last_signal;

static void on_signal(int signal)
{
	last_signal = signal;
	note('s');
}

START_TEST(signals_are_handled_inside_the_loop)
{
	static const int signals[] = { SIGTERM, SIGUSR1, 0 };

	loop_signals(signals, on_signal);
	raise(SIGUSR1);
	ck_assert_str_eq(trace, "");
	loop_turn(-1);
	ck_assert_str_eq(trace, "s");
	ck_assert_int_eq(last_signal, SIGUSR1);
	raise(SIGTERM);
	loop_turn(-1);
	ck_assert_int_eq(last_signal, SIGTERM);
}
END_TEST

START_TEST(writing_to_a_closed_pipe_is_an_error_and_not_a_signal)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	ck_assert_int_eq(write(fds[1], "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(fds[1]);
}
END_TEST

static void end_loop(struct owner *owner)
{
	io_stop(&owner->io);
	loop_end();
}

START_TEST(the_loop_ends_with_the_turn_that_was_told_so)
{
	struct owner a = make('a', end_loop);
	struct owner b = make('b', end_loop);

	watch_pair(&a, &b);
	loop_run();
	ck_assert_uint_eq(strlen(trace), 2);
	close(a.io.fd);
	close(b.io.fd);
}
END_TEST

START_TEST(a_loop_that_was_told_to_end_before_it_ran_returns_at_once)
{
	loop_end();
	loop_run();
	ck_assert(!loop.ending);
}
END_TEST

static void work_long(struct owner *owner)
{
	advance_ms(30);
}

START_TEST(the_lag_is_the_longest_turn_since_it_was_asked)
{
	struct owner a = make('a', work_long);

	freeze();
	task_start(&a.task);
	loop_turn(0);
	loop_turn(0);
	ck_assert_uint_eq(loop_take_lag_ns(), 30 * NS_PER_MS);
	ck_assert_uint_eq(loop_take_lag_ns(), 0);
}
END_TEST

START_TEST(release_forgets_what_is_started_so_that_stopping_it_later_is_harmless)
{
	struct owner a = make('a', NULL);

	timer_start(&a.timer, 0);
	task_start(&a.task);
	watch(&a, EPOLLIN);
	loop_release();
	ck_assert(!timer_active(&a.timer));
	timer_stop(&a.timer);
	task_stop(&a.task);
	unwatch(&a);
	ck_assert_str_eq(trace, "");
}
END_TEST

START_TEST(what_is_said_once_in_a_while_is_said_the_first_time_and_after_its_while)
{
	uint64_t last_ms = 0;

	ck_assert(loop_once_in(3600000, &last_ms));
	ck_assert(!loop_once_in(3600000, &last_ms));
	last_ms = loop_now_ms() > 5 ? loop_now_ms() - 5 : 1;
	ck_assert(!loop_once_in(3600000, &last_ms));
	ck_assert(loop_once_in(4, &last_ms));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		level_triggered_events_come_again_while_the_descriptor_is_ready,
		edge_triggered_events_come_once_and_again_after_a_new_start,
		a_hang_up_is_reported_although_only_input_is_watched,
		starting_to_watch_nothing_is_stopping,
		a_descriptor_that_cannot_be_watched_is_refused_with_errno,
		a_watch_without_room_gets_its_events_once_there_is_room,
		a_watch_without_room_may_be_changed_and_stopped,
		a_callback_may_stop_itself,
		a_neighbour_stopped_in_the_same_batch_is_not_called,
		a_descriptor_number_reused_in_one_batch_gets_no_event_of_the_old_one,
		owners_may_be_freed_inside_any_callback,
		an_event_that_is_not_watched_any_more_is_not_delivered,
		more_ready_descriptors_than_a_batch_holds_are_all_served,
		tasks_run_after_the_events_and_timers_of_their_turn,
		a_task_started_by_a_task_runs_in_the_next_turn_which_does_not_wait,
		a_task_started_twice_runs_once_and_a_stopped_one_does_not,
		signals_are_handled_inside_the_loop,
		writing_to_a_closed_pipe_is_an_error_and_not_a_signal,
		the_loop_ends_with_the_turn_that_was_told_so,
		a_loop_that_was_told_to_end_before_it_ran_returns_at_once,
		the_lag_is_the_longest_turn_since_it_was_asked,
		release_forgets_what_is_started_so_that_stopping_it_later_is_harmless,
		what_is_said_once_in_a_while_is_said_the_first_time_and_after_its_while,
	};

	return unit_run("loop", tests, ARRAY_LEN(tests), setup, teardown);
}
