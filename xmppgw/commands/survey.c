#include "xmppgw/commands/survey.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/daemon.h"

#define RELAYS_MAX 256 /* more than these are not asked */

static struct list under_way;

static void free_survey(struct survey *survey)
{
	for (size_t i = 0; i < survey->count; i++) {
		api_call_cancel(&survey->parts[i].call);
		json_decref(survey->parts[i].body);
		free(survey->parts[i].relay);
	}
	free(survey->parts);
	list_remove(&survey->link);
	free(survey);
}

static void on_called(struct api_call *call, unsigned status, const json_t *body)
{
	struct survey_part *part = container_of(call, struct survey_part, call);
	struct survey *survey = part->survey;

	part->status = status;
	part->body = json_incref((json_t *)body);
	if (--survey->waiting > 0)
		return;
	if (survey->iq != NULL)
		survey->done(survey);
	free_survey(survey);
}

void *survey_new(size_t size, struct iq *iq, const struct adhoc_session *session)
{
	struct survey *survey = mem_alloc(1, size);

	list_append(&under_way, &survey->link);
	survey->session = *session;
	iq_hold(iq, &survey->iq);
	return survey;
}

static size_t count_relays(void)
{
	struct backend *relay = backend_first(BACKEND_RELAY);
	size_t count = 0;

	for (; relay != NULL && count < RELAYS_MAX; relay = backend_next(relay, BACKEND_RELAY))
		count++;
	return count;
}

void survey_ask(struct survey *survey, const char *method, const char *path)
{
	struct backend *relay = backend_first(BACKEND_RELAY);

	survey->count = survey->waiting = count_relays();
	if (survey->count == 0) {
		iq_error(survey->iq, IQ_INTERNAL_SERVER_ERROR, "No relay can be reached.");
		free_survey(survey);
		return;
	}
	survey->parts = mem_alloc(survey->count, sizeof *survey->parts);
	for (size_t i = 0; i < survey->count; i++) {
		struct survey_part *part = &survey->parts[i];

		part->survey = survey;
		part->relay = mem_dup(relay->id);
		part->call.done = on_called;
		api_call_json(&part->call, relay, method, path, NULL);
		relay = backend_next(relay, BACKEND_RELAY);
	}
}

static int start(void *config)
{
	list_init(&under_way);
	return 0;
}

static void stop(void)
{
	struct list_link *first;

	while ((first = list_first(&under_way)) != NULL)
		free_survey(container_of(first, struct survey, link));
}

const struct daemon_module survey_module = { "surveys", start, stop };
