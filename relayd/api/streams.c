#include "relayd/api/streams.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/daemon.h"
#include "common/http/http_server.h"
#include "relayd/api/query.h"
#include "relayd/stream/stream.h"

struct stream *streams_named(struct http_request *request)
{
	const char *text = http_param(request, 0);
	uint8_t hash[SOCKS5_HASH_LEN];
	struct stream *stream = NULL;

	if (socks5_hash_parse(text, strlen(text), hash) == 0)
		stream = stream_find(hash);
	if (stream == NULL)
		http_fail(request, 404, "not_found", "no stream of that hash is here");
	return stream;
}

static json_t *describe_half(const struct conn *half, const struct conn *other)
{
	char address[NET_TEXT_MAX];

	return json_pack("{s:s, s:I, s:I}", "address", conn_address(half, address), "received",
	                 (json_int_t)conn_received(half), "sent",
	                 (json_int_t)(other == NULL ? 0 : conn_delivered(other)));
}

static json_t *describe_stream(const struct stream *stream)
{
	json_t *about = stream->about == NULL ? NULL : json_loads(stream->about, 0, NULL);
	json_t *parties = json_object_get(about, "parties"), *tag = json_object_get(about, "tag");
	json_t *halves = json_array(), *object;
	char hash[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, hash);
	for (int side = 0; side < 2; side++) {
		if (stream->pair.conns[side] != NULL)
			json_array_append_new(halves, describe_half(stream->pair.conns[side],
			                                            stream->pair.conns[!side]));
	}
	object = json_pack("{s:s, s:s, s:I, s:o, s:O, s:o}", "hash", hash, "state",
	                   stream_state_names[stream->state], "age_ms",
	                   (json_int_t)(loop_now_ms() - stream->opened_ms), "parties",
	                   parties == NULL ? json_array() : json_incref(parties), "tag",
	                   tag == NULL ? json_null() : tag, "halves", halves);
	json_decref(about);
	return object;
}

static void serve_get(struct http_request *request)
{
	const struct stream *stream = streams_named(request);

	if (stream != NULL)
		http_reply(request, 200, describe_stream(stream));
}

/* The page's size, and the hash after which it starts if given; false after answering 400. */
static bool read_page(struct http_request *request, size_t *limit, uint8_t after[SOCKS5_HASH_LEN])
{
	const char *hash = http_query(request, "after");

	if (!http_query_page(request, limit))
		return false;
	if (hash != NULL && socks5_hash_parse(hash, strlen(hash), after) != 0) {
		http_fail(request, 400, "bad_request", "after: must be a hash of 40 hex digits");
		return false;
	}
	return true;
}

/* The first of COUNT sorted streams whose hash is greater than AFTER. */
static size_t first_after(struct stream *const *all, size_t count, const uint8_t *after)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(all[middle]->hash, after, SOCKS5_HASH_LEN) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void serve_list(struct http_request *request)
{
	json_t *page = json_array(), *next = json_null();
	uint8_t after[SOCKS5_HASH_LEN];
	char hash[SOCKS5_NAME_LEN + 1];
	struct stream **all;
	size_t count, limit, at = 0;

	if (!read_page(request, &limit, after)) {
		json_decref(page);
		return;
	}
	all = stream_sorted(&count);
	if (http_query(request, "after") != NULL)
		at = first_after(all, count, after);
	for (; at < count && json_array_size(page) < limit; at++)
		json_array_append_new(page, describe_stream(all[at]));
	if (at < count) {
		socks5_hash_format(all[at - 1]->hash, hash);
		next = json_string(hash);
	}
	free(all);
	http_reply(request, 200, json_pack("{s:o, s:o}", "streams", page, "next", next));
}

/*
 * Ends a stream, which was not allowed if "denied" is among the arguments: whoever denies it after
 * somebody else has activated it comes too late.
 */
static void serve_end(struct http_request *request)
{
	struct stream *stream = streams_named(request);
	bool denied = http_query(request, "denied") != NULL;

	if (stream == NULL)
		return;
	if (denied && stream_is_active(stream)) {
		http_fail(request, 409, "conflict", "the stream is active");
		return;
	}
	stream_end(stream, denied ? REASON_DENIED : REASON_KILLED);
	http_reply(request, 204, NULL);
}

static void serve_drain(struct http_request *request)
{
	daemon_drain();
	http_reply(
	        request, 202,
	        json_pack("{s:b, s:I}", "draining", true, "streams", (json_int_t)stream_count()));
}

/* clang-format off */
const struct http_route streams_routes[] = {
	{ "GET",    "/v1/streams",        serve_list },
	{ "GET",    "/v1/streams/{hash}", serve_get },
	{ "DELETE", "/v1/streams/{hash}", serve_end },
	{ "POST",   "/v1/drain",          serve_drain },
	{ NULL },
};
/* clang-format on */
