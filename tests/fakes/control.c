#include "tests/fakes/control.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "tests/fakes/stream.h"

#define BODY_MAX (8u << 20)
#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 10000
#define TOKENS_MAX 100000 /* in one POST */
#define TOKEN_MAX 4096
#define TIMES_MAX 1000000

static void post_script(struct http_request *request)
{
	struct service *service = http_context(request);
	const json_t *rules = http_body_json(request);
	struct json_reader reader;
	size_t added;

	if (rules == NULL)
		return;
	added = script_add(&service->script, rules, loop_wall_ms(), &reader);
	if (!json_reader_ok(&reader))
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
	else
		http_reply(request, 200,
		           json_pack("{s:I,s:I}", "added", (json_int_t)added, "rules",
		                     (json_int_t)service->script.count));
}

/* The tokens of ENVIRONMENT in OBJECT; only counted unless PUT. */
static size_t read_tokens(struct service *service, struct json_object *object,
                          enum environment environment, bool put)
{
	const char *key = environment_names[environment];
	size_t count = json_array_count(object, key, TOKENS_MAX, false);

	for (size_t i = 0; i < count; i++) {
		const char *token = json_array_string(object, key, i, TOKEN_MAX);

		if (put && token != NULL)
			environments_put(&service->environments, token, environment);
	}
	return count;
}

/* All is read before anything is done about it. */
static void post_environments(struct http_request *request)
{
	struct service *service = http_context(request);
	const json_t *body = http_body_json(request);
	struct json_reader reader;
	struct json_object top;
	size_t count = 0;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	for (int i = 0; i < ENVIRONMENTS; i++)
		count += read_tokens(service, &top, (enum environment)i, false);
	json_object_end(&top);
	if (!json_reader_ok(&reader)) {
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
		return;
	}
	for (int i = 0; i < ENVIRONMENTS; i++)
		read_tokens(service, &top, (enum environment)i, true);
	http_reply(request, 200, json_pack("{s:I}", "tokens", (json_int_t)count));
}

/* All is read before anything is done about it. */
static void post_certificates(struct http_request *request)
{
	struct service *service = http_context(request);
	const json_t *body = http_body_json(request);
	struct refusals refusals = { 0 };
	struct json_reader reader;
	struct json_object top;
	bool known = true;
	size_t count;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	count = json_array_count(&top, "refused", REFUSALS_MAX, true);
	for (size_t i = 0; i < count; i++) {
		struct json_object row = json_object_element(&top, "refused", i);
		const char *topic = json_string_member(&row, "topic", REFUSALS_TOPIC_MAX - 1, true);
		const char *how = json_string_member(&row, "how", TOKEN_MAX, true);
		long times = (long)json_integer_member(&row, "times", 1, TIMES_MAX, -1);

		json_object_end(&row);
		known &= topic != NULL && how != NULL && refusals_add(&refusals, topic, how, times);
	}
	json_object_end(&top);
	if (!json_reader_ok(&reader)) {
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
	} else if (!known) {
		http_fail(request, 400, "bad_request",
		          "how: must be bad, expired, revoked, unknown-ca or close");
	} else {
		service->refusals = refusals;
		http_reply(request, 200, json_pack("{s:I}", "refused", (json_int_t)count));
	}
}

/* The number in the query parameter NAME; -1 after answering that it isn't one. */
static int64_t query_number(struct http_request *request, const char *name, int64_t fallback)
{
	const char *text = http_query(request, name);
	char *end;
	int64_t number;

	if (text == NULL)
		return fallback;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0)
		return number;
	http_fail(request, 400, "bad_request", "%s: must be a number from 0 on", name);
	return -1;
}

static void get_received(struct http_request *request)
{
	struct service *service = http_context(request);
	int64_t from, limit;

	from = query_number(request, "from", 0);
	if (from < 0)
		return;
	limit = query_number(request, "limit", LIMIT_DEFAULT);
	if (limit < 0)
		return;
	if (limit > LIMIT_MAX)
		limit = LIMIT_MAX;
	http_reply(request, 200, record_list(&service->record, (uint64_t)from, (size_t)limit));
}

static void get_stats(struct http_request *request)
{
	struct service *service = http_context(request);

	http_reply(request, 200, stats_show(&service->stats));
}

static void post_reset(struct http_request *request)
{
	struct service *service = http_context(request);

	service_reset(service);
	http_reply(request, 200, json_object());
}

static void post_hasten(struct http_request *request)
{
	struct service *service = http_context(request);

	delays_end(&service->delayed);
	http_reply(request, 200, json_object());
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST", "/script",       post_script,       .open = true },
	{ "POST", "/environments", post_environments, .open = true },
	{ "POST", "/certificates", post_certificates, .open = true },
	{ "GET",  "/received",     get_received,      .open = true },
	{ "GET",  "/stats",        get_stats,         .open = true },
	{ "POST", "/hasten",       post_hasten,       .open = true },
	{ "POST", "/reset",        post_reset,        .open = true },
	{ NULL },
};
/* clang-format on */

struct http_server *control_start(struct service *service, const union net_address *address,
                                  char **why)
{
	struct http_server_options options = {
		.routes = routes,
		.listen = *address,
		.body_max = BODY_MAX,
		.context = service,
	};

	if (!net_is_loopback(address)) {
		*why = mem_dup("the control listener must be on loopback: it asks for no token");
		return NULL;
	}
	return http_server_new(&options, why);
}
