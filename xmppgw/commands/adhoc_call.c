#include "xmppgw/commands/adhoc_call.h"

#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"

static struct list under_way;

static void release_request(struct adhoc_call *call)
{
	free(call->method);
	free(call->path);
	json_decref(call->body);
	call->method = call->path = NULL;
	call->body = NULL;
}

static void free_call(struct adhoc_call *call)
{
	api_call_cancel(&call->call);
	task_stop(&call->unreachable);
	release_request(call);
	list_remove(&call->link);
	free(call);
}

/* Something is still to come: an answer, or the word that there is nobody to ask. */
static bool is_waiting(const struct adhoc_call *call)
{
	return call->call.backend != NULL || list_linked(&call->unreachable.link);
}

static void finish(struct adhoc_call *call, unsigned status, const json_t *body)
{
	release_request(call);
	if (call->iq != NULL)
		call->done(call, status, body);
	if (!is_waiting(call))
		free_call(call);
}

static void on_unreachable(struct task *task)
{
	finish(container_of(task, struct adhoc_call, unreachable), API_CALL_UNREACHED, NULL);
}

static void begin(struct adhoc_call *call, struct backend *backend)
{
	api_call_json(&call->call, backend, call->method, call->path, json_incref(call->body));
}

/* One that was not reached has got nothing; another relay is asked while there is one. */
static void on_called(struct api_call *done, unsigned status, const json_t *body)
{
	struct adhoc_call *call = container_of(done, struct adhoc_call, call);
	bool again = status == API_CALL_UNREACHED && call->any && call->iq != NULL;
	struct backend *other = again ? backend_any(BACKEND_RELAY) : NULL;

	if (other != NULL && backend_available(other))
		begin(call, other);
	else
		finish(call, status, body);
}

void *adhoc_call_new(size_t size, struct iq *iq, const struct adhoc_session *session)
{
	struct adhoc_call *call = mem_alloc(1, size);

	list_append(&under_way, &call->link);
	call->call.done = on_called;
	call->unreachable.run = on_unreachable;
	call->session = *session;
	iq_hold(iq, &call->iq);
	return call;
}

void adhoc_call_ask(struct adhoc_call *call, struct backend *backend, const char *method,
                    const char *path, json_t *body)
{
	call->method = mem_dup(method);
	call->path = mem_dup(path);
	call->body = body;
	if (backend == NULL)
		task_start(&call->unreachable);
	else
		begin(call, backend);
}

void adhoc_call_ask_relay(struct adhoc_call *call, const char *method, const char *path,
                          json_t *body)
{
	call->any = true;
	adhoc_call_ask(call, backend_any(BACKEND_RELAY), method, path, body);
}

void adhoc_call_fail(struct iq *iq, unsigned status, const json_t *body)
{
	switch (status) {
	case 400:
		iq_error(iq, IQ_BAD_REQUEST, api_call_message(body, NULL));
		break;
	case 403:
	case 409:
		iq_error(iq, IQ_NOT_ALLOWED, api_call_message(body, NULL));
		break;
	case 404:
		iq_error(iq, IQ_ITEM_NOT_FOUND, api_call_message(body, NULL));
		break;
	case API_CALL_UNREACHED:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, "Nobody could be reached to do this.");
		break;
	case API_CALL_UNANSWERED:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, "There was no answer in time.");
		break;
	default:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, api_call_message(body, NULL));
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
		free_call(container_of(first, struct adhoc_call, link));
}

const struct daemon_module adhoc_call_module = { "commands", start, stop };
