/*
 * pushd's configuration: the table of keys, the structs that it fills, and the check of what the
 * table alone can't say.
 */
#ifndef OG_PUSHD_CONF_H
#define OG_PUSHD_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/daemon.h"

/* What "empty" says. */
enum conf_empty { CONF_EMPTY_HIGH, CONF_EMPTY_LOW };

/* What "environment" and "address" say. */
enum conf_environment { CONF_PRODUCTION, CONF_SANDBOX };
enum conf_address { CONF_ADDRESS_TOKEN, CONF_ADDRESS_FID };

/* [provider ID] */
struct conf_provider {
	char *id;
	int kind;  /* place in provider_kinds */
	int empty; /* enum conf_empty: the priority of a notification that says nothing */
	char *topic;
	char **push_modules;
	char *key_file;
	char *key_id;
	char *team_id;
	char *cert_file;
	char *cert_password;
	char *service_account_file;
	char *project_id;
	char *endpoint; /* NULL: the provider's own */
	char *other_endpoint;
	char *http_proxy;
	int environment; /* enum conf_environment */
	bool try_other_environment;
	int address;      /* enum conf_address */
	int64_t rate_max; /* per second; 0: no limit */
	char *ca_file;
	int64_t pool_size;
	int64_t expiry_ms;
	int64_t interval_ms; /* between two notifications for one device; 0: none */
	char *retired;       /* never set: where retired keys would go */
};

/* [daemon] */
struct conf_daemon {
	struct daemon_common common;
	char *id; /* NULL: the host's name */
	char *redis;
	char *redis_prefix;
	char *api_listen;
	char *api_url;
	char *api_token;
	char *public_listen;
	char *cert_file;
	char *key_file;
	bool behind_proxy;
	char **trusted_proxies;
	char **components;
	char **registrants;
	int64_t devices_per_token_max;
	int64_t devices_per_owner_max;
	int64_t device_ttl_ms;
	int64_t domain_rate; /* per second; 0: no limit */
	int64_t domain_burst;
	char *master_key_file; /* NULL: credentials come from files alone, and aren't shared */
	int64_t in_flight_max;
	int64_t answer_within_ms;
	int64_t queue_max;
	int64_t lease_ms;
	int64_t wait_replicas;
};

struct conf {
	struct conf_daemon daemon;
	struct config_items providers; /* struct conf_provider */
};

extern const struct config conf_table;

/* This pushd's name in the registry: as configured, or the host's. */
const char *conf_id(const struct conf *conf);

/* Provider INDEX of CONF. */
const struct conf_provider *conf_provider(const struct conf *conf, size_t index);

/*
 * For daemon_spec: credentials are read and tried, files opened, addresses parsed. Returns 0, or -1
 * with COMPLAINTS appended.
 */
int conf_check(const void *config, struct buf *complaints);

/*
 * Likewise, what only shows when it is used: credentials in files that are of no use now, and the
 * public listener's certificate.
 */
int conf_check_more(const void *config, struct buf *complaints);

#endif
