#include "pushd/api/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/http/http_server.h"
#include "pushd/queue/queue.h"

struct deferred {
	struct http_request *request;
	struct queue_listing listing;
	size_t limit;
};

static void release_deferred(void *state)
{
	struct deferred *deferred = state;

	redis_cancel(&deferred->listing.call);
	free(deferred);
}

static json_t *describe(const struct queue_entry *entry)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I}", "id", entry->id, "node",
	                 entry->node, "provider", entry->provider, "domain", entry->domain,
	                 "priority", priority_names[entry->priority], "attempts",
	                 (int)entry->attempts, "created_ms", (json_int_t)entry->created_ms,
	                 "expires_ms", (json_int_t)entry->expires_ms, "due_ms",
	                 (json_int_t)entry->due_ms);
}

/* What `after` takes to go on behind ENTRY: "EXPIRES-ID". */
static json_t *make_next(const struct queue_entry *entry)
{
	char *text = mem_printf("%lld-%s", (long long)entry->expires_ms, entry->id);
	json_t *next = json_string(text);

	free(text);
	return next;
}

static void on_listed(struct queue_listing *listing, enum queue_result result,
                      const struct queue_entry *entries, size_t count, int64_t total)
{
	struct deferred *deferred = container_of(listing, struct deferred, listing);
	json_t *list, *next = json_null();

	if (result != QUEUE_DONE) {
		http_fail(deferred->request, 503, "unavailable", "the storage can't be reached");
		return;
	}
	list = json_array();
	for (size_t i = 0; i < count && i < deferred->limit; i++)
		json_array_append_new(list, describe(&entries[i]));
	if (count > deferred->limit)
		next = make_next(&entries[deferred->limit - 1]);
	http_reply(deferred->request, 200,
	           json_pack("{s:I, s:o, s:o}", "count", (json_int_t)total, "queue", list, "next",
	                     next));
}

/* Reads `after`. NULL with *EXPIRES_MS 0 without it; false after answering 400. */
static bool read_after(struct http_request *request, const char **id, int64_t *expires_ms)
{
	const char *text = http_query(request, "after");
	size_t digits = text == NULL ? 0 : strspn(text, "0123456789");

	*id = NULL;
	*expires_ms = 0;
	if (text == NULL)
		return true;
	if (digits == 0 || digits > 18 || text[digits] != '-' ||
	    strlen(text + digits + 1) != QUEUE_ID_SIZE - 1) {
		http_fail(request, 400, "bad_request", "after: must be what next said");
		return false;
	}
	*id = text + digits + 1;
	*expires_ms = strtoll(text, NULL, 10);
	return true;
}

static void serve(struct http_request *request)
{
	struct deferred *deferred;
	const char *after;
	int64_t after_ms;
	size_t limit;

	if (!http_query_page(request, &limit) || !read_after(request, &after, &after_ms))
		return;
	deferred = mem_alloc(1, sizeof(*deferred));
	deferred->request = request;
	deferred->limit = limit;
	deferred->listing.done = on_listed;
	http_attach(request, deferred, release_deferred);
	queue_list(&deferred->listing, after, after_ms, (unsigned)limit + 1);
}

const struct http_route waiting_routes[] = {
	{ "GET", "/v1/queue", serve },
	{ NULL },
};
