#include "xmppgw/route.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/component/components.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/basic.h"
#include "xmppgw/services/bytestreams.h"
#include "xmppgw/services/disco.h"
#include "xmppgw/services/publish_read.h"
#include "xmppgw/services/publish_send.h"

static const struct iq_service *const services[] = {
	&publish_service,    &disco_info,       &disco_items, &bytestreams_address,
	&activation_service, &commands_service, &basic_ping,  &basic_version,
};

/* Kinds of IQs beside those of the services. */
enum { KIND_UNKNOWN = ARRAY_LEN(services), KIND_MISROUTED, KIND_OVERSIZE, KIND_OVERLOAD, KINDS };

static const char *kind_names[KINDS];
static int64_t kind_numbers[KINDS];
static struct metric kind_metric = {
	.name = "outrigger_xmppgw_iqs_received_total",
	.help = "Requests that came in, by kind.",
	.kind = METRIC_COUNTER,
	.label = "kind",
	.values = kind_names,
	.series = KINDS,
	.numbers = kind_numbers,
};

enum { STANZA_IQ, STANZA_REPLY, STANZA_MESSAGE, STANZA_PRESENCE, STANZA_SKIPPED, STANZA_OTHER };
static const char *const stanza_names[] = {
	"iq", "reply", "message", "presence", "skipped", "other"
};
static int64_t stanza_numbers[ARRAY_LEN(stanza_names)];
static struct metric stanza_metric = {
	.name = "outrigger_xmppgw_stanzas_received_total",
	.help = "Stanzas that came in; iq: requests, reply: results and errors, which are ignored.",
	.kind = METRIC_COUNTER,
	.label = "stanza",
	.values = stanza_names,
	.series = ARRAY_LEN(stanza_names),
	.numbers = stanza_numbers,
};

static struct log_rate skipped_rate = { .what = "stanza-skipped" };

/* ---- the request ---- */

struct request {
	struct stream *stream;
	const char *type, *id, *from;
	char domain[JID_PART_MAX + 1]; /* that was addressed, prepared */
	char to[JID_TEXT_MAX];         /* as it was addressed, but with that domain */
	bool ours;
};

/* The domain within the JID TEXT, of *LEN bytes. */
static const char *find_domain(const char *text, size_t *len)
{
	size_t bare_len = strcspn(text, "/");
	const char *at = memchr(text, '@', bare_len);
	const char *domain = at == NULL ? text : at + 1;

	*len = bare_len - (size_t)(domain - text);
	return domain;
}

/*
 * Sets the address to reply from: TO with its domain prepared. Servers close the stream if a from
 * spells our domain in another way: Prosody compares bytes, and ejabberd passes on what a remote
 * server wrote. False if TO is no JID.
 */
static bool read_address(struct request *request, const char *to)
{
	char asked[JID_PART_MAX + 1];
	const char *own = request->stream->domain;
	const char *domain;
	size_t len;

	if (to == NULL)
		to = own;
	domain = find_domain(to, &len);
	if (len > JID_PART_MAX || strlen(to) >= sizeof(request->to))
		return false;
	memcpy(asked, domain, len);
	asked[len] = '\0';
	if (strcmp(asked, own) == 0)
		memcpy(request->domain, asked, len + 1);
	else if (jid_domain(asked, request->domain) != 0)
		return false;
	request->ours = strcmp(request->domain, own) == 0;
	snprintf(request->to, sizeof(request->to), "%.*s%s%s", (int)(domain - to), to,
	         request->domain, domain + len);
	return true;
}

/* Reads what a reply needs. False for a stanza that must not or can't be answered. */
static bool read_request(struct stream *stream, const struct xml *stanza, struct request *request)
{
	request->stream = stream;
	request->type = xml_attribute(stanza, "type");
	request->id = xml_attribute(stanza, "id");
	request->from = xml_attribute(stanza, "from");
	if (request->type == NULL || request->id == NULL || request->from == NULL)
		return false;
	if (strcmp(request->type, "get") != 0 && strcmp(request->type, "set") != 0)
		return false;
	return request->from[0] != '\0' && read_address(request, xml_attribute(stanza, "to"));
}

static bool is_iq(const struct xml *stanza)
{
	return strcmp(stanza->name, "iq") == 0 &&
	       (strcmp(stanza->ns, COMPONENT_NS) == 0 || strcmp(stanza->ns, "jabber:client") == 0);
}

/* ---- which service it is for ---- */

/* The place of the service that PAYLOAD is for, or KIND_UNKNOWN. */
static size_t find_service(const struct request *request, const struct xml *payload)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct iq_service *service = services[i];

		if ((service->roles & request->stream->roles) &&
		    xml_is(payload, service->ns, service->name) &&
		    strcmp(service->type, request->type) == 0)
			return i;
	}
	return KIND_UNKNOWN;
}

/* Answers REQUEST, which no handler sees, with CONDITION. */
static void refuse(const struct request *request, unsigned kind, enum iq_condition condition)
{
	kind_numbers[kind]++;
	iq_error(iq_new(request->stream, request->to, request->from, request->id, IQ_DEADLINE_MS),
	         condition, NULL);
}

/* With ejabberd's global_routes each connection gets the stanzas of all the listener's hosts. */
static void refuse_misrouted(const struct request *request)
{
	struct stream *stream = request->stream;

	if (!stream->misrouted_logged)
		log_warn("stanza-for-another-host component=%s host=%s hint=\"give each component "
		         "a listener of its own, or set global_routes: false\"",
		         stream->domain, request->domain);
	stream->misrouted_logged = true;
	refuse(request, KIND_MISROUTED, IQ_INTERNAL_SERVER_ERROR);
}

/*
 * Refuses REQUEST, which no service takes, with CONDITION. But what a server itself has set may be
 * an odd publish, or one that came to the wrong component, and at any type of error but "wait"
 * some servers forget the registration.
 */
static void refuse_unknown(const struct request *request, enum iq_condition condition)
{
	if (strcmp(request->type, "set") == 0 && !publish_from_client(request->from)) {
		log_debug("set-by-a-server-refused component=%s from=%s", request->stream->domain,
		          request->from);
		condition = IQ_INTERNAL_SERVER_ERROR;
	}
	refuse(request, KIND_UNKNOWN, condition);
}

static void route_iq(const struct request *request, const struct xml *stanza)
{
	const struct xml *payload = stanza->first;
	size_t kind;

	if (!request->ours) {
		refuse_misrouted(request);
	} else if (payload == NULL || payload->next != NULL) { /* RFC 6120 8.2.3: exactly one */
		refuse_unknown(request, IQ_BAD_REQUEST);
	} else if ((kind = find_service(request, payload)) == KIND_UNKNOWN) {
		refuse_unknown(request, IQ_SERVICE_UNAVAILABLE);
	} else if (iq_stream_is_full(request->stream)) {
		refuse(request, KIND_OVERLOAD, IQ_INTERNAL_SERVER_ERROR);
	} else {
		kind_numbers[kind]++;
		services[kind]->handle(iq_new(request->stream, request->to, request->from,
		                              request->id, services[kind]->deadline_ms),
		                       payload);
	}
}

static unsigned stanza_kind(const struct xml *stanza)
{
	if (strcmp(stanza->name, "message") == 0)
		return STANZA_MESSAGE;
	return strcmp(stanza->name, "presence") == 0 ? STANZA_PRESENCE : STANZA_OTHER;
}

/*
 * The reader dropped STANZA, of which only the start tag is left (NULL: not even that). The type of
 * the error is "wait": on any other one servers disable the user's push registration.
 */
static void route_skipped(struct stream *stream, const struct xml *stanza)
{
	struct request request;

	stanza_numbers[STANZA_SKIPPED]++;
	if (log_rate_allows(&skipped_rate))
		log_info("stanza-skipped component=%s", stream->domain);
	if (stanza != NULL && is_iq(stanza) && read_request(stream, stanza, &request))
		refuse(&request, KIND_OVERSIZE, IQ_INTERNAL_SERVER_ERROR);
}

void route_stanza(struct stream *stream, enum xml_event event, const struct xml *stanza)
{
	struct request request;

	if (event == XML_SKIPPED) {
		route_skipped(stream, stanza);
	} else if (!is_iq(stanza)) {
		stanza_numbers[stanza_kind(stanza)]++;
	} else if (!read_request(stream, stanza, &request)) {
		stanza_numbers[STANZA_REPLY]++;
	} else {
		stanza_numbers[STANZA_IQ]++;
		route_iq(&request, stanza);
	}
}

static int start(void *config)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		kind_names[i] = services[i]->kind;
	kind_names[KIND_UNKNOWN] = "unknown";
	kind_names[KIND_MISROUTED] = "misrouted";
	kind_names[KIND_OVERSIZE] = "oversize";
	kind_names[KIND_OVERLOAD] = "overload";
	metrics_add(&stanza_metric);
	metrics_add(&kind_metric);
	components_on_stanza(route_stanza);
	return 0;
}

const struct daemon_module route_module = { "route", start, NULL };
