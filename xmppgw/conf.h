/*
 * xmppgw's configuration: the structs that it fills, and the table of keys that fills them.
 */
#ifndef OG_XMPPGW_CONF_H
#define OG_XMPPGW_CONF_H

#include "common/config/config.h"
#include "common/daemon.h"
#include "common/redis/redis_url.h"

/* What a component does for its server; a set of bits. */
enum role { ROLE_RELAY = 1, ROLE_PUSH = 2, ROLE_ANY = ROLE_RELAY | ROLE_PUSH };

/* Whose domain must be served for a transfer: the requester's, or that of either party. */
enum serve { SERVE_REQUESTER, SERVE_EITHER };

/* Whom a transfer is charged to: the requester; the target too if it is served; or both. */
enum charge { CHARGE_REQUESTER, CHARGE_SERVED, CHARGE_BOTH };

/* How the parties of a transfer are told that a limit ended it. */
enum over_quota { OVER_QUOTA_HEADLINE, OVER_QUOTA_ERROR };

struct conf_daemon {
	struct daemon_common common;
	char *id;    /* the gateway's name among all; NULL: the host's, see daemon_id() */
	char *redis; /* URL, or "none" */
	char *relay_redis, *push_redis; /* NULL: as redis; see conf_redis_or() */
	char *redis_prefix;
	char *ops_listen;
	char *api_token;
	char **retired; /* never set: where retired keys would go */
};

struct conf_component {
	char *id;
	char *domain; /* NULL: the id; see conf_domain() */
	char *server;
	char *secret;
	char **roles;
	char *name;
	bool standby;
	bool allow_multiple;
	bool tls;
	char *tls_name; /* NULL: the host in server */
	char *ca_file;  /* NULL: the system's authorities */
	bool remote_disable;
	char **admins;
	char **served_domains;
	int serve;      /* enum serve */
	int charge;     /* enum charge */
	int over_quota; /* enum over_quota */
};

/* A relay that is not in the registry because there is no Redis. */
struct conf_relay {
	char *id;
	char *control;
	char **advertise;
};

struct conf {
	struct conf_daemon daemon;
	struct config_items components;
	struct config_items relays;
};

extern const struct config conf_table;

/* Checks what the table of keys can't; see struct daemon_spec. */
int conf_check(const void *config, struct buf *complaints);

const struct conf_component *conf_component(const struct conf *conf, size_t index);
const struct conf_relay *conf_relay(const struct conf *conf, size_t index);

/* The domain of COMPONENT, as it is written. */
static inline const char *conf_domain(const struct conf_component *component)
{
	return component->domain != NULL ? component->domain : component->id;
}

/* True unless ONE and OTHER, of one domain, differ in what needs another connection. */
bool conf_same_link(const struct conf_component *one, const struct conf_component *other);

/* The bits of COMPONENT's roles; 0 if one of them is unknown. */
unsigned conf_roles(const struct conf_component *component);

/* URL, or that of redis where URL is not set. */
static inline const char *conf_redis_or(const struct conf *conf, const char *url)
{
	return url != NULL ? url : conf->daemon.redis;
}

/* True unless redis = none. */
static inline bool conf_with_redis(const struct conf *conf)
{
	return !redis_url_is_none(conf->daemon.redis);
}

#endif
