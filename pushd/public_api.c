#include "pushd/public_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/http_server.h"
#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/net.h"
#include "common/networks.h"
#include "pushd/bare_jid.h"
#include "pushd/conf.h"
#include "pushd/device.h"
#include "pushd/forwarded.h"
#include "pushd/rate.h"
#include "pushd/storage.h"

#define BODY_MAX 8192
#define PEM_MAX (256 * 1024)
/* An account has a handful of devices, and an address a handful of accounts. */
#define RATE_BURST 20
#define RATE_INTERVAL_NS UINT64_C(3000000000)
#define RATE_ADDRESSES 16384

static struct {
	struct http_server *server;
	char *url;
	struct networks trusted;
	struct rate rate;
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

struct visit {
	struct http_request *request;
	struct device_removal removal;
};

static void release_visit(void *state)
{
	struct visit *visit = state;

	redis_cancel(&visit->removal.call);
	free(visit);
}

/*
 * One answer for what was there and what wasn't; an app deletes its account only after "success".
 */
static void on_removed(struct device_removal *removal, enum stored stored)
{
	struct visit *visit = container_of(removal, struct visit, removal);

	if (stored == STORED_AWAY) {
		http_fail(visit->request, 503, "unavailable", "try again later");
		return;
	}
	metric_add(&results_metric, removal->count > 0 ? RESULT_REMOVED : RESULT_UNKNOWN, 1);
	if (removal->count > 0)
		log_info("device-unregistered count=%u by=rest", removal->count);
	http_reply(visit->request, 200, json_pack("{s:s}", "result", "success"));
}

/* As Tigase does: a body that isn't right is as if there were nothing at this path. */
static void fail_body(struct http_request *request, const char *complaint)
{
	metric_add(&results_metric, RESULT_MALFORMED, 1);
	http_fail(request, 404, "not_found", "%s", complaint);
}

/* How long whoever asks must wait before he may, in nanoseconds. */
static uint64_t wait_ns(struct http_request *request)
{
	const union net_address *peer = http_client_address(request);
	union net_address address = { 0 };
	unsigned char key[RATE_ADDRESS_KEY];
	char *forwarded = http_header_list(request, "X-Forwarded-For");

	/* Behind the pointer there is no more than its family needs. */
	memcpy(&address, peer, net_length(peer));
	forwarded_resolve(&address, forwarded, &self.trusted);
	free(forwarded);
	rate_address_key(&address, key);
	return rate_take(&self.rate, key, sizeof(key), loop_now_ns());
}

/* The provider isn't compared: Snikket's app names another than it registered with. */
static void unregister(struct http_request *request, const char *account, const char *token)
{
	struct visit *visit = mem_alloc(1, sizeof(*visit));
	char *owner = bare_jid_fold(account);
	char *component = bare_jid_fold(http_param(request, 0));
	struct device device = { .owner = owner, .component = component, .token = token };

	visit->request = request;
	visit->removal.done = on_removed;
	http_attach(request, visit, release_visit);
	device_unregister(&visit->removal, storage_redis(), &device);
	free(component);
	free(owner);
}

static void serve(struct http_request *request)
{
	struct json_reader reader;
	struct json_object body;
	const char *account, *token, *text;
	json_t *json;
	size_t len;

	if (wait_ns(request) > 0) {
		metric_add(&results_metric, RESULT_LIMITED, 1);
		http_fail(request, 429, "too_many_requests", "try again later");
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
		fail_body(request, reader.complaint);
	json_decref(json);
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST", "/rest/push/unregister-device/{jid}", serve, .open = true },
	{ "POST", "/unregister-device/{jid}", serve, .open = true },
	{ NULL },
};
/* clang-format on */

/* Reads a PEM file; NULL after logging why. */
static char *read_pem(const char *path, size_t *len)
{
	char *pem = file_read(path, PEM_MAX, len);

	if (pem == NULL)
		log_error("file-unreadable path=%s reason=\"%s\"", path, strerror(errno));
	return pem;
}

static int listen_on(const struct conf_daemon *daemon, struct http_server_options *options)
{
	char text[NET_TEXT_MAX];
	char *why;

	if (net_parse(daemon->public_listen, &options->listen) != 0)
		return -1;
	self.server = http_server_new(options, &why);
	if (self.server == NULL) {
		log_error("listen-failed what=public address=%s reason=\"%s\"",
		          daemon->public_listen, why);
		free(why);
		return -1;
	}
	net_format(http_server_address(self.server), text);
	self.url = mem_printf("%s://%s", options->certificate != NULL ? "https" : "http", text);
	log_info("listening what=public address=%s", text);
	return 0;
}

static int listen_with_tls(const struct conf_daemon *daemon, struct http_server_options *options)
{
	size_t cert_len = 0, key_len = 0;
	char *cert = read_pem(daemon->cert_file, &cert_len);
	char *key = read_pem(daemon->key_file, &key_len);
	int result = -1;

	options->certificate = cert;
	options->key = key;
	if (cert != NULL && key != NULL)
		result = listen_on(daemon, options);
	if (key != NULL)
		mem_wipe(key, key_len);
	free(key);
	free(cert);
	return result;
}

int public_api_start(void *config)
{
	const struct conf_daemon *daemon = &((const struct conf *)config)->daemon;
	struct http_server_options options = { .routes = routes, .body_max = BODY_MAX };

	if (daemon->public_listen == NULL)
		return 0;
	metrics_add(&results_metric);
	networks_read(&self.trusted, (const char *const *)daemon->trusted_proxies);
	self.rate.burst = RATE_BURST;
	self.rate.interval_ns = RATE_INTERVAL_NS;
	self.rate.keys_max = RATE_ADDRESSES;
	rate_init(&self.rate);
	return daemon->cert_file != NULL ? listen_with_tls(daemon, &options)
	                                 : listen_on(daemon, &options);
}

void public_api_stop(void)
{
	if (self.server == NULL)
		return;
	http_server_free(self.server);
	self.server = NULL;
	free(self.url);
	self.url = NULL;
	networks_release(&self.trusted);
	rate_release(&self.rate);
}

const char *public_api_url(void)
{
	return self.url;
}
