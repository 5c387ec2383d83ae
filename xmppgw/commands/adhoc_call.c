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
	call_cancel(&call->call);
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
	if (call->answer != NULL)
		call->done(call, status, body);
	if (!is_waiting(call))
		free_call(call);
}

static void on_unreachable(struct task *task)
{
	finish(container_of(task, struct adhoc_call, unreachable), CALL_UNREACHED, NULL);
}

static void begin(struct adhoc_call *call, struct backend *backend)
{
	call_json(&call->call, backend, call->method, call->path, json_incref(call->body));
}

/* One that was not reached has got nothing; another relay is asked while there is one. */
static void on_called(struct call *done, unsigned status, const json_t *body)
{
	struct adhoc_call *call = container_of(done, struct adhoc_call, call);
	bool again = status == CALL_UNREACHED && call->any && call->answer != NULL;
	struct backend *other = again ? backend_any(BACKEND_RELAY) : NULL;

	if (other != NULL && backend_available(other))
		begin(call, other);
	else
		finish(call, status, body);
}

void *adhoc_call_new(size_t size, struct answer *answer, const struct adhoc_session *session)
{
	struct adhoc_call *call = mem_alloc(1, size);

	list_append(&under_way, &call->link);
	call->call.done = on_called;
	call->unreachable.run = on_unreachable;
	call->session = *session;
	answer_hold(answer, &call->answer);
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

void adhoc_call_fail(struct answer *answer, unsigned status, const json_t *body)
{
	switch (status) {
	case 400:
		answer_error(answer, ANSWER_BAD_REQUEST, call_message(body, NULL));
		break;
	case 403:
	case 409:
		answer_error(answer, ANSWER_NOT_ALLOWED, call_message(body, NULL));
		break;
	case 404:
		answer_error(answer, ANSWER_ITEM_NOT_FOUND, call_message(body, NULL));
		break;
	case CALL_UNREACHED:
		answer_error(answer, ANSWER_TROUBLE, "Nobody could be reached to do this.");
		break;
	case CALL_UNANSWERED:
		answer_error(answer, ANSWER_TROUBLE, "There was no answer in time.");
		break;
	default:
		answer_error(answer, ANSWER_TROUBLE, call_message(body, NULL));
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
