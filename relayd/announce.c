#include "relayd/announce.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/net/resolve.h"
#include "common/registry.h"
#include "relayd/api/server.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/front/listener.h"
#include "relayd/io/conn.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"

struct lookup {
	struct resolve resolve;
	const char *text; /* "host:port", borrowed from the configuration */
};

static struct {
	struct registry_entry entry;
	const struct relay_conf *conf;
	json_t *advertise; /* array of "host:port", owned */
	uint64_t bytes;    /* relayed until the last record */
	uint64_t at_ms;    /* of the last record */
	struct lookup *lookups;
	size_t lookup_count;
} announce;

/* The record */

/* The rate since the record before. */
static uint64_t bytes_per_second(void)
{
	uint64_t now_ms = loop_now_ms(), bytes = stream_bytes() + bridge_bytes(), rate = 0;

	if (announce.at_ms != 0 && now_ms > announce.at_ms)
		rate = (bytes - announce.bytes) * 1000 / (now_ms - announce.at_ms);
	announce.bytes = bytes;
	announce.at_ms = now_ms;
	return rate;
}

static json_t *describe(struct registry_entry *entry)
{
	const struct relay_conf *conf = announce.conf;
	json_t *control =
	        registry_place(entry->redis, conf->control_url, "http://", server_address());
	json_t *peering = registry_place(entry->redis, conf->peer_address, "",
	                                 listener_address(ORIGIN_RELAY, 0));

	return json_pack("{s:s, s:I, s:O, s:o, s:o, s:I, s:I, s:I, s:b, s:b, s:s}", "id", entry->id,
	                 "epoch", (json_int_t)entry->epoch_ms, "advertise", announce.advertise,
	                 "control", control, "peer", peering, "streams", (json_int_t)stream_count(),
	                 "halves", (json_int_t)conn_count(), "bytes_per_second",
	                 (json_int_t)bytes_per_second(), "draining", daemon_draining(), "full",
	                 handshake_full(), "verifier",
	                 conf->verifier == VERIFIER_LIMITS ? "limits" : "open");
}

/* As configured, else the addresses where the relay listens, which are no wildcards then. */
static json_t *advertised(const struct relay_conf *conf)
{
	json_t *list = json_array();
	const union net_address *address;
	char text[NET_TEXT_MAX];

	for (size_t i = 0; conf->advertise != NULL && conf->advertise[i] != NULL; i++)
		json_array_append_new(list, json_string(conf->advertise[i]));
	if (json_array_size(list) > 0)
		return list;
	for (size_t i = 0; (address = listener_address(ORIGIN_CLIENT, i)) != NULL; i++)
		json_array_append_new(list, json_string(net_format(address, text)));
	return list;
}

static void on_taken(struct registry_entry *entry)
{
	daemon_fail();
}

static void join_registry(const struct relay_conf *conf)
{
	announce.advertise = advertised(conf);
	announce.conf = conf;
	announce.entry = (struct registry_entry){
		.describe = describe,
		.kind = "relay",
		.id = fleet_id(),
		.epoch_ms = fleet_epoch_ms(),
		.redis = fleet_redis(),
		.token = conf->api_token,
		.token_also = conf->api_token_also,
		.taken = on_taken,
	};
	registry_join(&announce.entry);
}

static void touch(void)
{
	if (announce.entry.redis != NULL)
		registry_touch(&announce.entry);
}

/* The names */

static void on_resolved(struct resolve *resolve, const union net_address *addresses, size_t found,
                        const char *why)
{
	const struct lookup *lookup = container_of(resolve, struct lookup, resolve);

	if (found == 0)
		log_warn("advertised-name-unresolved address=%s why=\"%s\"", lookup->text, why);
}

static void look_up_names(char *const *names)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	while (names[announce.lookup_count] != NULL)
		announce.lookup_count++;
	announce.lookups = mem_alloc(announce.lookup_count, sizeof(struct lookup));
	for (size_t i = 0; i < announce.lookup_count; i++) {
		struct lookup *lookup = &announce.lookups[i];

		lookup->text = names[i];
		lookup->resolve.done = on_resolved;
		(void)net_split(names[i], host, &port); /* checked with the configuration */
		resolve_start(&lookup->resolve, host, port);
	}
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	if (fleet_redis() != NULL)
		join_registry(conf);
	if (conf->advertise != NULL)
		look_up_names(conf->advertise);
	return 0;
}

static void stop(void)
{
	for (size_t i = 0; i < announce.lookup_count; i++)
		resolve_stop(&announce.lookups[i].resolve);
	free(announce.lookups);
	announce.lookups = NULL;
	announce.lookup_count = 0;
	if (announce.entry.redis == NULL)
		return;
	registry_leave(&announce.entry);
	json_decref(announce.advertise);
	announce.entry.redis = NULL;
}

const struct daemon_module announce_module = { "announce", start, stop, touch };
