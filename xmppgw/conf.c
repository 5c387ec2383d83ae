#include "xmppgw/conf.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/net/net.h"
#include "common/net/tls_client.h"
#include "common/text/jid.h"

#define DAEMON(name, kind, member) name, kind, offsetof(struct conf_daemon, member)
#define COMPONENT(name, kind, member) name, kind, offsetof(struct conf_component, member)
#define RELAY(name, kind, member) name, kind, offsetof(struct conf_relay, member)

/* A key that moved into the components' sections. */
#define RETIRED(name)                                                                              \
	{                                                                                          \
		DAEMON(name, CONFIG_LIST, retired),                                                \
		        .retired = "set " name " in each [component ID] that it is for"            \
	}

#define ID_MAX 64
#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"

/* clang-format off */
static const struct config_key daemon_keys[] = {
	DAEMON_KEYS,
	{ DAEMON("id", CONFIG_STRING, id), NULL,
	  "Name among the gateways: letters, digits, '.', '-', '_'. The host's name if not set." },
	{ DAEMON("redis", CONFIG_REDIS, redis), "redis://127.0.0.1:6379/0",
	  "Redis, where relays and push daemons register; \"none\": relays are in [relay ID]." },
	{ DAEMON("relay-redis", CONFIG_REDIS, relay_redis), NULL,
	  "Redis of the relays, where it isn't that of redis." },
	{ DAEMON("push-redis", CONFIG_REDIS, push_redis), NULL,
	  "Redis of the push daemons, where it isn't that of redis." },
	{ DAEMON("redis-prefix", CONFIG_STRING, redis_prefix), "og:",
	  "Prefix of every key in Redis." },
	{ DAEMON("ops-listen", CONFIG_ADDRESS, ops_listen), "127.0.0.1:7670",
	  "Address of /metrics, /healthz and /readyz; an internal one." },
	{ DAEMON("api-token", CONFIG_SECRET, api_token), NULL,
	  "Bearer token of relayd's and pushd's API, of at least 16 bytes.",
	  .least = CONFIG_SECRET_LEAST, .needed = true },
	RETIRED("served-domains"),
	RETIRED("admins"),
	{ NULL },
};

/* In the order of their enums. */
static const char *const serve_names[] = { "requester", "either", NULL };
static const char *const charge_names[] = { "requester", "served", "both", NULL };
static const char *const over_quota_names[] = { "headline", "error", NULL };

static const struct config_key component_keys[] = {
	{ COMPONENT("domain", CONFIG_STRING, domain), NULL,
	  "The component's domain. The section's id if not given.", .never_empty = true,
	  .live = true },
	{ COMPONENT("server", CONFIG_ADDRESS, server), NULL,
	  "The XMPP server's port for components (XEP-0114).", .needed = true },
	{ COMPONENT("secret", CONFIG_SECRET, secret), NULL,
	  "The password that the server has for this component.", .needed = true, .live = true },
	{ COMPONENT("role", CONFIG_LIST, roles), NULL,
	  "relay (file-transfer proxy), push (app server), or both.", .needed = true,
	  .live = true },
	{ COMPONENT("name", CONFIG_STRING, name), NULL,
	  "Name that clients show (disco). \"File transfer proxy\" and \"Push notifications\", by "
	  "role, if not given.",
	  .never_empty = true, .live = true },
	{ COMPONENT("admins", CONFIG_LIST, admins), NULL,
	  "JIDs (user@domain) that may run the administrators' commands at this component.",
	  .live = true },
	{ COMPONENT("served-domains", CONFIG_LIST, served_domains), NULL,
	  "Domains whose users may transfer files; none: everybody is served.", .live = true },
	{ COMPONENT("serve", CONFIG_CHOICE, serve), "requester",
	  "Whose domain must be of served-domains: 'requester', who asks for the transfer; "
	  "'either': his, or that of the target, whom he names.", .live = true,
	  .choices = serve_names },
	{ COMPONENT("charge", CONFIG_CHOICE, charge), "requester",
	  "Whose quota a transfer uses up, with his domain's: 'requester'; 'served': that of a "
	  "target of served-domains, too; 'both'. Only the requester is authenticated: with "
	  "'served' and 'both' a user can spend the quota of anyone whom he names.", .live = true,
	  .choices = charge_names },
	{ COMPONENT("over-quota", CONFIG_CHOICE, over_quota), "headline",
	  "How the parties of a transfer are told of the limit that ended it: a headline with a "
	  "text, which clients show, or an error alone, as Tigase sends it.",
	  .choices = over_quota_names, .live = true },
	{ COMPONENT("remote-disable", CONFIG_BOOLEAN, remote_disable), "no",
	  "The owner of a push device that is removed is told (XEP-0357 8): for Tigase, which ends "
	  "the registration then. Other servers pass it on to clients." },
	{ COMPONENT("standby", CONFIG_BOOLEAN, standby), "no",
	  "Several gateways have this component and one of them at a time connects: for servers "
	  "that let one connection in (Prosody, MongooseIM)." },
	{ COMPONENT("allow-multiple", CONFIG_BOOLEAN, allow_multiple), "no",
	  "Several gateways connect at once to Openfire, which must be told so." },
	{ COMPONENT("tls", CONFIG_BOOLEAN, tls), "no",
	  "The server's port speaks TLS from the first byte (ejabberd's \"tls: true\", "
	  "Openfire's 5276, stunnel); its certificate is verified." },
	{ COMPONENT("tls-name", CONFIG_STRING, tls_name), NULL,
	  "Name in the server's certificate; the host in server if not given.",
	  .never_empty = true },
	{ COMPONENT("ca-file", CONFIG_STRING, ca_file), NULL,
	  "Authorities (PEM) that may have signed it; the system's if not given.",
	  .never_empty = true },
	{ NULL },
};

static const struct config_key relay_keys[] = {
	{ RELAY("control", CONFIG_STRING, control), NULL, "URL of relayd's control API.",
	  .needed = true },
	{ RELAY("advertise", CONFIG_LIST, advertise), NULL,
	  "host:port at which clients reach it; the best first.", .needed = true },
	{ NULL },
};

static const struct config_section sections[] = {
	{ "daemon", "The gateway.", daemon_keys, sizeof(struct conf_daemon),
	  offsetof(struct conf, daemon), false },
	{ "component", "One component of an XMPP server.", component_keys,
	  sizeof(struct conf_component), offsetof(struct conf, components), true, true },
	{ "relay", "A relay, if there is no Redis to find it.", relay_keys,
	  sizeof(struct conf_relay), offsetof(struct conf, relays), true },
	{ NULL },
};
/* clang-format on */

const struct config conf_table = { "xmppgw", sections, sizeof(struct conf) };

static const struct {
	const char *name;
	enum role role;
} roles[] = { { "relay", ROLE_RELAY }, { "push", ROLE_PUSH } };

const struct conf_component *conf_component(const struct conf *conf, size_t index)
{
	return config_item(&conf->components, sizeof(struct conf_component), index);
}

const struct conf_relay *conf_relay(const struct conf *conf, size_t index)
{
	return config_item(&conf->relays, sizeof(struct conf_relay), index);
}

bool conf_same_link(const struct conf_component *one, const struct conf_component *other)
{
	return !config_keys_differ(component_keys, one, other);
}

static unsigned role_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].role;
	return 0;
}

unsigned conf_roles(const struct conf_component *component)
{
	unsigned bits = 0;

	for (char **name = component->roles; name != NULL && *name != NULL; name++) {
		unsigned role = role_by_name(*name);

		if (role == 0)
			return 0;
		bits |= role;
	}
	return bits;
}

/* The id is the name of a consumer in Redis and stands in log lines. */
static void check_id(const struct conf *conf, struct buf *complaints)
{
	const char *id = daemon_id(conf->daemon.id);
	size_t len = strlen(id);

	if (len < 1 || len > ID_MAX || strspn(id, ID_CHARACTERS) != len)
		buf_printf(complaints, "id must be 1 to %d letters, digits, '.', '-' or '_'\n",
		           ID_MAX);
}

/* Where relays and push daemons have a Redis of their own, the gateway has one, too. */
static void check_redis(const struct conf *conf, const char *key, const char *url,
                        struct buf *complaints)
{
	if (url == NULL)
		return;
	if (!conf_with_redis(conf))
		buf_printf(complaints, "%s needs redis, which is none\n", key);
	else if (redis_url_is_none(url))
		buf_printf(complaints, "%s can't be none; without it, redis is used\n", key);
}

static void check_access(const struct conf_component *component, struct buf *complaints)
{
	char text[JID_TEXT_MAX];

	for (char **domain = component->served_domains; domain != NULL && *domain != NULL; domain++)
		if (jid_domain(*domain, text) != 0)
			buf_printf(complaints, "component %s: served-domains: %s is no domain\n",
			           component->id, *domain);
	for (char **admin = component->admins; admin != NULL && *admin != NULL; admin++)
		if (jid_parse_bare(*admin, text) != 0 || strchr(text, '@') == NULL)
			buf_printf(complaints, "component %s: admins: %s is no user@domain\n",
			           component->id, *admin);
}

static void check_tls(const struct conf_component *component, struct buf *complaints)
{
	struct ssl_ctx_st *context = NULL;
	const char *why;

	if (!component->tls) {
		if (component->tls_name != NULL || component->ca_file != NULL)
			buf_printf(complaints,
			           "component %s: tls-name and ca-file need tls = yes\n",
			           component->id);
		return;
	}
	context = tls_client_context(component->ca_file, &why);
	if (context == NULL)
		buf_printf(complaints, "component %s: ca-file %s: %s\n", component->id,
		           component->ca_file, why);
	else
		tls_client_free_context(context);
}

static void check_component(const struct conf *conf, const struct conf_component *component,
                            struct buf *complaints)
{
	char domain[JID_PART_MAX + 1];
	unsigned bits = conf_roles(component);

	if (jid_domain(conf_domain(component), domain) != 0)
		buf_printf(complaints, "component %s: %s is no domain\n", component->id,
		           conf_domain(component));
	if (bits == 0)
		buf_printf(complaints, "component %s: role must be relay, push or both\n",
		           component->id);
	check_tls(component, complaints);
	if (component->standby && component->allow_multiple)
		buf_printf(complaints, "component %s: it is standby or allow-multiple, not both\n",
		           component->id);
	if (component->standby && !conf_with_redis(conf))
		buf_printf(complaints,
		           "component %s: standby needs redis, where gateways agree on one\n",
		           component->id);
	if ((bits & ROLE_PUSH) && !conf_with_redis(conf))
		buf_printf(
		        complaints,
		        "component %s: the role push needs redis, where push daemons are found\n",
		        component->id);
}

/* A domain has one stream: of two, the server refuses the second or ends the first. */
static void check_twins(const struct conf *conf, size_t index, struct buf *complaints)
{
	const struct conf_component *component = conf_component(conf, index);
	char domain[JID_PART_MAX + 1], other[JID_PART_MAX + 1];

	if (jid_domain(conf_domain(component), domain) != 0)
		return;
	for (size_t i = 0; i < index; i++) {
		const struct conf_component *twin = conf_component(conf, i);

		if (jid_domain(conf_domain(twin), other) == 0 && strcmp(domain, other) == 0)
			buf_printf(complaints, "components %s and %s have the same domain, %s\n",
			           twin->id, component->id, domain);
	}
}

static void check_relay(const struct conf_relay *relay, struct buf *complaints)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	for (char **text = relay->advertise; *text != NULL; text++)
		if (net_split(*text, host, &port) != 0 || port == 0)
			buf_printf(complaints, "relay %s: advertise must be host:port, not %s\n",
			           relay->id, *text);
}

int conf_check(const void *config, struct buf *complaints)
{
	const struct conf *conf = config;
	size_t before = buf_len(complaints);
	union net_address ops;

	if (net_parse(conf->daemon.ops_listen, &ops) != 0)
		buf_printf(complaints, "ops-listen must be a numeric address and a port, not %s\n",
		           conf->daemon.ops_listen);
	check_id(conf, complaints);
	check_redis(conf, "relay-redis", conf->daemon.relay_redis, complaints);
	check_redis(conf, "push-redis", conf->daemon.push_redis, complaints);
	if (conf->components.count == 0)
		buf_text(complaints, "there must be a section [component ID]\n");
	if (conf->relays.count > 0 && conf_with_redis(conf))
		buf_text(complaints, "[relay ID] is for redis = none: relays are found in Redis\n");
	if (conf->relays.count == 0 && !conf_with_redis(conf))
		buf_text(complaints, "redis = none needs a section [relay ID]\n");
	for (size_t i = 0; i < conf->components.count; i++) {
		check_component(conf, conf_component(conf, i), complaints);
		check_access(conf_component(conf, i), complaints);
		check_twins(conf, i, complaints);
	}
	for (size_t i = 0; i < conf->relays.count; i++)
		check_relay(conf_relay(conf, i), complaints);
	return buf_len(complaints) == before ? 0 : -1;
}
