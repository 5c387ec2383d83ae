#include "tests/fakes/xmpp_server/control.h"

#include <stdlib.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/fakes/xmpp_server/load.h"
#include "tests/fakes/xmpp_server/publish.h"

#define BODY_MAX (8u << 20)
#define REGISTRATIONS_MAX 100000
#define TEXT_MAX (4u << 20)
#define RATE_MAX 1000000
#define DOWN_MS_MAX 60000

/* False after answering that the body isn't what READER wants. */
static bool is_fine(struct http_request *request, const struct json_reader *reader)
{
	if (json_reader_ok(reader))
		return true;
	http_fail(request, 400, "bad_request", "%s", reader->complaint);
	return false;
}

/* ---- registrations ---- */

struct wanted {
	const char *jid, *node, *secret;
};

static struct wanted read_wanted(struct json_object *top, size_t i)
{
	struct json_object object = json_object_element(top, "registrations", i);
	struct wanted wanted = {
		.jid = json_string_member(&object, "jid", XML_JID_MAX - 1, true),
		.node = json_string_member(&object, "node", 4096, true),
		.secret = json_string_member(&object, "secret", 4096, false),
	};

	json_object_end(&object);
	return wanted;
}

static void post_registrations(struct http_request *request)
{
	struct server *server = http_context(request);
	const json_t *body = http_body_json(request);
	struct json_reader reader;
	struct json_object top;
	size_t count;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	count = json_array_count(&top, "registrations", REGISTRATIONS_MAX, true);
	json_object_end(&top);
	for (size_t i = 0; i < count; i++) {
		struct wanted wanted = read_wanted(&top, i);

		if (!json_reader_ok(&reader))
			break;
		if (server_register(server, wanted.jid, wanted.node, wanted.secret) == NULL)
			json_complain(&top, "registrations", "the JID is of no component");
	}
	if (is_fine(request, &reader))
		http_reply(request, 200, json_pack("{s:I}", "registrations", (json_int_t)count));
}

static void get_registrations(struct http_request *request)
{
	struct server *server = http_context(request);
	json_t *all = json_array();

	list_for_each (link, &server->registrations) {
		const struct registration *one = container_of(link, struct registration, link);
		json_t *shown = json_pack("{s:s,s:s,s:i,s:b}", "jid", one->jid, "node", one->node,
		                          "errors", (int)one->errors, "lost", one->lost);

		if (one->lost)
			json_object_set_new(shown, "by", json_string(one->by));
		json_array_append_new(all, shown);
	}
	http_reply(request, 200, all);
}

/* ---- one publish ---- */

/* A request that waits for the end of its publish. */
struct waiting {
	struct http_request *request; /* NULL: it is gone */
	struct publish *publish;      /* NULL: it has ended */
};

static void on_request_end(void *state)
{
	struct waiting *waiting = state;

	waiting->request = NULL;
	if (waiting->publish != NULL)
		waiting->publish->done = NULL;
	free(waiting);
}

static void on_done(struct publish *publish, enum ending ending, const struct element *element)
{
	struct waiting *waiting = publish->owner;
	const struct registration *registration = publish->registration;
	json_t *told =
	        json_pack("{s:s,s:s,s:s,s:b}", "id", publish->id, "ending", ending_names[ending],
	                  "node", registration->node, "lost", registration->lost);

	waiting->publish = NULL;
	if (element != NULL && ending == ENDING_ERROR) {
		json_object_set_new(told, "type", json_string(element->error_type));
		json_object_set_new(told, "condition", json_string(element->condition));
		json_object_set_new(told, "text", json_string(element->error_text));
	}
	http_reply(waiting->request, 200, told);
}

/* Sends what BODY asks for and has REQUEST wait for its end; else answers why not. */
static void publish_for(struct http_request *request, struct registration *registration,
                        const char *text)
{
	struct waiting *waiting;
	struct publish *publish;

	if (registration == NULL || registration->lost) {
		http_fail(request, 409, "not_registered", "there is no such registration any more");
		return;
	}
	publish = publish_send(http_context(request), registration, text);
	if (publish == NULL) {
		http_fail(request, 409, "not_connected", "the component is not connected");
		return;
	}
	waiting = mem_alloc(1, sizeof(*waiting));
	waiting->request = request;
	waiting->publish = publish;
	publish->owner = waiting;
	publish->done = on_done;
	http_attach(request, waiting, on_request_end);
}

static void post_publish(struct http_request *request)
{
	struct server *server = http_context(request);
	const json_t *body = http_body_json(request);
	const struct form *form;
	struct json_reader reader;
	struct json_object top;
	const char *jid, *node, *name, *stanza;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	jid = json_string_member(&top, "jid", XML_JID_MAX - 1, true);
	node = json_string_member(&top, "node", 4096, true);
	name = json_string_member(&top, "form", 64, false);
	stanza = json_string_member(&top, "stanza", TEXT_MAX, false);
	json_object_end(&top);
	form = kind_form(server->kind, name);
	if (form == NULL)
		json_complain(&top, "form", "this kind of server has no such form");
	if (is_fine(request, &reader))
		publish_for(request, server_registration(server, jid, node),
		            stanza != NULL ? stanza : form->text);
}

/* ---- load, restarts, counts ---- */

static void post_load(struct http_request *request)
{
	struct server *server = http_context(request);
	const json_t *body = http_body_json(request);
	struct load_options options;
	struct json_reader reader;
	struct json_object top;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	options.form = kind_form(server->kind, json_string_member(&top, "form", 64, false));
	options.count = (uint64_t)json_integer_member(&top, "count", 1, LOAD_COUNT_MAX, 1);
	options.in_flight = (uint64_t)json_integer_member(&top, "in_flight", 1, 1000000, 10000);
	options.rate = (uint64_t)json_integer_member(&top, "rate", 0, RATE_MAX, 0);
	json_object_end(&top);
	if (options.form == NULL)
		json_complain(&top, "form", "this kind of server has no such form");
	if (!is_fine(request, &reader))
		return;
	if (load_start(server, &options) == 0)
		http_reply(request, 200, load_report());
	else
		http_fail(request, 409, "busy", "a load runs, or there is no registration");
}

static void get_load(struct http_request *request)
{
	http_reply(request, 200, load_report());
}

static void post_load_stop(struct http_request *request)
{
	load_stop();
	http_reply(request, 200, load_report());
}

static void post_restart(struct http_request *request)
{
	struct server *server = http_context(request);
	const json_t *body = http_body_json(request);
	struct json_reader reader;
	struct json_object top;
	int64_t down_ms;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	down_ms = json_integer_member(&top, "down_ms", 0, DOWN_MS_MAX, 0);
	json_object_end(&top);
	if (!is_fine(request, &reader))
		return;
	server_restart(server, (uint32_t)down_ms);
	http_reply(request, 200, json_object());
}

static json_t *show_components(const struct server *server)
{
	json_t *all = json_object();

	list_for_each (link, &server->components) {
		const struct component *component = container_of(link, struct component, link);
		int links = 0;

		list_for_each (one, &component->links)
			links++;
		json_object_set_new(
		        all, component->name,
		        json_pack("{s:i,s:b}", "links", links, "listed", component->listed));
	}
	return all;
}

static void get_stats(struct http_request *request)
{
	const struct server *server = http_context(request);
	json_t *stats = publish_stats(), *streams = json_object();

	for (int i = 0; i < STREAM_COUNTS; i++)
		json_object_set_new(streams, stream_count_names[i],
		                    json_integer((json_int_t)server->counts[i]));
	json_object_set_new(stats, "streams", streams);
	json_object_set_new(stats, "components", show_components(server));
	http_reply(request, 200, stats);
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST", "/registrations", post_registrations, .open = true },
	{ "GET",  "/registrations", get_registrations,  .open = true },
	{ "POST", "/publish",       post_publish,       .open = true },
	{ "POST", "/load",          post_load,          .open = true },
	{ "GET",  "/load",          get_load,           .open = true },
	{ "POST", "/load/stop",     post_load_stop,     .open = true },
	{ "POST", "/restart",       post_restart,       .open = true },
	{ "GET",  "/stats",         get_stats,          .open = true },
	{ NULL },
};
/* clang-format on */

struct http_server *control_start(struct server *server, const char *text)
{
	struct http_server_options options = {
		.routes = routes,
		.body_max = BODY_MAX,
		.context = server,
	};
	union net_address address;

	if (net_parse(text, &address) != 0 || !net_is_loopback(&address)) {
		log_error("control-refused reason=\"--control must be a loopback address\"");
		return NULL;
	}
	return http_server_listen(&options, "control", text);
}
