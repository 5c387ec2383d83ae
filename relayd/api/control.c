#include "relayd/api/control.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "relayd/api/admission.h"
#include "relayd/api/limits_api.h"
#include "relayd/api/lookup.h"
#include "relayd/api/usage_api.h"
#include "relayd/conf.h"
#include "relayd/io/half.h"
#include "relayd/stream/stream.h"

#define BODY_MAX (16 * 1024)
#define TAG_MAX 4096  /* as compact JSON */
#define USER_MAX 2047 /* a bare JID: two parts of 1023 and an @ */
#define DOMAIN_MAX 1023
#define PARTIES 2
#define DEADLINE_MAX_MS 60000

static struct http_server *server;

/* The stream that the path names; NULL after answering 404. */
static struct stream *named_stream(struct http_request *request)
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

/* Activate */

static void read_parties(struct json_object *top, struct party parties[PARTIES])
{
	size_t count = json_array_count(top, "parties", PARTIES, true);

	if (count != PARTIES) {
		json_complain(top, "parties", "must be an array of 2 objects");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct json_object party = json_object_element(top, "parties", i);

		parties[i].user = json_string_member(&party, "user", USER_MAX, true);
		parties[i].domain = json_string_member(&party, "domain", DOMAIN_MAX, true);
		json_object_end(&party);
	}
}

/* Parties and tag as the text that is kept; NULL with a complaint when the tag is too long. */
static char *about_text(struct json_object *top)
{
	const json_t *tag = json_object_member(top, "tag", false).value;
	json_t *about;
	char *text;

	if (!json_reader_ok(top->reader))
		return NULL;
	if (tag != NULL && json_dumpb(tag, NULL, 0, JSON_COMPACT) > TAG_MAX) {
		json_complain(top, "tag", "must be at most 4096 bytes");
		return NULL;
	}
	about = json_pack("{s:O, s:O?}", "parties", json_object_get(top->value, "parties"), "tag",
	                  (json_t *)tag);
	text = json_dumps(about, JSON_COMPACT);
	json_decref(about);
	return text;
}

static void activate(struct http_request *request)
{
	struct json_reader reader = { 0 };
	const json_t *body = http_body_json(request);
	struct party parties[PARTIES] = { 0 };
	struct wish wish = { .parties = parties };
	struct json_object top;
	struct stream *stream;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	read_parties(&top, parties);
	wish.deadline_ms = (uint32_t)json_integer_member(&top, "deadline_ms", 1, DEADLINE_MAX_MS,
	                                                 DEADLINE_MAX_MS);
	wish.about = about_text(&top);
	json_object_end(&top);
	if (!json_reader_ok(&reader)) {
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
		free(wish.about);
		return;
	}
	stream = named_stream(request);
	if (stream == NULL)
		free(wish.about);
	else
		admission_ask(request, stream, wish);
}

/* Look */

static json_t *describe_half(const struct half *half, const struct half *other)
{
	char address[NET_TEXT_MAX];

	return json_pack("{s:s, s:I, s:I}", "address", half_address(half, address), "received",
	                 (json_int_t)half_received(half), "sent",
	                 (json_int_t)(other == NULL ? 0 : half_delivered(other)));
}

static json_t *describe_stream(const struct stream *stream)
{
	json_t *about = stream->about == NULL ? NULL : json_loads(stream->about, 0, NULL);
	json_t *parties = json_object_get(about, "parties"), *tag = json_object_get(about, "tag");
	json_t *halves = json_array(), *object;
	char hash[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, hash);
	for (int side = 0; side < 2; side++) {
		if (stream->halves[side] != NULL)
			json_array_append_new(
			        halves, describe_half(stream->halves[side], stream->halves[!side]));
	}
	object = json_pack("{s:s, s:s, s:I, s:o, s:O, s:o}", "hash", hash, "state",
	                   stream_state_names[stream->state], "age_ms",
	                   (json_int_t)(loop_now_ms() - stream->opened_ms), "parties",
	                   parties == NULL ? json_array() : json_incref(parties), "tag",
	                   tag == NULL ? json_null() : tag, "halves", halves);
	json_decref(about);
	return object;
}

static void look(struct http_request *request)
{
	const struct stream *stream = named_stream(request);

	if (stream != NULL)
		http_reply(request, 200, describe_stream(stream));
}

/* The page's size and the hash after which it starts; false after answering 400. */
static bool read_page(struct http_request *request, size_t *limit, uint8_t after[SOCKS5_HASH_LEN])
{
	const char *hash = http_query(request, "after");

	if (!lookup_page(request, limit))
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

static void list(struct http_request *request)
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

/* Cut and drain */

static void cut(struct http_request *request)
{
	struct stream *stream = named_stream(request);

	if (stream == NULL)
		return;
	stream_end(stream, STREAM_CUT);
	http_reply(request, 204, NULL);
}

static void drain(struct http_request *request)
{
	daemon_drain();
	http_reply(
	        request, 202,
	        json_pack("{s:b, s:I}", "draining", true, "streams", (json_int_t)stream_count()));
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST",   "/v1/streams/{hash}/activate", activate },
	{ "GET",    "/v1/streams",                 list },
	{ "GET",    "/v1/streams/{hash}",          look },
	{ "DELETE", "/v1/streams/{hash}",          cut },
	{ "POST",   "/v1/drain",                   drain },
	LIMITS_ROUTES,
	USAGE_ROUTES,
	DAEMON_ROUTES,
	{ 0 },
};
/* clang-format on */

const union net_address *control_address(void)
{
	return http_server_address(server);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	struct http_server_options options = {
		.routes = routes,
		.token = conf->api_token,
		.body_max = BODY_MAX,
	};
	char text[NET_TEXT_MAX], *why = NULL;

	(void)net_parse(conf->control_listen, &options.listen); /* checked with the configuration */
	server = http_server_new(&options, &why);
	if (server == NULL) {
		log_error("listen-failed address=%s why=\"%s\"", conf->control_listen, why);
		free(why);
		return -1;
	}
	log_info("listening what=control address=%s", net_format(control_address(), text));
	return 0;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const struct daemon_module control_module = { "control", start, stop };
