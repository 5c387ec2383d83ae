#include "tests/fakes/xmpp_server/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/fakes/xmpp_server/link.h"
#include "tests/fakes/xmpp_server/text.h"

#define LOOK_MS 1000 /* between two looks for what has waited too long */
#define ERRORS_MAX 64
#define SENDER "bob@example.org"

const char *const ending_names[ENDINGS] = { "result", "error", "lost", "timeout" };

/* Replies that nobody waits for. */
enum stray {
	STRAY_UNASKED,  /* to nothing that was sent, or for the second time */
	STRAY_ASTRAY,   /* on another connection than the publish */
	STRAY_LATE,     /* after the server has given up */
	STRAY_RETURNED, /* after the publish's connection was lost, on a new one */
	STRAYS,
};
static const char *const stray_names[STRAYS] = { "unasked", "astray", "late", "returned" };

static struct server *server;
static struct map pending; /* struct publish by id */
static struct list by_time;
static struct timer look;
static uint64_t sent, lost_registrations, endings[ENDINGS], strays[STRAYS];

/* Errors by their type and condition. */
static struct {
	char name[100];
	uint64_t count;
} errors[ERRORS_MAX];

/* ---- the end of a publish ---- */

static void free_publish(struct publish *publish)
{
	map_remove(&pending, publish->id, strlen(publish->id));
	list_remove(&publish->of_link);
	list_remove(&publish->of_time);
	free(publish->id);
	free(publish);
}

static void end(struct publish *publish, enum ending ending, const struct element *element)
{
	endings[ending]++;
	list_remove(&publish->of_time);
	if (publish->done != NULL)
		publish->done(publish, ending, element);
}

static void count_error(const char *name)
{
	for (size_t i = 0; i < ERRORS_MAX; i++) {
		if (errors[i].count == 0)
			snprintf(errors[i].name, sizeof(errors[i].name), "%s", name);
		if (strcmp(errors[i].name, name) == 0 || i == ERRORS_MAX - 1) {
			errors[i].count++;
			return;
		}
	}
}

static void lose(struct registration *registration, const char *by)
{
	registration->lost = true;
	lost_registrations++;
	snprintf(registration->by, sizeof(registration->by), "%s", by);
	log_warn("registration-lost jid=%s node=%s by=%s", registration->jid, registration->node,
	         by);
}

static void apply(struct registration *registration, enum effect effect, const char *by)
{
	switch (effect) {
	case EFFECT_NONE:
		break;
	case EFFECT_KEEP:
		registration->errors = 0;
		break;
	case EFFECT_COUNT:
		if (++registration->errors == server->kind->errors_max)
			lose(registration, by);
		break;
	case EFFECT_DROP:
		lose(registration, by);
		break;
	}
}

static const char *or_null(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

/* What the reply ELEMENT does to the registration of PUBLISH. */
static void judge(struct publish *publish, const struct element *element)
{
	struct registration *registration = publish->registration;
	const char *asked = server->kind->bares ? registration->bare : registration->jid;
	struct verdict verdict = {
		.result = strcmp(element->type, "result") == 0,
		.from_asked = strcmp(element->from, asked) == 0,
		.error_type = or_null(element->error_type),
		.condition = or_null(element->condition),
	};
	char by[100] = "";

	if (!verdict.result) {
		snprintf(by, sizeof(by), "%s/%s", element->error_type, element->condition);
		count_error(by);
	}
	if (!registration->lost)
		apply(registration, server->kind->effect(&verdict), by);
}

static void on_reply(struct link *link, const struct element *element)
{
	struct publish *publish = map_get(&pending, element->id, strlen(element->id));

	if (publish == NULL) {
		strays[STRAY_UNASKED]++;
		log_warn("unasked-reply id=%s", element->id);
		return;
	}
	if (publish->link != NULL && publish->link != link) {
		strays[STRAY_ASTRAY]++;
		log_warn("reply-astray id=%s", element->id);
	}
	if (publish->link == NULL)
		strays[STRAY_RETURNED]++;
	else if (publish->late)
		strays[STRAY_LATE]++;
	if (publish->link == NULL || !publish->late)
		judge(publish, element);
	if (!publish->late)
		end(publish, element->type[0] == 'r' ? ENDING_RESULT : ENDING_ERROR, element);
	free_publish(publish);
}

/*
 * What the connection still owed ends as lost. But servers know a reply by its id, so one that
 * comes on a later connection is obeyed all the same.
 */
static void on_left(struct link *link)
{
	struct list_link *first;

	while ((first = list_take(&link->owed)) != NULL) {
		struct publish *publish = container_of(first, struct publish, of_link);
		bool late = publish->late;

		publish->late = true;
		publish->link = NULL;
		if (!late)
			end(publish, ENDING_LOST, NULL);
	}
}

static void on_look(struct timer *timer)
{
	uint64_t patience_ns = server->kind->patience_ms * 1000000ull, now_ns = loop_now_ns();
	struct list_link *first;

	while (patience_ns > 0 && (first = list_first(&by_time)) != NULL) {
		struct publish *publish = container_of(first, struct publish, of_time);

		if (now_ns - publish->sent_ns < patience_ns)
			break;
		publish->late = true;
		end(publish, ENDING_TIMEOUT, NULL);
	}
	timer_start(timer, LOOK_MS);
}

/* ---- its beginning ---- */

static void write_stanza(struct buf *out, const struct publish *publish, const char *to,
                         const char *text)
{
	const struct registration *registration = publish->registration;
	struct text_value values[] = {
		{ "id", publish->id, 0 },
		{ "from", server->domain, 0 },
		{ "to", to, 0 },
		{ "node", registration->node, 0 },
		{ "options", registration->options, 1 },
		{ "sender", SENDER, 0 },
		{ "body", "Are you there?", 0 },
		{ "sid", "sid-1", 0 },
		{ NULL },
	};

	text_fill(out, text, values);
}

struct publish *publish_send(struct server *from, struct registration *registration,
                             const char *text)
{
	const char *to = server->kind->bares ? registration->bare : registration->jid;
	struct link *link = link_for(server, registration->component, to);
	struct publish *publish;

	if (link == NULL)
		return NULL;
	publish = mem_alloc(1, sizeof(*publish));
	publish->id = text_number(server->kind->publish_id, server->next_id++);
	publish->registration = registration;
	publish->link = link;
	publish->sent_ns = loop_now_ns();
	map_put(&pending, publish->id, strlen(publish->id), publish);
	list_append(&link->owed, &publish->of_link);
	list_append(&by_time, &publish->of_time);
	write_stanza(link_output(link), publish, to, text);
	sent++;
	return publish;
}

void publish_start(struct server *started)
{
	server = started;
	server->replied = on_reply;
	server->left = on_left;
	list_init(&by_time);
	look.expired = on_look;
	timer_start(&look, LOOK_MS);
}

void publish_stop(void)
{
	size_t cursor = 0;
	struct publish *publish;

	timer_stop(&look);
	while ((publish = map_next(&pending, &cursor)) != NULL) {
		free_publish(publish);
		cursor = 0;
	}
	map_release(&pending);
}

size_t publish_in_flight(void)
{
	size_t count = 0;

	list_for_each (link, &by_time)
		count++;
	return count;
}

json_t *publish_stats(void)
{
	json_t *stats = json_object(), *conditions = json_object();

	json_object_set_new(stats, "sent", json_integer((json_int_t)sent));
	json_object_set_new(stats, "in_flight", json_integer((json_int_t)publish_in_flight()));
	json_object_set_new(stats, "registrations_lost",
	                    json_integer((json_int_t)lost_registrations));
	for (int i = 0; i < ENDINGS; i++)
		json_object_set_new(stats, ending_names[i], json_integer((json_int_t)endings[i]));
	for (int i = 0; i < STRAYS; i++)
		json_object_set_new(stats, stray_names[i], json_integer((json_int_t)strays[i]));
	for (size_t i = 0; i < ERRORS_MAX && errors[i].count > 0; i++)
		json_object_set_new(conditions, errors[i].name,
		                    json_integer((json_int_t)errors[i].count));
	json_object_set_new(stats, "errors", conditions);
	return stats;
}
