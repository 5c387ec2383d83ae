#include "xmppgw/component/iq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/xmpp/markup.h"

#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"

/* How many IQs one stream may leave unanswered, and how many bytes they may hold. */
#define IQS_MAX 10000
#define IQS_BYTES (32 * 1024 * 1024)

/* Rows of a metric: results, the errors in the order of enum iq_condition, lost answers. */
enum { OUTCOME_RESULT, OUTCOME_FIRST_ERROR, OUTCOME_LOST = OUTCOME_FIRST_ERROR + IQ_CONDITIONS };

/* clang-format off */
static const struct {
	const char *type;
	const char *condition;
} errors[IQ_CONDITIONS] = {
	[IQ_BAD_REQUEST]         = { "modify", "bad-request" },
	[IQ_JID_MALFORMED]       = { "modify", "jid-malformed" },
	[IQ_FORBIDDEN]           = { "auth", "forbidden" },
	[IQ_ITEM_NOT_FOUND]      = { "cancel", "item-not-found" },
	[IQ_NOT_ALLOWED]         = { "cancel", "not-allowed" },
	[IQ_SERVICE_UNAVAILABLE] = { "cancel", "service-unavailable" },
	[IQ_INTERNAL_SERVER_ERROR]             = { "wait", "internal-server-error" },
	[IQ_RESOURCE_CONSTRAINT] = { "wait", "resource-constraint" },
};
/* clang-format on */

static const char *outcome_names[OUTCOME_LOST + 1];
static int64_t outcome_numbers[OUTCOME_LOST + 1];
static struct metric outcome_metric = {
	.name = "outrigger_xmppgw_iqs_answered_total",
	.help = "Requests that were answered, by outcome; lost: the stream was down.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = outcome_names,
	.series = ARRAY_LEN(outcome_names),
	.numbers = outcome_numbers,
};

static int64_t outstanding;
static struct metric outstanding_metric = {
	.name = "outrigger_xmppgw_iqs_outstanding",
	.help = "Requests that were not answered yet.",
	.kind = METRIC_GAUGE,
	.numbers = &outstanding,
};

static struct list unanswered; /* struct iq */
static struct buf unsent;      /* takes the replies whose stream is down; they are lost */

/* The buffer to which a reply is appended. */
static struct buf *output(struct stream *stream)
{
	if (stream_is_up(stream))
		return stream_output(stream);
	buf_release(&unsent);
	return &unsent;
}

static void count(struct stream *stream, unsigned outcome)
{
	outcome_numbers[stream_is_up(stream) ? outcome : OUTCOME_LOST]++;
}

static void free_iq(struct iq *iq)
{
	struct stream *stream = iq->stream;

	timer_stop(&iq->deadline);
	list_remove(&iq->link);
	stream->iq_count--;
	stream->iq_bytes -= iq->size;
	outstanding--;
	if (iq->holder != NULL)
		*iq->holder = NULL;
	free(iq);
}

static void on_deadline(struct timer *timer)
{
	iq_error(container_of(timer, struct iq, deadline), IQ_INTERNAL_SERVER_ERROR, NULL);
}

struct iq *iq_new(struct stream *stream, const char *from, const char *to, const char *id,
                  uint32_t deadline_ms)
{
	size_t from_size = strlen(from) + 1, to_size = strlen(to) + 1, id_size = strlen(id) + 1;
	size_t size = sizeof(struct iq) + from_size + to_size + id_size;
	struct iq *iq = mem_alloc(1, size);

	iq->stream = stream;
	iq->from = memcpy(iq->text, from, from_size);
	iq->to = memcpy(iq->text + from_size, to, to_size);
	iq->id = memcpy(iq->text + from_size + to_size, id, id_size);
	iq->began_ns = loop_now_ns();
	iq->deadline.expired = on_deadline;
	timer_start(&iq->deadline, deadline_ms);
	list_append(&unanswered, &iq->link);
	stream->iq_count++;
	outstanding++;
	iq->size = size;
	stream->iq_bytes += size;
	return iq;
}

void iq_hold(struct iq *iq, struct iq **holder, size_t bytes)
{
	assert(iq->holder == NULL);
	iq->holder = holder;
	*holder = iq;
	iq->size += bytes;
	iq->stream->iq_bytes += bytes;
}

bool iq_stream_is_full(const struct stream *stream)
{
	return stream->iq_count >= IQS_MAX || stream->iq_bytes >= IQS_BYTES;
}

static void begin(struct buf *out, const char *type, const char *from, const char *to,
                  const char *id)
{
	markup_add(out, "<iq type='%s' from='%s' to='%s' id='%s'", type, from, to, id);
}

static void conclude(struct iq *iq)
{
	struct stream *stream = iq->stream;

	free_iq(iq);
	stream->on_change(stream);
}

void iq_result(struct iq *iq)
{
	struct buf *out = output(iq->stream);

	begin(out, "result", iq->from, iq->to, iq->id);
	buf_text(out, "/>");
	count(iq->stream, OUTCOME_RESULT);
	conclude(iq);
}

struct buf *iq_begin(struct iq *iq)
{
	struct buf *out = output(iq->stream);

	begin(out, "result", iq->from, iq->to, iq->id);
	buf_text(out, ">");
	return out;
}

void iq_end(struct iq *iq)
{
	buf_text(stream_is_up(iq->stream) ? stream_output(iq->stream) : &unsent, "</iq>");
	count(iq->stream, OUTCOME_RESULT);
	conclude(iq);
}

/* RFC 6120 8.3.2. The condition comes first: some clients take the first child for it. */
static void add_error(struct buf *out, enum iq_condition condition, const char *text)
{
	buf_text(out, "><error type='");
	buf_text(out, errors[condition].type);
	buf_text(out, "'><");
	buf_text(out, errors[condition].condition);
	buf_text(out, " xmlns='" STANZAS_NS "'/>");
	if (text != NULL)
		markup_add(out, "<text xmlns='" STANZAS_NS "' xml:lang='en'>%s</text>", text);
	buf_text(out, "</error></iq>");
}

void iq_error(struct iq *iq, enum iq_condition condition, const char *text)
{
	struct buf *out = output(iq->stream);

	begin(out, "error", iq->from, iq->to, iq->id);
	add_error(out, condition, text);
	count(iq->stream, OUTCOME_FIRST_ERROR + condition);
	conclude(iq);
}

static int start(void *config)
{
	list_init(&unanswered);
	outcome_names[OUTCOME_RESULT] = "result";
	for (unsigned i = 0; i < IQ_CONDITIONS; i++)
		outcome_names[OUTCOME_FIRST_ERROR + i] = errors[i].condition;
	outcome_names[OUTCOME_LOST] = "lost";
	metrics_add(&outcome_metric);
	metrics_add(&outstanding_metric);
	return 0;
}

static void stop(void)
{
	struct list_link *first;

	while ((first = list_first(&unanswered)) != NULL)
		free_iq(container_of(first, struct iq, link));
	buf_release(&unsent);
}

const struct daemon_module iq_module = { "iqs", start, stop };
