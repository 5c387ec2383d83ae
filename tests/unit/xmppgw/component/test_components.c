#include "xmppgw/component/components.c"

#include <sys/socket.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "tests/unit/unit.h"
#include "xmppgw/component/iq.h"

static char *role_names[] = { (char *)"relay", NULL };
static struct conf_component configured[] = {
	{ .domain = (char *)"one.example", .server = (char *)"127.0.0.1:1", .roles = role_names },
	{ .domain = (char *)"two.example", .server = (char *)"127.0.0.1:1", .roles = role_names },
};
static struct conf conf = { .components = { configured, ARRAY_LEN(configured) } };
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

static void set_state(struct stream *stream, enum stream_state state)
{
	stream->state = state;
	stream->on_change(stream);
}

START_TEST(the_gauge_tells_which_streams_are_up)
{
	set_state(&streams[1], STREAM_UP);
	ck_assert_str_eq(up_metric.values[1], "two.example");
	ck_assert_int_eq(up_metric.numbers[0], 0);
	ck_assert_int_eq(up_metric.numbers[1], 1);
	ck_assert(!components_all_up());
	set_state(&streams[0], STREAM_UP);
	ck_assert(components_all_up());
	set_state(&streams[1], STREAM_WAITING);
	ck_assert_int_eq(up_metric.numbers[1], 0);
	ck_assert(!components_all_up());
}
END_TEST

START_TEST(stanzas_go_to_the_layer_above)
{
	struct xml stanza = { .name = "iq" };
	struct stream *stream = components_next(components_next(NULL));

	stream->on_stanza(stream, XML_STANZA, &stanza);
	ck_assert_ptr_eq(taken, &stanza);
	ck_assert_ptr_eq(stream, &streams[1]);
	ck_assert_ptr_null(components_next(stream));
}
END_TEST

START_TEST(a_draining_stream_is_closed_only_when_every_iq_is_answered)
{
	struct iq *iq;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	stream_stop(&streams[0]);
	streams[0].fd = pair[0];
	set_state(&streams[0], STREAM_UP);
	iq = iq_new(&streams[0], "one.example", "a@b", "i1", 60000);
	drain();
	ck_assert_int_eq(streams[0].state, STREAM_UP);
	ck_assert_int_eq(streams[1].state, STREAM_OFF);
	iq_result(iq);
	ck_assert_int_eq(streams[0].state, STREAM_CLOSING);
	close(pair[1]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_gauge_tells_which_streams_are_up,
		stanzas_go_to_the_layer_above,
		a_draining_stream_is_closed_only_when_every_iq_is_answered,
	};

	return unit_run("components", tests, ARRAY_LEN(tests), setup, teardown);
}
