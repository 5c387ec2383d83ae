/* All stanzas that a server can send, through the table of handlers and out again. */
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/daemon.h"
#include "tests/fuzz/stream.h"
#include "xmppgw/access.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/backend/call.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/commands/survey.h"
#include "xmppgw/component/answer.h"
#include "xmppgw/conf.h"
#include "xmppgw/route.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/publish.h"

static char *roles[] = { (char *)"relay", (char *)"push", NULL };
static const struct conf_component component = {
	.domain = (char *)"both.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"s",
	.roles = roles,
	.name = (char *)"A \"name\"",
};
static char *addresses[] = { (char *)"192.0.2.1:1080", NULL };
static struct conf_relay relay = { (char *)"r1", (char *)"http://127.0.0.1:1", addresses };
static char *admins[] = { (char *)"admin@example.org", NULL };
static struct conf conf = {
	.daemon = { .redis = (char *)"none", .admins = admins },
	.relays = { &relay, 1 },
};

/* All that handlers call, as main.c has it. */
static const struct daemon_module *const modules[] = {
	&access_module,     &backend_module, &call_module,       &publish_module,
	&adhoc_call_module, &survey_module,  &activation_module,
};

static void on_settled(struct link *link)
{
}

static struct link *start(void)
{
	struct link *link = mem_alloc(1, sizeof(*link));

	log_init("fuzz", LOG_ERROR);
	loop_init();
	link_init(link, &component, 0);
	link->settled = on_settled;
	link->state = LINK_UP;
	for (size_t i = 0; i < ARRAY_LEN(modules); i++)
		assert(modules[i]->start(&conf) == 0);
	return link;
}

static void stop(struct link *link)
{
	answer_forget(link);
	for (size_t i = ARRAY_LEN(modules); i > 0; i--)
		modules[i - 1]->stop();
	task_stop(&link->flush);
	buf_release(&link->output);
	free(link);
	loop_release();
}

static bool wants_answer(const struct xml *stanza)
{
	const char *type = xml_attribute(stanza, "type");

	return strcmp(stanza->name, "iq") == 0 && type != NULL &&
	       (strcmp(type, "get") == 0 || strcmp(type, "set") == 0);
}

/* Hands over all stanzas of READER; how many of them must be answered. */
static unsigned route_all(struct link *link, struct xml_reader *reader)
{
	const struct xml *stanza;
	unsigned asked = 0;

	for (;;) {
		enum xml_event event = xml_reader_next(reader, &stanza);

		if (event == XML_STANZA)
			route_stanza(link, stanza);
		else if (event == XML_SKIPPED)
			route_skipped(link, stanza);
		else
			return asked;
		asked += stanza != NULL && wants_answer(stanza);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_reader *reader;
	struct link *link;
	unsigned asked, answered;

	if (size == 0)
		return 0;
	reader = stream_open();
	link = start();
	stream_feed(reader, data, size);
	asked = route_all(link, reader);
	answered = stream_count(buf_data(&link->output), buf_len(&link->output));
	assert(answered + link->answer_count <= asked);
	stop(link);
	xml_reader_free(reader);
	return 0;
}
