#include "pushd/api/rest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/http/http_server.h"
#include "common/net/net.h"
#include "common/net/networks.h"
#include "pushd/api/rate.h"
#include "pushd/conf.h"
#include "pushd/db.h"
#include "pushd/device/bare_jid.h"
#include "pushd/device/device.h"

/* An account has a handful of devices, and an address a handful of accounts. */
#define RATE_BURST 20
#define RATE_INTERVAL_NS UINT64_C(3000000000)
#define RATE_ADDRESSES 16384
#define RATE_NETWORK 10 /* times as much for all addresses of a network */

#define BODY_MAX 8192
/* Far more than are served at once: it takes so many slow ones to be in anybody's way. */
#define CONNECTIONS_MAX 10000

#define PEM_MAX (256 * 1024)

static struct {
	const struct conf_daemon *daemon;
	struct http_server *server; /* NULL: there is no public-listen */
	struct networks trusted;
	struct rate rate;
	struct rate network_rate;
} self;

enum result { RESULT_REMOVED, RESULT_UNKNOWN, RESULT_MALFORMED, RESULT_LIMITED, RESULT_COUNT };
static const char *const result_names[] = { "removed", "unknown", "malformed", "limited", NULL };
static int64_t result_numbers[RESULT_COUNT];
static struct metric results_metric = {
	.name = "outrigger_pushd_rest_requests_total",
	.help = "Requests to unregister by REST, by what came of them.",
	.kind = METRIC_COUNTER,
	.label = "result",
	.values = result_names,
	.series = RESULT_COUNT,
	.numbers = result_numbers,
};

/* A request that is answered once Redis has. */
struct deferred {
	struct http_request *request;
	struct device_removal removal;
};

static void release_deferred(void *state)
{
	struct deferred *deferred = state;

	redis_cancel(&deferred->removal.call);
	free(deferred);
}

/*
 * One answer for what was there and what wasn't; an app deletes its account only after "success".
 */
static void on_device_unregistered(struct device_removal *removal, enum device_result result)
{
	struct deferred *deferred = container_of(removal, struct deferred, removal);

	if (result == DEVICE_UNAVAILABLE) {
		http_fail(deferred->request, 503, "unavailable", "try again later");
		return;
	}
	metric_add(&results_metric, removal->count > 0 ? RESULT_REMOVED : RESULT_UNKNOWN, 1);
	if (removal->count > 0)
		log_info("device-unregistered count=%u by=rest", removal->count);
	http_reply(deferred->request, 200, json_pack("{s:s}", "result", "success"));
}

/* As Tigase does: a malformed request is answered as if nothing were served at this path. */
static void refuse(struct http_request *request, const char *complaint)
{
	metric_add(&results_metric, RESULT_MALFORMED, 1);
	http_fail(request, 404, "not_found", "%s", complaint);
}

/* True unless it is known which components there are and COMPONENT is none of them. */
static bool is_our_component(const char *component)
{
	char **components = self.daemon->components;

	if (components == NULL || components[0] == NULL)
		return true;
	for (; *components != NULL; components++)
		if (strcasecmp(*components, component) == 0)
			return true;
	return false;
}

/* ---- whom a request came from ---- */

/* Reads "192.0.2.1", "2001:db8::1" or either with a port; -1 when it is neither. */
static int read_hop(union net_address *address, const char *text, size_t len)
{
	char copy[NET_TEXT_MAX];

	if (len == 0 || len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (net_numeric(copy, 0, address) == 0)
		return 0;
	return net_parse(copy, address);
}

/*
 * Walks HEADER (X-Forwarded-For) from its end, where the proxy nearest to us wrote, as long as the
 * hop that names the one before is in TRUSTED. ADDRESS holds the peer's address; then that of the
 * first hop that isn't trusted.
 */
static void resolve_forwarded(union net_address *address, const char *header,
                              const struct networks *trusted)
{
	size_t end = strlen(header);

	while (end > 0 && networks_contain(trusted, address)) {
		union net_address hop;
		size_t start, stop = end;

		while (stop > 0 && (header[stop - 1] == ' ' || header[stop - 1] == '\t'))
			stop--;
		for (start = stop; start > 0 && header[start - 1] != ',';)
			start--;
		end = start > 0 ? start - 1 : 0;
		while (start < stop && (header[start] == ' ' || header[start] == '\t'))
			start++;
		if (read_hop(&hop, header + start, stop - start) != 0)
			return;
		*address = hop;
	}
}

/*
 * An address that has to wait takes no token of its network's. An address whose network has to wait
 * gets no bucket: a network has more addresses than the table has places.
 */
static uint64_t take_token(const union net_address *address, uint64_t now_ns)
{
	unsigned char key[16], network[16];
	uint64_t wait;

	networks_key(address, key);
	networks_key(address, network);
	networks_cut_to_site(key);
	networks_cut_to_network(network);
	wait = rate_wait(&self.rate, key, sizeof(key), now_ns);
	if (wait == 0)
		wait = rate_take(&self.network_rate, network, sizeof(network), now_ns);
	return wait > 0 ? wait : rate_take(&self.rate, key, sizeof(key), now_ns);
}

/* How long the client must wait before its next request, in nanoseconds; 0: this one counts. */
static uint64_t wait_ns(struct http_request *request)
{
	const union net_address *peer = http_client_address(request);
	union net_address address = { 0 };
	char *forwarded = http_header_list(request, "X-Forwarded-For");

	/* Behind the pointer there is no more than its family needs. */
	memcpy(&address, peer, net_length(peer));
	resolve_forwarded(&address, forwarded, &self.trusted);
	free(forwarded);
	return take_token(&address, loop_now_ns());
}

/* The provider isn't compared: Snikket's app names another than it registered with. */
static void unregister(struct http_request *request, const char *account, const char *token)
{
	struct deferred *deferred = mem_alloc(1, sizeof(*deferred));
	char *owner = bare_jid_prepare(account);
	char *component = bare_jid_prepare(http_param(request, 0));
	struct device device = { .owner = owner, .component = component, .token = token };

	deferred->request = request;
	deferred->removal.done = on_device_unregistered;
	http_attach(request, deferred, release_deferred);
	device_unregister(&deferred->removal, db_redis(), &device);
	free(component);
	free(owner);
}

static void refuse_too_many(struct http_request *request, uint64_t wait)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%" PRIu64, wait / UINT64_C(1000000000) + 1);
	metric_add(&results_metric, RESULT_LIMITED, 1);
	http_fail(request, 429, "too_many_requests", "try again in %s s", seconds);
	http_answer_header(request, "Retry-After", seconds);
}

static void serve_unregister(struct http_request *request)
{
	uint64_t wait = wait_ns(request);
	struct json_reader reader;
	struct json_object body;
	const char *account, *token, *text;
	json_t *json;
	size_t len;

	if (wait > 0) {
		refuse_too_many(request, wait);
		return;
	}
	if (!is_our_component(http_param(request, 0))) {
		refuse(request, "there is no such component");
		return;
	}
	text = http_body(request, &len);
	json = json_loadb(text, len, 0, NULL);
	body = json_object_top(&reader, json);
	account = json_string_member(&body, "account", BARE_JID_MAX, true);
	json_string_member(&body, "provider", 255, true);
	token = json_string_member(&body, "device-token", 4096, true);
	if (account != NULL && !bare_jid_valid(account))
		json_complain(&body, "account", "must be a bare JID");
	if (json_reader_ok(&reader))
		unregister(request, account, token);
	else
		refuse(request, reader.complaint);
	json_decref(json);
}

/* ---- the certificate ---- */

/* What cert-file and key-file hold now. */
struct identity {
	char *certificate, *key; /* PEM, heap; NULL: none */
	size_t key_len;
};

/* Reads a PEM file; NULL after logging why. */
static char *read_pem(const char *path, size_t *len)
{
	char *pem = file_read(path, PEM_MAX, len);

	if (pem == NULL)
		log_error("file-unreadable path=%s reason=\"%s\"", path, strerror(errno));
	return pem;
}

static void release_identity(struct identity *identity)
{
	if (identity->key != NULL)
		mem_wipe(identity->key, identity->key_len);
	free(identity->key);
	free(identity->certificate);
}

/*
 * Reads the files; nothing without cert-file. False after logging why not; to be released in
 * either case.
 */
static bool read_identity(struct identity *identity)
{
	size_t len;

	*identity = (struct identity){ 0 };
	if (self.daemon->cert_file == NULL)
		return true;
	identity->certificate = read_pem(self.daemon->cert_file, &len);
	identity->key = read_pem(self.daemon->key_file, &identity->key_len);
	return identity->certificate != NULL && identity->key != NULL;
}

/* ---- the listener ---- */

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST", "/rest/push/unregister-device/{jid}", serve_unregister, .open = true },
	{ "POST", "/unregister-device/{jid}", serve_unregister, .open = true },
	{ NULL },
};
/* clang-format on */

/* Descriptors must be left for providers, Redis and gateways. */
static unsigned choose_connection_max(void)
{
	struct rlimit limit;

	/* There may be so many that are silent besides those that speak. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 4 > CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return (unsigned)limit.rlim_cur / 4 + 1;
}

static int listen_on(const struct identity *identity)
{
	struct http_server_options options = {
		.routes = routes,
		.body_max = BODY_MAX,
		.connection_max = choose_connection_max(),
		.certificate = identity->certificate,
		.key = identity->key,
	};

	self.server = http_server_listen(&options, "public", self.daemon->public_listen);
	return self.server != NULL ? 0 : -1;
}

static int start_listening(void)
{
	struct identity identity;
	int result = read_identity(&identity) ? listen_on(&identity) : -1;

	release_identity(&identity);
	return result;
}

static void init_rates(void)
{
	self.rate.burst = RATE_BURST;
	self.rate.interval_ns = RATE_INTERVAL_NS;
	self.rate.keys_max = RATE_ADDRESSES;
	rate_init(&self.rate);
	self.network_rate.burst = RATE_BURST * RATE_NETWORK;
	self.network_rate.interval_ns = RATE_INTERVAL_NS / RATE_NETWORK;
	self.network_rate.keys_max = RATE_ADDRESSES;
	rate_init(&self.network_rate);
}

static int start(void *config)
{
	self.daemon = &((const struct conf *)config)->daemon;
	if (self.daemon->public_listen == NULL)
		return 0;
	metrics_add(&results_metric);
	networks_read(&self.trusted, (const char *const *)self.daemon->trusted_proxies);
	init_rates();
	return start_listening();
}

void rest_reload(void)
{
	struct identity identity;
	char *why = NULL;

	if (self.server == NULL || self.daemon->cert_file == NULL)
		return;
	if (!read_identity(&identity)) {
		log_error("certificate-kept reason=unreadable");
	} else if (http_server_renew(self.server, identity.certificate, identity.key, &why) != 0) {
		log_error("certificate-kept file=%s reason=\"%s\"", self.daemon->cert_file, why);
		free(why);
	} else {
		log_info("certificate-renewed file=%s", self.daemon->cert_file);
	}
	release_identity(&identity);
}

static void stop(void)
{
	if (self.server == NULL)
		return;
	http_server_free(self.server);
	self.server = NULL;
	networks_release(&self.trusted);
	rate_release(&self.rate);
	rate_release(&self.network_rate);
}

const union net_address *rest_address(void)
{
	return self.server != NULL ? http_server_address(self.server) : NULL;
}

const struct daemon_module rest_module = { "rest", start, stop };
