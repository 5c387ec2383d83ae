#include "xmppgw/component/stream.c"

#include "common/base/log.h"
#include "tests/unit/certificate.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

static char *role_names[] = { (char *)"relay", NULL };
static const struct conf_component component = {
	.domain = (char *)"Proxy.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"secret",
	.roles = role_names,
	.name = (char *)"n",
};
static struct stream *proxy;
static int server;             /* the other end of the connection */
static enum stream_state told; /* the state at the last change */

static void on_change(struct stream *which)
{
	told = which->state;
}

/* A new connection to us; the one before is closed. */
static void connect_anew(void)
{
	int pair[2];

	disconnect(proxy);
	if (server >= 0)
		close(server);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	proxy->fd = pair[0];
	server = pair[1];
	ck_assert_int_eq(io_start(&proxy->io, proxy->fd, EPOLLIN), 0);
}

/* The link has just been connected to us. */
static void setup(void)
{
	log_init("test_stream", LOG_ERROR);
	loop_init();
	server = -1;
	proxy = mem_alloc(1, sizeof(*proxy));
	stream_init(proxy, &component);
	proxy->on_change = on_change;
	proxy->address_count = proxy->address_next = 1;
	net_parse("127.0.0.1:1", &proxy->addresses[0]);
	connect_anew();
	enter(proxy, STREAM_OPENING);
}

static void teardown(void)
{
	stream_stop(proxy);
	free(proxy);
	if (server >= 0)
		close(server);
	loop_release();
}

/* What has come to the server, until the next call. */
static const char *received(void)
{
	static char text[65536];
	ssize_t count;

	loop_turn(0);
	count = recv(server, text, sizeof(text) - 1, 0);
	text[count < 0 ? 0 : count] = '\0';
	return text;
}

static void say(const char *text)
{
	ck_assert_int_eq(write(server, text, strlen(text)), (ssize_t)strlen(text));
	loop_turn(0);
}

static void come_up(void)
{
	received();
	say(STREAM_HEADER);
	received();
	say("<handshake/>");
	ck_assert_int_eq(proxy->state, STREAM_UP);
}

START_TEST(the_header_and_the_handshake_are_those_of_xep_0114)
{
	ck_assert_str_eq(received(), "<?xml version='1.0'?><stream:stream to='proxy.example.org' "
	                             "xmlns='jabber:component:accept' "
	                             "xmlns:stream='http://etherx.jabber.org/streams'>");
	ck_assert_int_eq(proxy->state, STREAM_OPENING);
	say(STREAM_HEADER);
	ck_assert_int_eq(proxy->state, STREAM_AUTHENTICATING);
	/* printf abcsecret | sha1sum */
	ck_assert_str_eq(received(),
	                 "<handshake>de0a408ef519cd62e7379039634152874895c50c</handshake>");
	ck_assert(!stream_is_up(proxy));
	say("<handshake/>");
	ck_assert(stream_is_up(proxy));
	ck_assert_int_eq(told, STREAM_UP);
}
END_TEST

START_TEST(a_stanza_before_the_handshake_ends_the_connection)
{
	received();
	proxy->retries_at_once = false; /* the next attempt is not at once */
	say(STREAM_HEADER "<iq type='get' id='1' from='a' to='proxy.example.org'>"
	                  "<ping xmlns='urn:xmpp:ping'/></iq>");
	ck_assert_int_eq(proxy->state, STREAM_WAITING);
	ck_assert_int_eq(proxy->fd, -1);
}
END_TEST

START_TEST(a_silent_stream_gets_a_space_and_a_busy_one_none)
{
	come_up();
	received();
	proxy->timer.expired(&proxy->timer);
	ck_assert_str_eq(received(), "");
	ck_assert(timer_active(&proxy->timer));
	proxy->written_ms -= SILENCE_MS;
	proxy->timer.expired(&proxy->timer);
	ck_assert_str_eq(received(), " ");
	ck_assert(timer_active(&proxy->timer));
	ck_assert(stream_is_up(proxy));
}
END_TEST

static void error_leads_to(const char *condition, uint32_t least_ms, uint32_t most_ms)
{
	char *text = mem_printf("<stream:error><text xmlns='" ERRORS_NS "'>why</text>"
	                        "<%s xmlns='" ERRORS_NS "'/></stream:error></stream:stream>",
	                        condition);
	uint64_t before_ns, after_ns;

	come_up();
	before_ns = loop_now_ns();
	say(text);
	after_ns = loop_now_ns();
	ck_assert_int_eq(proxy->state, STREAM_WAITING);
	ck_assert_uint_ge(proxy->timer.due_ns, before_ns + least_ms * 1000000ull);
	ck_assert_uint_le(proxy->timer.due_ns, after_ns + most_ms * 1000000ull);
	free(text);
}

START_TEST(a_conflict_waits)
{
	error_leads_to("conflict", 5000, 6000);
}
END_TEST

START_TEST(a_refusal_waits_longer)
{
	error_leads_to("not-authorized", 60000, 61000);
}
END_TEST

START_TEST(an_unknown_host_waits_as_long)
{
	error_leads_to("host-unknown", 60000, 61000);
}
END_TEST

START_TEST(every_state_has_its_time)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		ck_assert_ptr_nonnull(states[i].name);
		if (states[i].timeout_ms > 0)
			ck_assert_ptr_nonnull(states[i].expired);
	}
	received();
	proxy->retries_at_once = false;
	ck_assert(timer_active(&proxy->timer));
	proxy->timer.expired(&proxy->timer);
	ck_assert_int_eq(proxy->state, STREAM_WAITING);
}
END_TEST

START_TEST(draining_stops_reading_and_closing_is_in_order)
{
	come_up();
	received();
	proxy->iq_count = 1; /* not answered yet */
	stream_drain(proxy);
	say("<iq type='get' id='1' from='a' to='proxy.example.org'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq>");
	ck_assert_str_eq(received(), "");
	stream_drain(proxy);
	ck_assert_int_eq(proxy->state, STREAM_UP);
	proxy->iq_count = 0;
	stream_drain(proxy);
	ck_assert_str_eq(received(), "</stream:stream>");
	ck_assert_int_eq(proxy->state, STREAM_CLOSING);
	ck_assert_str_eq(received(), "");
	say("</stream:stream>");
	loop_turn(0);
	ck_assert_int_eq(proxy->state, STREAM_OFF);
	ck_assert_int_eq(told, STREAM_OFF);
	ck_assert(!stream_is_up(proxy));
}
END_TEST

START_TEST(a_server_that_is_gone_while_we_drain_is_noticed)
{
	come_up();
	proxy->iq_count = 1;
	stream_drain(proxy);
	close(server);
	server = -1;
	loop_turn(0);
	ck_assert_int_eq(proxy->state, STREAM_OFF);
	ck_assert_int_eq(told, STREAM_OFF);
}
END_TEST

START_TEST(the_first_attempt_is_at_once_and_the_next_ones_wait_longer_and_longer)
{
	uint32_t top = 1000;

	ck_assert_uint_eq(next_wait(proxy, END_LOST, 0), 0);
	for (int i = 0; i < 8; i++) {
		uint32_t wait_ms = next_wait(proxy, END_CONNECT, 0);

		ck_assert_uint_ge(wait_ms, top / 2);
		ck_assert_uint_le(wait_ms, top);
		top = top * 2 > 30000 ? 30000 : top * 2;
	}
}
END_TEST

START_TEST(a_stream_that_lived_is_rebuilt_at_once_and_a_short_one_is_not)
{
	for (int i = 0; i < 5; i++)
		next_wait(proxy, END_CONNECT, 0);
	ck_assert_uint_gt(next_wait(proxy, END_CLOSED, STEADY_MS - 1), 0);
	ck_assert_uint_eq(next_wait(proxy, END_CLOSED, STEADY_MS), 0);
	ck_assert_uint_le(next_wait(proxy, END_CLOSED, 0), 1000);
}
END_TEST

START_TEST(a_conflict_and_a_refusal_wait_longer_even_the_first_time)
{
	uint32_t wait_ms = next_wait(proxy, END_CONFLICT, STEADY_MS);

	ck_assert_uint_ge(wait_ms, 5000);
	ck_assert_uint_lt(wait_ms, 6000);
	wait_ms = next_wait(proxy, END_REFUSED, STEADY_MS);
	ck_assert_uint_ge(wait_ms, 60000);
	ck_assert_uint_lt(wait_ms, 61000);
}
END_TEST

START_TEST(every_reason_has_a_name)
{
	for (size_t i = 0; i < END_REASONS; i++)
		ck_assert_ptr_nonnull(end_names[i]);
}
END_TEST

#define MOVED(host)                                                                                \
	"<stream:error><see-other-host xmlns='" ERRORS_NS "'>" host                                \
	"</see-other-host></stream:error></stream:stream>"

START_TEST(another_host_is_followed_three_times_in_a_row)
{
	for (unsigned i = 0; i < 3; i++) {
		say(STREAM_HEADER MOVED("127.0.0.2:5347"));
		ck_assert_str_eq(proxy->other_host, "127.0.0.2:5347");
		connect_anew();
		enter(proxy, STREAM_OPENING);
	}
	say(STREAM_HEADER MOVED("127.0.0.2:5347"));
	ck_assert_str_eq(proxy->other_host, "");
	ck_assert_int_eq(end_numbers[END_MOVED], 3);
	ck_assert_int_eq(end_numbers[END_REFUSED], 1);
	connect_anew();
	enter(proxy, STREAM_OPENING);
	say(STREAM_HEADER MOVED("127.0.0.2"));
	ck_assert_str_eq(proxy->other_host, "127.0.0.2:1"); /* the configured port */
}
END_TEST

START_TEST(another_host_that_fails_is_forgotten_and_ends_the_row)
{
	for (unsigned i = 0; i < 5; i++) {
		say(STREAM_HEADER MOVED("127.0.0.2:5347"));
		ck_assert_str_eq(proxy->other_host, "127.0.0.2:5347");
		end(proxy, END_CONNECT, "it is down");
		ck_assert_str_eq(proxy->other_host, "");
		connect_anew();
		enter(proxy, STREAM_OPENING);
	}
	say(STREAM_HEADER MOVED("127.0.0.2:5347"));
	connect_anew();
	enter(proxy, STREAM_OPENING);
	come_up();
	ck_assert_uint_eq(proxy->redirects, 0);
}
END_TEST

/* The greeting of TLS that the server gets from a stream with CONF. */
static const char *greeting(const struct conf_component *conf, size_t *len)
{
	static char bytes[4096];
	ssize_t count;

	connect_anew();
	proxy->conf = conf;
	enter(proxy, STREAM_SECURING);
	ck_assert_int_eq(proxy->state, STREAM_SECURING);
	count = recv(server, bytes, sizeof(bytes), 0);
	ck_assert_int_gt(count, 0);
	*len = (size_t)count;
	return bytes;
}

static bool names(const struct conf_component *conf, const char *name)
{
	size_t len;
	const char *bytes = greeting(conf, &len);

	return memmem(bytes, len, name, strlen(name)) != NULL;
}

START_TEST(tls_proves_the_configured_name_wherever_the_server_sent_us)
{
	struct conf_component conf = component;

	conf.tls = true;
	conf.server = (char *)"first.example.org:5347";
	snprintf(proxy->other_host, sizeof(proxy->other_host), "other.example.net:5347");
	ck_assert(names(&conf, "first.example.org"));
	conf.tls_name = (char *)"xmpp.example.org";
	ck_assert(names(&conf, "xmpp.example.org"));
}
END_TEST

START_TEST(each_connection_reads_the_authorities_anew)
{
	struct conf_component conf = component;
	struct certificate certificate;
	size_t len;

	certificate_init(&certificate);
	conf.tls = true;
	conf.ca_file = certificate.file;
	greeting(&conf, &len);
	connect_anew();
	ck_assert_int_eq(truncate(certificate.file, 0), 0);
	enter(proxy, STREAM_SECURING);
	ck_assert_int_eq(proxy->state, STREAM_WAITING);
	ck_assert_int_eq(end_numbers[END_TLS], 1);
	certificate_release(&certificate);
}
END_TEST

START_TEST(several_gateways_are_told_of_where_they_are_configured)
{
	struct conf_component conf = component;

	ck_assert_ptr_null(strstr(received(), "allowMultiple"));
	conf.allow_multiple = true;
	proxy->conf = &conf;
	connect_anew();
	enter(proxy, STREAM_OPENING);
	ck_assert_ptr_nonnull(strstr(received(), " allowMultiple='true'>"));
}
END_TEST

START_TEST(a_yielding_stream_answers_first_but_no_longer_than_its_time)
{
	come_up();
	received();
	proxy->iq_count = 1;
	stream_yield(proxy);
	ck_assert_int_eq(proxy->state, STREAM_UP);
	ck_assert(!(proxy->io.events & EPOLLIN));
	ck_assert_uint_le(proxy->timer.due_ns, loop_now_ns() + YIELD_MS * 1000000ull);
	proxy->timer.expired(&proxy->timer);
	ck_assert_int_eq(proxy->state, STREAM_CLOSING);
	ck_assert_str_eq(received(), "</stream:stream>");
	say("</stream:stream>");
	ck_assert_int_eq(proxy->state, STREAM_STANDBY);
	ck_assert(!proxy->yielding);
	ck_assert(!proxy->displaced);
	ck_assert_uint_eq(proxy->rest_ms, 0);
}
END_TEST

START_TEST(a_stream_that_is_not_up_yields_at_once)
{
	stream_yield(proxy);
	ck_assert_int_eq(proxy->state, STREAM_STANDBY);
	ck_assert_int_eq(proxy->fd, -1);
	ck_assert(!proxy->yielding);
}
END_TEST

START_TEST(a_stream_that_drains_while_it_yields_goes_off)
{
	come_up();
	proxy->iq_count = 1;
	stream_yield(proxy);
	stream_drain(proxy);
	say("</stream:stream>");
	close(server);
	server = -1;
	loop_turn(0);
	ck_assert_int_eq(proxy->state, STREAM_OFF);
}
END_TEST

START_TEST(with_standby_a_wait_is_left_to_the_owner_and_a_conflict_told)
{
	struct conf_component conf = component;

	conf.standby = true;
	proxy->conf = &conf;
	end(proxy, END_LOST, "");
	ck_assert_int_eq(proxy->state, STREAM_WAITING); /* no wait, so no other need try */
	connect_anew();
	enter(proxy, STREAM_AUTHENTICATING);
	end(proxy, END_CONFLICT, "");
	ck_assert_int_eq(proxy->state, STREAM_STANDBY);
	ck_assert(!proxy->displaced); /* the older connection was kept */
	ck_assert_uint_ge(proxy->rest_ms, 5000);
	connect_anew();
	enter(proxy, STREAM_UP);
	end(proxy, END_CONFLICT, "");
	ck_assert(proxy->displaced);
	connect_anew();
	enter(proxy, STREAM_UP);
	end(proxy, END_LOST, "");
	ck_assert_int_eq(proxy->state, STREAM_STANDBY);
	ck_assert(!proxy->displaced);
}
END_TEST

START_TEST(a_server_that_does_not_read_is_not_read_and_then_left)
{
	char *megabyte = mem_alloc(1, 1 << 20);

	come_up();
	for (unsigned i = 0; i < 3; i++)
		buf_append(stream_output(proxy), megabyte, 1 << 20);
	loop_turn(0);
	ck_assert(stream_is_up(proxy));
	ck_assert(!(proxy->io.events & EPOLLIN));
	for (unsigned i = 0; i < 32; i++)
		buf_append(stream_output(proxy), megabyte, 1 << 20);
	loop_turn(0);
	ck_assert(!stream_is_up(proxy));
	ck_assert_int_eq(end_numbers[END_SLOW], 1);
	free(megabyte);
}
END_TEST

START_TEST(a_new_configuration_leaves_a_stream_up)
{
	come_up();
	stream_configure(proxy, &component);
	ck_assert(stream_is_up(proxy));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_header_and_the_handshake_are_those_of_xep_0114,
		a_stanza_before_the_handshake_ends_the_connection,
		a_silent_stream_gets_a_space_and_a_busy_one_none,
		a_conflict_waits,
		a_refusal_waits_longer,
		an_unknown_host_waits_as_long,
		every_state_has_its_time,
		draining_stops_reading_and_closing_is_in_order,
		a_server_that_is_gone_while_we_drain_is_noticed,
		the_first_attempt_is_at_once_and_the_next_ones_wait_longer_and_longer,
		a_stream_that_lived_is_rebuilt_at_once_and_a_short_one_is_not,
		a_conflict_and_a_refusal_wait_longer_even_the_first_time,
		every_reason_has_a_name,
		another_host_is_followed_three_times_in_a_row,
		another_host_that_fails_is_forgotten_and_ends_the_row,
		tls_proves_the_configured_name_wherever_the_server_sent_us,
		each_connection_reads_the_authorities_anew,
		several_gateways_are_told_of_where_they_are_configured,
		a_yielding_stream_answers_first_but_no_longer_than_its_time,
		a_stream_that_is_not_up_yields_at_once,
		a_stream_that_drains_while_it_yields_goes_off,
		with_standby_a_wait_is_left_to_the_owner_and_a_conflict_told,
		a_server_that_does_not_read_is_not_read_and_then_left,
		a_new_configuration_leaves_a_stream_up,
	};

	return unit_run("stream", tests, ARRAY_LEN(tests), setup, teardown);
}
