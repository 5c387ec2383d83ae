#include "xmppgw/component/components.c"

#include <sys/socket.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"
#include "xmppgw/component/iq.h"

static char *role_names[] = { (char *)"relay", NULL };
static struct conf_component sections[] = {
	{ .domain = (char *)"one.example", .server = (char *)"127.0.0.1:1", .roles = role_names },
	{ .domain = (char *)"two.example", .server = (char *)"127.0.0.1:1", .roles = role_names },
};
static struct conf conf = { .components = { sections, ARRAY_LEN(sections) } };
static const struct xml *taken;

static void take_stanza(struct stream *stream, enum xml_event event, const struct xml *stanza)
{
	taken = stanza;
}

static void setup(void)
{
	log_init("test_components", LOG_ERROR);
	loop_init();
	components_on_stanza(take_stanza);
	ck_assert_int_eq(components_module.start(&conf), 0);
	ck_assert_int_eq(iq_module.start(&conf), 0);
}

static void teardown(void)
{
	iq_module.stop();
	components_module.stop();
	loop_release();
}

static struct stream *one(void)
{
	return components_next(NULL);
}

static struct stream *two(void)
{
	return components_next(one());
}

static void set_state(struct stream *stream, enum stream_state state)
{
	stream->state = state;
	stream->on_change(stream);
}

START_TEST(the_gauge_tells_which_streams_are_up)
{
	set_state(two(), STREAM_UP);
	ck_assert_str_eq(up_metric.values[1], "two.example");
	ck_assert_int_eq(up_metric.numbers[0], 0);
	ck_assert_int_eq(up_metric.numbers[1], 1);
	ck_assert(!components_all_up());
	set_state(one(), STREAM_UP);
	ck_assert(components_all_up());
	set_state(two(), STREAM_WAITING);
	ck_assert_int_eq(up_metric.numbers[1], 0);
	ck_assert(!components_all_up());
}
END_TEST

START_TEST(stanzas_go_to_the_layer_above)
{
	struct xml stanza = { .name = "iq" };
	struct stream *stream = two();

	stream->on_stanza(stream, XML_STANZA, &stanza);
	ck_assert_ptr_eq(taken, &stanza);
	ck_assert_ptr_null(components_next(stream));
}
END_TEST

START_TEST(a_draining_stream_is_closed_only_when_every_iq_is_answered)
{
	struct iq *iq;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	stream_stop(one());
	one()->fd = pair[0];
	set_state(one(), STREAM_UP);
	iq = iq_new(one(), "one.example", "a@b", "i1", 60000);
	drain_all();
	ck_assert_int_eq(one()->state, STREAM_UP);
	ck_assert_int_eq(two()->state, STREAM_OFF);
	iq_result(iq);
	ck_assert_int_eq(one()->state, STREAM_CLOSING);
	close(pair[1]);
}
END_TEST

/* Reloads with the first COUNT sections of FRESH. */
static void reload(struct conf_component *fresh, size_t count)
{
	struct conf with = { .components = { fresh, count } };

	components_reload(&with);
}

static struct stream *came, *left;

static void on_stream_came(struct stream *stream)
{
	came = stream;
}

static void on_stream_left(struct stream *stream)
{
	left = stream;
}

static char *admins[] = { (char *)"root@example.org", NULL };
static char *served[] = { (char *)"example.org", NULL };

START_TEST(a_reload_changes_what_is_allowed_and_leaves_the_stream_as_it_is)
{
	struct conf_component fresh[2] = { sections[0], sections[1] };
	struct stream *stream = one();

	fresh[0].domain = (char *)"ONE.example";
	fresh[0].admins = admins;
	fresh[0].served_domains = served;
	fresh[0].secret = (char *)"another";
	stream_stop(stream);
	set_state(stream, STREAM_UP);
	reload(fresh, 2);
	ck_assert_ptr_eq(one(), stream);
	ck_assert_int_eq(stream->state, STREAM_UP);
	ck_assert(!stream->draining);
	ck_assert_str_eq(stream->conf->secret, "another");
	ck_assert(acl_is_admin(&stream->acl, "root@example.org/desk"));
	ck_assert(!acl_is_admin(&two()->acl, "root@example.org/desk"));
	ck_assert(!acl_serves(&stream->acl, "example.net"));
	ck_assert(acl_serves(&two()->acl, "example.net"));
}
END_TEST

START_TEST(a_reload_makes_a_refused_stream_try_its_new_secret_at_once)
{
	struct conf_component fresh[2] = { sections[0], sections[1] };

	stream_stop(one());
	set_state(one(), STREAM_WAITING);
	reload(fresh, 2);
	ck_assert_int_ne(one()->state, STREAM_WAITING);
}
END_TEST

START_TEST(a_reload_adds_components)
{
	struct conf_component fresh[3] = { sections[0], sections[1], sections[0] };

	components_watch(on_stream_came, on_stream_left);
	came = NULL;
	fresh[2].domain = (char *)"three.example";
	reload(fresh, 3);
	ck_assert_ptr_nonnull(came);
	ck_assert_ptr_eq(came, components_next(two()));
	ck_assert_int_ne(came->state, STREAM_OFF);
	ck_assert_uint_eq(up_metric.series, 3);
	ck_assert_str_eq(up_metric.values[2], "three.example");
	components_watch(NULL, NULL);
}
END_TEST

/* FIRST is gone as soon as its last IQ is. */
START_TEST(a_reload_drains_what_was_removed_and_frees_it_after_its_last_iq)
{
	struct stream *first = one(), *second = two();
	struct iq *iq;

	components_watch(on_stream_came, on_stream_left);
	iq = iq_new(first, "one.example", "a@b", "i1", 60000);
	reload(&sections[1], 1);
	ck_assert_ptr_eq(left, first);
	ck_assert_ptr_eq(one(), second);
	ck_assert_ptr_null(two());
	ck_assert_uint_eq(up_metric.series, 1);
	ck_assert_str_eq(up_metric.values[0], "two.example");
	ck_assert_int_eq(first->state, STREAM_OFF);
	loop_turn(0);
	ck_assert(!list_empty(&leaving));
	iq_result(iq);
	WAIT_UNTIL(list_empty(&leaving));
	ck_assert(!second->draining);
	components_watch(NULL, NULL);
}
END_TEST

START_TEST(a_reload_with_another_server_begins_the_stream_anew)
{
	struct conf_component fresh[2] = { sections[0], sections[1] };
	struct stream *stream = one();
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	stream_stop(stream);
	stream->fd = pair[0];
	stream->reader = xml_reader_new();
	set_state(stream, STREAM_UP);
	fresh[0].server = (char *)"127.0.0.1:2";
	reload(fresh, 2);
	ck_assert_int_eq(stream->state, STREAM_CLOSING);
	close(pair[1]);
	WAIT_UNTIL(!stream->draining && stream->state != STREAM_OFF);
	ck_assert_ptr_eq(one(), stream);
	ck_assert_str_eq(stream->conf->server, "127.0.0.1:2");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_gauge_tells_which_streams_are_up,
		stanzas_go_to_the_layer_above,
		a_draining_stream_is_closed_only_when_every_iq_is_answered,
		a_reload_changes_what_is_allowed_and_leaves_the_stream_as_it_is,
		a_reload_makes_a_refused_stream_try_its_new_secret_at_once,
		a_reload_adds_components,
		a_reload_drains_what_was_removed_and_frees_it_after_its_last_iq,
		a_reload_with_another_server_begins_the_stream_anew,
	};

	return unit_run("components", tests, ARRAY_LEN(tests), setup, teardown);
}
