#include "xmppgw/adhoc/command_call.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/daemon.h"

#define DAEMONS_MAX 256 /* more than these are not asked */

static struct list under_way;

static void free_asking(struct command_call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		api_call_cancel(&call->replies[i].api);
		json_decref(call->replies[i].body);
		free(call->replies[i].daemon);
	}
	free(call->replies);
	free(call->path);
	json_decref(call->body);
	call->replies = NULL;
	call->count = 0;
}

static void free_call(struct command_call *call)
{
	free_asking(call);
	task_stop(&call->unreachable);
	list_remove(&call->link);
	free(call);
}

static void finish(struct command_call *call)
{
	if (call->request.iq != NULL)
		call->done(call);
	if (call->waiting == 0)
		free_call(call);
}

static void on_unreachable(struct task *task)
{
	struct command_call *call = container_of(task, struct command_call, unreachable);

	call->waiting = 0;
	finish(call);
}

static void send_to(struct command_reply *reply, struct backend *backend)
{
	struct command_call *call = reply->call;

	free(reply->daemon);
	reply->daemon = mem_dup(backend->id);
	api_call_send(&reply->api, backend,
	              &(struct api_request){ .method = call->method,
	                                     .path = call->path,
	                                     .json = json_incref(call->body) });
}

/* A daemon that wasn't reached has not carried out the call, so another one may be asked. */
static struct backend *find_other(const struct command_call *call, unsigned status)
{
	struct backend *other = NULL;

	if (status == API_CALL_UNREACHED && call->any && call->request.iq != NULL)
		other = backend_any(call->kind);
	return other != NULL && backend_available(other) ? other : NULL;
}

static void on_answered(struct api_call *api, unsigned status, const json_t *body)
{
	struct command_reply *reply = container_of(api, struct command_reply, api);
	struct command_call *call = reply->call;
	struct backend *other = find_other(call, status);

	if (other != NULL) {
		send_to(reply, other);
		return;
	}
	reply->status = status;
	reply->body = json_incref((json_t *)body);
	if (--call->waiting == 0)
		finish(call);
}

void *command_call_new(size_t size, struct adhoc_request *request)
{
	struct command_call *call = mem_alloc(1, size);

	list_append(&under_way, &call->link);
	call->unreachable.run = on_unreachable;
	call->request = *request;
	iq_hold(request->iq, &call->request.iq, size);
	return call;
}

/* Prepares COUNT replies and frees those of the last asking. */
static void begin(struct command_call *call, size_t count, const char *method, const char *path,
                  json_t *body)
{
	char *copy = mem_dup(path);

	free_asking(call);
	call->method = method;
	call->path = copy;
	call->body = body;
	call->replies = mem_alloc(count, sizeof(*call->replies));
	call->count = call->waiting = count;
	for (size_t i = 0; i < count; i++) {
		call->replies[i].call = call;
		call->replies[i].api.done = on_answered;
	}
}

void command_call_one(struct command_call *call, struct backend *backend, const char *method,
                      const char *path, json_t *body)
{
	begin(call, 1, method, path, body);
	send_to(&call->replies[0], backend);
}

void command_call_any(struct command_call *call, enum backend_kind kind, const char *method,
                      const char *path, json_t *body)
{
	struct backend *backend = backend_any(kind);

	call->any = true;
	call->kind = kind;
	begin(call, 1, method, path, body);
	call->replies[0].status = API_CALL_UNREACHED;
	if (backend == NULL)
		task_start(&call->unreachable);
	else
		send_to(&call->replies[0], backend);
}

static size_t count_daemons(enum backend_kind kind)
{
	struct backend *backend = backend_first(kind);
	size_t count = 0;

	for (; backend != NULL && count < DAEMONS_MAX; backend = backend_next(backend, kind))
		count++;
	return count;
}

void command_call_all(struct command_call *call, enum backend_kind kind, const char *method,
                      const char *path)
{
	struct backend *backend = backend_first(kind);

	if (backend == NULL) {
		iq_error(call->request.iq, IQ_INTERNAL_SERVER_ERROR,
		         kind == BACKEND_RELAY ? "No relay can be reached."
		                               : "No push daemon can be reached.");
		free_call(call);
		return;
	}
	begin(call, count_daemons(kind), method, path, NULL);
	for (size_t i = 0; i < call->count; i++) {
		send_to(&call->replies[i], backend);
		backend = backend_next(backend, kind);
	}
}

void command_call_fail(struct command_call *call, const struct command_reply *reply)
{
	struct iq *iq = call->request.iq;

	switch (reply->status) {
	case 400:
		iq_error(iq, IQ_BAD_REQUEST, api_call_message(reply->body, NULL));
		break;
	case 403:
	case 409:
		iq_error(iq, IQ_NOT_ALLOWED, api_call_message(reply->body, NULL));
		break;
	case 404:
		iq_error(iq, IQ_ITEM_NOT_FOUND, api_call_message(reply->body, NULL));
		break;
	case API_CALL_UNREACHED:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, "Nobody could be reached to do this.");
		break;
	case API_CALL_UNANSWERED:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, "There was no answer in time.");
		break;
	default:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, api_call_message(reply->body, NULL));
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
		free_call(container_of(first, struct command_call, link));
}

const struct daemon_module command_call_module = { "commands", start, stop };
