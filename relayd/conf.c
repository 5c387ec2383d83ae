#include "relayd/conf.h"

#include <string.h>

#include "common/net/net.h"
#include "common/net/networks.h"
#include "common/redis/redis_url.h"

#define ID_MAX 64
#define DAY_MS 86400000

#define TERABYTE (INT64_C(1) << 40)

#define AT(member) offsetof(struct relay_conf, member)
/* clang-format off */
#define LIMIT(name, member, help)                                                                  \
	{                                                                                          \
		name, CONFIG_LIMIT, AT(member), "0",                                               \
		        help " A bare number is MB; 0: none; -1: forbidden.", .live = true         \
	}
#define RETIRED(name, text)                                                                        \
	{                                                                                          \
		name, CONFIG_STRING, AT(retired), .retired = text                                  \
	}

static const char *const verifiers[] = { "open", "limits", NULL };

static const struct config_key daemon_keys[] = {
	DAEMON_KEYS,
	{ "id", CONFIG_STRING, AT(id), NULL,
	  "Name in the fleet: letters, digits, '.', '-', '_'. The host's name if not given." },
	{ "redis", CONFIG_REDIS, AT(redis), "redis://127.0.0.1:6379",
	  "Redis server that the fleet shares, or 'none' for one relay by itself." },
	{ "redis-prefix", CONFIG_STRING, AT(redis_prefix), "og:",
	  "What every key in Redis begins with." },
	{ "listen", CONFIG_LIST, AT(listen), "[::]:1080",
	  "Numeric addresses that take SOCKS5 connections." },
	{ "advertise", CONFIG_LIST, AT(advertise), NULL,
	  "host:port that clients are told to connect to. The listen addresses if not given, "
	  "which then can't be 0.0.0.0 or [::]." },
	{ "control-listen", CONFIG_ADDRESS, AT(control_listen), "127.0.0.1:7650",
	  "Numeric address of the control API; keep it internal." },
	{ "control-url", CONFIG_STRING, AT(control_url), NULL,
	  "URL under which gateways reach the control API. Where it listens if not given; for "
	  "0.0.0.0 or [::] the local address of the connection to Redis." },
	{ "api-token", CONFIG_SECRET, AT(api_token), NULL,
	  "Bearer token that the control API asks for, of at least 16 bytes.",
	  .least = CONFIG_SECRET_LEAST, .needed = true },
	{ "api-token-also", CONFIG_SECRET, AT(api_token_also), NULL,
	  "Another token that it accepts, while a fleet changes the first.",
	  .least = CONFIG_SECRET_LEAST },
	{ "verifier", CONFIG_CHOICE, AT(verifier), "open",
	  "'open': anybody may transfer any amount; 'limits': as the limits say.",
	  .choices = verifiers },
	LIMIT("global-limit", global_limit, "Bytes a month that the whole fleet relays."),
	LIMIT("instance-limit", instance_limit, "Bytes a month that this relay relays."),
	LIMIT("default-domain-limit", default_domain_limit,
	  "Bytes a month of a domain's users together, where no row says another limit."),
	LIMIT("default-user-limit", default_user_limit,
	  "Bytes a month of a user, where no row says another limit."),
	LIMIT("default-file-limit", default_file_limit,
	  "Bytes of one transfer, where no row says another limit."),
	{ "transfer-update-quantization", CONFIG_SIZE, AT(quantum_bytes), "1M",
	  "Bytes by which a transfer takes from the limits: 1 to 16 times this at once, or what it "
	  "relays in 50 ms.", 1, TERABYTE },
	{ "stream-rate", CONFIG_SIZE, AT(stream_rate), "0",
	  "Most bytes per second of one transfer, in both directions together; 0: any.", 0,
	  TERABYTE, .live = true },
	{ "user-rate", CONFIG_SIZE, AT(user_rate), "0",
	  "The same of all transfers of a charged user at this relay together.", 0, TERABYTE,
	  .live = true },
	{ "relay-rate", CONFIG_SIZE, AT(relay_rate), "0",
	  "The same of all transfers that were activated at this relay.", 0, TERABYTE,
	  .live = true },
	{ "transfers-max", CONFIG_INTEGER, AT(transfers_max), "100000",
	  "About how many records of transfers Redis keeps.", 1, 1000000000 },
	{ "transfers-keep", CONFIG_DURATION, AT(transfers_keep_ms), "90d",
	  "How long they are kept.", 1000, 3650 * (int64_t)DAY_MS },
	RETIRED("verifier-class", "verifier = open or limits says it"),
	RETIRED("remote-addresses", "advertise says it, with ports"),
	RETIRED("connections/ports", "listen says it, with addresses"),
	RETIRED("net-buffer", "buffers need no size any more"),
	RETIRED("repository/default/cls", "redis says where limits and usage are kept"),
	RETIRED("repository/default/dataSourceName", "redis says where limits and usage are kept"),
	{ "handshake-timeout", CONFIG_DURATION, AT(handshake_timeout_ms), "10s",
	  "Time for a client to make its SOCKS5 request.", 100, 600000 },
	{ "pending-timeout", CONFIG_DURATION, AT(pending_timeout_ms), "15m",
	  "How long a connection waits for its stream to be activated.", 100, DAY_MS },
	{ "idle-timeout", CONFIG_DURATION, AT(idle_timeout_ms), "10m",
	  "An active stream without a byte in either direction ends after this.", 100, DAY_MS },
	{ "connection-max", CONFIG_INTEGER, AT(connection_max), "10000",
	  "Most connections at once, of clients and of other relays. Then the network with most "
	  "of those that aren't active yet loses one, or the stream that is idle for longest, at "
	  "least a minute, ends.", 2, 10000000 },
	{ "connection-reserve", CONFIG_INTEGER, AT(connection_reserve), "10",
	  "Percent of connection-max that are kept for second halves and other relays. Where only "
	  "these are left the relay is full: it isn't ready, and gateways name others.", 0, 90 },
	{ "connections-per-address-max", CONFIG_INTEGER, AT(connections_per_address_max), "128",
	  "Most connections from one address (IPv6: one /64), in whatever state.", 1, 10000000 },
	{ "streams-per-user-max", CONFIG_INTEGER, AT(streams_per_user_max), "16",
	  "Most active transfers of one charged user at this relay; 0: any number.", 0, 10000000,
	  .live = true },
	{ "streams-per-domain-max", CONFIG_INTEGER, AT(streams_per_domain_max), "0",
	  "The same of all charged users of one domain.", 0, 10000000, .live = true },
	{ "pending-max", CONFIG_INTEGER, AT(pending_max), "4096",
	  "Most connections that aren't active yet; keep it well below connection-max. Then the "
	  "network (IPv6 /48, IPv4 /24) that has most of them loses its oldest.", 1, 10000000 },
	{ "pending-per-address-max", CONFIG_INTEGER, AT(pending_per_address_max), "32",
	  "Most of those from one address (IPv6: one /64).", 1, 100000 },
	{ "trusted-proxies", CONFIG_LIST, AT(trusted_proxies), NULL,
	  "Addresses or networks of balancers; each of their connections has to begin with a "
	  "PROXY header of version 2." },
	{ "peer-listen", CONFIG_ADDRESS, AT(peer_listen), NULL,
	  "Numeric address for the other relays of the fleet; keep it internal. Without it a "
	  "client whose other half is at another relay is refused." },
	{ "peer-address", CONFIG_ADDRESS, AT(peer_address), NULL,
	  "host:port under which other relays reach peer-listen. Where it listens if not given; "
	  "for 0.0.0.0 or [::] the local address of the connection to Redis." },
	{ "peer-secret", CONFIG_SECRET, AT(peer_secret), NULL,
	  "What all relays of the fleet know, to tell each other from strangers: at least 16 "
	  "bytes.",
	  .least = CONFIG_SECRET_LEAST },
	{ "peer-secret-also", CONFIG_SECRET, AT(peer_secret_also), NULL,
	  "Another secret that peer-listen accepts, while a fleet changes the first.",
	  .least = CONFIG_SECRET_LEAST },
	{ 0 },
};

static const struct config_section sections[] = {
	{ "daemon", "The relay.", daemon_keys, sizeof(struct relay_conf), 0, false },
	{ 0 },
};
/* clang-format on */

const struct config relay_config = { "relayd", sections, sizeof(struct relay_conf) };

bool conf_has_peers(const struct relay_conf *conf)
{
	return conf->peer_listen != NULL && conf->peer_listen[0] != '\0';
}

/* The id is part of keys and of claims ("ID EPOCH"), so it has no blank and needs no escapes. */
static bool id_is_plain(const char *id)
{
	size_t len = strlen(id);

	return len >= 1 && len <= ID_MAX &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") ==
	               len;
}

static bool is_host_and_port(const char *text)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	return net_split(text, host, &port) == 0 && host[0] != '\0' && port != 0;
}

/* Addresses to listen on are numeric; an empty one is not used. */
static void check_listen(const char *key, const char *address, struct buf *complaints)
{
	union net_address parsed;

	if (address != NULL && address[0] != '\0' && net_parse(address, &parsed) != 0)
		buf_printf(complaints, "%s must be a numeric address and a port, not %s\n", key,
		           address);
}

static void check_addresses(const struct relay_conf *conf, struct buf *complaints)
{
	if (conf->listen == NULL || conf->listen[0] == NULL)
		buf_text(complaints, "listen must have an address\n");
	for (char **each = conf->listen; each != NULL && *each != NULL; each++)
		check_listen("listen", *each, complaints);
	for (char **each = conf->advertise; each != NULL && *each != NULL; each++)
		if (!is_host_and_port(*each))
			buf_printf(complaints, "advertise must be HOST:PORT, not %s\n", *each);
	check_listen("control-listen", conf->control_listen, complaints);
	check_listen("peer-listen", conf->peer_listen, complaints);
}

/* Clients can't connect to a wildcard, so they have to be told another address. */
static void check_advertise(const struct relay_conf *conf, struct buf *complaints)
{
	union net_address parsed;

	if (redis_url_is_none(conf->redis) ||
	    (conf->advertise != NULL && conf->advertise[0] != NULL))
		return;
	for (char **each = conf->listen; each != NULL && *each != NULL; each++) {
		if (net_parse(*each, &parsed) != 0 || !net_is_wildcard(&parsed))
			continue;
		buf_printf(complaints, "advertise is needed: clients can't connect to %s\n", *each);
		return;
	}
}

static void check_peers(const struct relay_conf *conf, struct buf *complaints)
{
	if (!conf_has_peers(conf))
		return;
	if (conf->peer_address != NULL && !is_host_and_port(conf->peer_address))
		buf_printf(complaints, "peer-address must be HOST:PORT, not %s\n",
		           conf->peer_address);
	if (conf->peer_secret == NULL || conf->peer_secret[0] == '\0')
		buf_text(complaints, "peer-listen needs peer-secret\n");
	if (redis_url_is_none(conf->redis))
		buf_text(complaints, "peer-listen needs redis\n");
}

static void check_proxies(const struct relay_conf *conf, struct buf *complaints)
{
	struct networks trusted = { 0 };
	const char *bad = networks_read(&trusted, (const char *const *)conf->trusted_proxies);

	networks_release(&trusted);
	if (bad != NULL)
		buf_printf(complaints, "trusted-proxies: %s is no address or network\n", bad);
}

int conf_check(const void *config, struct buf *complaints)
{
	const struct relay_conf *conf = config;
	size_t before = buf_len(complaints);

	if (conf->verifier == VERIFIER_LIMITS && redis_url_is_none(conf->redis))
		buf_text(complaints, "verifier = limits needs redis\n");
	if (!id_is_plain(daemon_id(conf->id)))
		buf_printf(complaints, "id must be 1 to %d letters, digits, . - _, not %s\n",
		           ID_MAX, daemon_id(conf->id));
	check_addresses(conf, complaints);
	check_advertise(conf, complaints);
	check_peers(conf, complaints);
	check_proxies(conf, complaints);
	return buf_len(complaints) == before ? 0 : -1;
}
