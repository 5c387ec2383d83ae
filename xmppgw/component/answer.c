#include "xmppgw/component/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "xmppgw/xmpp/markup.h"

#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"

/* Most answers that one link may owe, and most bytes that they may hold. */
#define ANSWERS_MAX 10000
#define ANSWERS_BYTES (32 * 1024 * 1024)

/* Rows of a metric: the errors by their place, and before them the results. */
enum { OUTCOME_RESULT, OUTCOME_FIRST_ERROR, OUTCOME_LOST = OUTCOME_FIRST_ERROR + ANSWER_ERRORS };

/* clang-format off */
static const struct {
	const char *type;
	const char *condition;
} errors[ANSWER_ERRORS] = {
	[ANSWER_BAD_REQUEST]         = { "modify", "bad-request" },
	[ANSWER_JID_MALFORMED]       = { "modify", "jid-malformed" },
	[ANSWER_FORBIDDEN]           = { "auth", "forbidden" },
	[ANSWER_ITEM_NOT_FOUND]      = { "cancel", "item-not-found" },
	[ANSWER_NOT_ALLOWED]         = { "cancel", "not-allowed" },
	[ANSWER_SERVICE_UNAVAILABLE] = { "cancel", "service-unavailable" },
	[ANSWER_TROUBLE]             = { "wait", "internal-server-error" },
};
/* clang-format on */

static const char *outcome_names[OUTCOME_LOST + 1];
static int64_t outcome_numbers[OUTCOME_LOST + 1];
static struct metric outcome_metric = {
	.name = "outrigger_xmppgw_iqs_answered_total",
	.help = "Requests that were answered, by outcome; lost: the link was down.",
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

static struct buf unsent; /* where replies go whose link is down */

/* What a reply is appended to. */
static struct buf *output(struct link *link)
{
	if (link_is_up(link))
		return link_output(link);
	buf_release(&unsent);
	return &unsent;
}

static void count(struct link *link, unsigned outcome)
{
	outcome_numbers[link_is_up(link) ? outcome : OUTCOME_LOST]++;
}

static void forget(struct answer *answer)
{
	struct link *link = answer->owner;

	timer_stop(&answer->deadline);
	list_remove(&answer->link);
	link->answer_count--;
	link->answer_bytes -= answer->size;
	outstanding--;
	if (answer->holder != NULL)
		*answer->holder = NULL;
	free(answer);
}

static void on_deadline(struct timer *timer)
{
	answer_error(container_of(timer, struct answer, deadline), ANSWER_TROUBLE, NULL);
}

struct answer *answer_new(struct link *link, const char *from, const char *to, const char *id,
                          uint32_t deadline_ms)
{
	size_t from_size = strlen(from) + 1, to_size = strlen(to) + 1, id_size = strlen(id) + 1;
	size_t size = sizeof(struct answer) + from_size + to_size + id_size;
	struct answer *answer = mem_alloc(1, size);

	answer->owner = link;
	answer->from = memcpy(answer->text, from, from_size);
	answer->to = memcpy(answer->text + from_size, to, to_size);
	answer->id = memcpy(answer->text + from_size + to_size, id, id_size);
	answer->began_ns = loop_now_ns();
	answer->deadline.expired = on_deadline;
	timer_start(&answer->deadline, deadline_ms);
	list_append(&link->answers, &answer->link);
	link->answer_count++;
	outstanding++;
	answer_charge(answer, size);
	return answer;
}

void answer_hold(struct answer *answer, struct answer **holder)
{
	assert(answer->holder == NULL);
	answer->holder = holder;
	*holder = answer;
}

void answer_charge(struct answer *answer, size_t len)
{
	answer->size += len;
	answer->owner->answer_bytes += len;
}

bool answer_link_is_full(const struct link *link)
{
	return link->answer_count >= ANSWERS_MAX || link->answer_bytes >= ANSWERS_BYTES;
}

static void begin(struct buf *out, const char *type, const char *from, const char *to,
                  const char *id)
{
	markup_add(out, "<iq type='%s' from='%s' to='%s' id='%s'", type, from, to, id);
}

static void settle(struct answer *answer)
{
	struct link *link = answer->owner;

	forget(answer);
	link->settled(link);
}

void answer_result(struct answer *answer)
{
	struct buf *out = output(answer->owner);

	begin(out, "result", answer->from, answer->to, answer->id);
	buf_text(out, "/>");
	count(answer->owner, OUTCOME_RESULT);
	settle(answer);
}

struct buf *answer_begin(struct answer *answer)
{
	struct buf *out = output(answer->owner);

	begin(out, "result", answer->from, answer->to, answer->id);
	buf_text(out, ">");
	return out;
}

void answer_end(struct answer *answer)
{
	buf_text(link_is_up(answer->owner) ? link_output(answer->owner) : &unsent, "</iq>");
	count(answer->owner, OUTCOME_RESULT);
	settle(answer);
}

/* RFC 6120 8.3.2. The condition comes before the text: some clients take the first child for it. */
static void add_error(struct buf *out, enum answer_error error, const char *text)
{
	buf_text(out, "><error type='");
	buf_text(out, errors[error].type);
	buf_text(out, "'><");
	buf_text(out, errors[error].condition);
	buf_text(out, " xmlns='" STANZAS_NS "'/>");
	if (text != NULL)
		markup_add(out, "<text xmlns='" STANZAS_NS "' xml:lang='en'>%s</text>", text);
	buf_text(out, "</error></iq>");
}

void answer_error(struct answer *answer, enum answer_error error, const char *text)
{
	struct buf *out = output(answer->owner);

	begin(out, "error", answer->from, answer->to, answer->id);
	add_error(out, error, text);
	count(answer->owner, OUTCOME_FIRST_ERROR + error);
	settle(answer);
}

void answer_refuse(struct link *link, const char *from, const char *to, const char *id,
                   enum answer_error error)
{
	struct buf *out = output(link);

	begin(out, "error", from, to, id);
	add_error(out, error, NULL);
	count(link, OUTCOME_FIRST_ERROR + error);
}

void answer_forget(struct link *link)
{
	struct list_link *first;

	while ((first = list_first(&link->answers)) != NULL)
		forget(container_of(first, struct answer, link));
	buf_release(&unsent);
}

void answer_metrics(void)
{
	outcome_names[OUTCOME_RESULT] = "result";
	for (unsigned i = 0; i < ANSWER_ERRORS; i++)
		outcome_names[OUTCOME_FIRST_ERROR + i] = errors[i].condition;
	outcome_names[OUTCOME_LOST] = "lost";
	metrics_add(&outcome_metric);
	metrics_add(&outstanding_metric);
}
