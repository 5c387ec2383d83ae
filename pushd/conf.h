/*
 * pushd's configuration: the table of keys and the structs that it fills. The keys of a kind of
 * provider are its own; they are handed over before the file is read. check.h has what the table
 * alone can't say.
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

/* How much of a message an app is told in clear. */
enum conf_content {
	CONF_CONTENT_DIALECT, /* what the device's dialect is for; the others say it themselves */
	CONF_CONTENT_FULL,
	CONF_CONTENT_SENDER, /* without the body */
	CONF_CONTENT_NONE,   /* the account alone, and that there is nothing unread any more */
};

/* [provider ID]: the keys of all kinds; conf_own() has those of its own kind. */
struct conf_provider {
	char *id;
	int kind;  /* place among the kinds */
	int empty; /* enum conf_empty: the priority of a notification that says nothing */
	char **push_modules;
	char **commands;
	int content;    /* enum conf_content */
	char *endpoint; /* NULL: the kind's own */
	char *http_proxy;
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
	char *api_token_also;
	char *public_listen;
	char *cert_file;
	char *key_file;
	bool behind_proxy;
	char **trusted_proxies;
	char **components;
	char **registrants;
	int64_t devices_per_token_max;
	int64_t devices_per_owner_max;
	int64_t devices_max;
	int64_t devices_per_domain_max;
	int64_t registration_rate; /* per second; 0: no limit */
	int64_t registration_burst;
	int64_t device_ttl_ms;
	int64_t domain_rate; /* per second; 0: no limit */
	int64_t domain_burst;
	char *master_key_file; /* NULL: credentials come from files alone, and aren't shared */
	char *master_key_file_also;
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

#define CONF_ID_MAX 64 /* bytes of an id */

extern const struct config conf_table;

/* The keys that a kind of provider has in [provider ID] beside those of all. */
struct conf_kind {
	const char *name;              /* the value of "kind" */
	const struct config_key *keys; /* ended by an entry without a name; no name of another's */
	size_t size;                   /* of the struct that their offsets count from */
	const char *command; /* by which p2's apps register with one provider; NULL: none */
};

/* Takes one more kind (borrowed): before conf_table is used, each once, in their order. */
void conf_add_kind(const struct conf_kind *kind);

/* Provider INDEX of CONF. */
const struct conf_provider *conf_provider(const struct conf *conf, size_t index);

/* The place of PROVIDER in CONF; the count of all if it isn't one of them. */
size_t conf_provider_index(const struct conf *conf, const struct conf_provider *provider);

/* The struct that holds the keys of PROVIDER's own kind. */
const void *conf_own(const struct conf_provider *provider);

/*
 * The command by which p2's apps register with PROVIDER, one of CONF's: that of its kind, if its
 * key "commands" names it, or if it is the only one of its kind without that key and none names it.
 * NULL: none.
 */
const char *conf_command(const struct conf *conf, const struct conf_provider *provider);

/*
 * What is wrong with PROVIDER's key "commands" beside those of CONF's other providers (heap), or
 * NULL: a command of another kind, one that is named twice, one of two that could serve it.
 */
char *conf_check_commands(const struct conf *conf, const struct conf_provider *provider);

/* Names a key of another kind that is set in PROVIDER: "KEY is for kind KIND" (heap); else NULL. */
char *conf_foreign_key(const struct conf_provider *provider);

/* True for what a URL or a header takes as it is: letters, digits and -._: (NULL: not set). */
bool conf_plain_name(const char *name);

/* True for "https://HOST[:PORT]" (NULL: not set). */
bool conf_valid_endpoint(const char *endpoint);

#endif
