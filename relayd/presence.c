#include "relayd/presence.h"

#include <jansson.h>

#include "common/daemon.h"
#include "common/registry.h"
#include "relayd/api/control.h"
#include "relayd/conf.h"
#include "relayd/fleet/store.h"
#include "relayd/front/listener.h"
#include "relayd/io/half.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"

static struct {
	struct registry_entry entry;
	const struct relay_conf *conf;
	json_t *advertise; /* array of "host:port", owned */
	uint64_t bytes;    /* relayed until the last record */
	uint64_t at_ms;    /* of the last record */
} presence;

/* The rate since the record before. */
static uint64_t bytes_per_second(void)
{
	uint64_t now_ms = loop_now_ms(), bytes = stream_bytes() + bridge_bytes(), rate = 0;

	if (presence.at_ms != 0 && now_ms > presence.at_ms)
		rate = (bytes - presence.bytes) * 1000 / (now_ms - presence.at_ms);
	presence.bytes = bytes;
	presence.at_ms = now_ms;
	return rate;
}

static json_t *describe(struct registry_entry *entry)
{
	const struct relay_conf *conf = presence.conf;
	json_t *control =
	        registry_place(entry->redis, conf->control_url, "http://", control_address());
	json_t *peer =
	        registry_place(entry->redis, conf->peer_address, "", listener_peer_address());

	return json_pack("{s:s, s:I, s:O, s:o, s:o, s:I, s:I, s:I, s:b}", "id", entry->id, "epoch",
	                 (json_int_t)store_epoch_ms(), "advertise", presence.advertise, "control",
	                 control, "peer", peer, "streams", (json_int_t)stream_count(), "halves",
	                 (json_int_t)half_count(), "bytes_per_second",
	                 (json_int_t)bytes_per_second(), "draining", daemon_draining());
}

/* What clients are told: as configured, else where the relay listens, which is no wildcard then. */
static json_t *advertised(const struct relay_conf *conf)
{
	json_t *list = json_array();
	const union net_address *address;
	char text[NET_TEXT_MAX];

	for (size_t i = 0; conf->advertise[i] != NULL; i++)
		json_array_append_new(list, json_string(conf->advertise[i]));
	if (json_array_size(list) > 0)
		return list;
	for (size_t i = 0; (address = listener_address(i)) != NULL; i++)
		json_array_append_new(list, json_string(net_format(address, text)));
	return list;
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	if (store_redis() == NULL)
		return 0;
	presence.advertise = advertised(conf);
	presence.conf = conf;
	presence.entry = (struct registry_entry){
		.describe = describe,
		.kind = "relay",
		.id = conf_id(conf),
		.redis = store_redis(),
	};
	registry_join(&presence.entry);
	return 0;
}

static void stop(void)
{
	if (presence.entry.redis == NULL)
		return;
	registry_leave(&presence.entry);
	json_decref(presence.advertise);
}

void presence_touch(void)
{
	if (presence.entry.redis != NULL)
		registry_touch(&presence.entry);
}

const struct daemon_module presence_module = { "presence", start, stop };
