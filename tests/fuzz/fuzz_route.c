/* All stanzas that a server can send, through the table of handlers and out again. */
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/daemon.h"
#include "tests/fuzz/stream.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/commands/command_call.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/conf.h"
#include "xmppgw/route.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/publish_send.h"

static char *roles[] = { (char *)"relay", (char *)"push", NULL };
static char *admins[] = { (char *)"admin@example.org", NULL };
static const struct conf_component component = {
	.domain = (char *)"both.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"s",
	.roles = roles,
	.name = (char *)"A \"name\"",
	.admins = admins,
};
static char *addresses[] = { (char *)"192.0.2.1:1080", NULL };
static struct conf_relay relay = { (char *)"r1", (char *)"http://127.0.0.1:1", addresses };
static struct conf conf = {
	.daemon = { .redis = (char *)"none" },
	.relays = { &relay, 1 },
};

/* All that handlers call, as main.c has it. */
static const struct daemon_module *const modules[] = {
	&backend_module,      &api_call_module,   &publish_send_module,
	&command_call_module, &activation_module, &iq_module,
};

static void on_change(struct stream *stream)
{
}

static struct stream *start(void)
{
	struct stream *stream = mem_alloc(1, sizeof(*stream));

	log_init("fuzz", LOG_ERROR);
	loop_init();
	stream_init(stream, &component);
	acl_init(&stream->acl, &component);
	stream->on_change = on_change;
	stream->state = STREAM_UP;
	for (size_t i = 0; i < ARRAY_LEN(modules); i++)
		assert(modules[i]->start(&conf) == 0);
	return stream;
}

static void stop(struct stream *stream)
{
	for (size_t i = ARRAY_LEN(modules); i > 0; i--)
		modules[i - 1]->stop();
	acl_release(&stream->acl);
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

static bool wants_answer(const struct xml *stanza)
{
	const char *type = xml_attribute(stanza, "type");

	return strcmp(stanza->name, "iq") == 0 && type != NULL &&
	       (strcmp(type, "get") == 0 || strcmp(type, "set") == 0);
}

/* Hands over all stanzas of READER; how many of them must be answered. */
static unsigned route_all(struct stream *stream, struct xml_reader *reader)
{
	const struct xml *stanza;
	unsigned asked = 0;

	for (;;) {
		enum xml_event event = xml_reader_next(reader, &stanza);

		if (event != XML_STANZA && event != XML_SKIPPED)
			return asked;
		route_stanza(stream, event, stanza);
		asked += stanza != NULL && wants_answer(stanza);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_reader *reader;
	struct stream *stream;
	unsigned asked, answered;

	if (size == 0)
		return 0;
	reader = stream_open();
	stream = start();
	stream_feed(reader, data, size);
	asked = route_all(stream, reader);
	answered = stream_count(buf_data(&stream->output), buf_len(&stream->output));
	assert(answered + stream->iq_count <= asked);
	stop(stream);
	xml_reader_free(reader);
	return 0;
}
