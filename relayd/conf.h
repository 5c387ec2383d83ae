/*
 * relayd's configuration: the struct that the one table fills, and the checks beyond the table.
 */
#ifndef OG_RELAYD_CONF_H
#define OG_RELAYD_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/daemon.h"

/* Who may transfer how much: anybody any amount, or as the limits say. */
enum relay_verifier { VERIFIER_OPEN, VERIFIER_LIMITS };

struct relay_conf {
	struct daemon_common common;
	char *id;
	char *redis; /* none: a single relay, without claims and without a registry record */
	char *redis_prefix;
	char **listen;
	char **advertise;
	char *control_listen;
	char *control_url;
	char *api_token;
	char *api_token_also;
	int verifier; /* enum relay_verifier */
	int64_t global_limit, instance_limit;
	int64_t default_domain_limit, default_user_limit, default_file_limit;
	int64_t quantum_bytes;
	int64_t stream_rate, user_rate, relay_rate; /* bytes per second; 0: none */
	int64_t transfers_max;
	int64_t transfers_keep_ms;
	char *retired; /* never set: the place of keys that no longer exist */
	int64_t handshake_timeout_ms;
	int64_t pending_timeout_ms;
	int64_t idle_timeout_ms;
	int64_t connection_max;
	int64_t pending_max;
	int64_t pending_per_address_max;
	int64_t connections_per_address_max;
	int64_t connection_reserve;                           /* percent */
	int64_t streams_per_user_max, streams_per_domain_max; /* 0: none */
	char **trusted_proxies;
	char *peer_listen;
	char *peer_address;
	char *peer_secret;
	char *peer_secret_also;
};

extern const struct config relay_config;

/* True if this relay bridges, and lets others bridge to it. */
bool conf_has_peers(const struct relay_conf *conf);

/* Checks what the table can't; 0, or -1 with one line for each complaint. */
int conf_check(const void *config, struct buf *complaints);

#endif
