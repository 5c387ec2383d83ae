#include "pushd/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/net/net.h"
#include "common/net/networks.h"
#include "pushd/credential/credential_file.h"
#include "pushd/credential/identity.h"
#include "pushd/credential/vault.h"
#include "pushd/provider/environment.h"
#include "pushd/provider/kinds.h"

#define NAME(kind) #kind,
static const char *const kinds[] = { PROVIDER_KINDS(NAME) NULL };
static const char *const empties[] = { "high", "low", NULL };
static const char *const environments[] = { "production", "sandbox", NULL };
static const char *const addresses[] = { "token", "fid", NULL };

#define ID_MAX 64

#define KEY(name, kind, member) name, kind, offsetof(struct conf_daemon, member)
#define PROVIDER(name, kind, member) name, kind, offsetof(struct conf_provider, member)
/* clang-format off */
#define RETIRED(name, text)                                                                        \
	{                                                                                          \
		PROVIDER(name, CONFIG_STRING, retired), .retired = text                            \
	}

static const struct config_key daemon_keys[] = {
	DAEMON_KEYS,
	{ KEY("id", CONFIG_STRING, id), NULL,
	  "Name of this pushd in the registry; the host's name by default." },
	{ KEY("redis", CONFIG_REDIS, redis), "redis://127.0.0.1:6379/0",
	  "Where devices are kept." },
	{ KEY("redis-prefix", CONFIG_STRING, redis_prefix), "og:", "What every key begins with." },
	{ KEY("api-listen", CONFIG_ADDRESS, api_listen), "127.0.0.1:7660",
	  "Where gateways and operators call; an internal address." },
	{ KEY("api-url", CONFIG_STRING, api_url), NULL,
	  "URL under which gateways reach the API. Where it listens if not given; for 0.0.0.0 or "
	  "[::] the local address of the connection to Redis." },
	{ KEY("api-token", CONFIG_SECRET, api_token), NULL, "Bearer token of the API.",
	  .needed = true },
	{ KEY("public-listen", CONFIG_ADDRESS, public_listen), NULL,
	  "Where apps unregister devices by REST; nowhere by default." },
	{ KEY("cert-file", CONFIG_STRING, cert_file), NULL,
	  "Certificate chain (PEM) of the public listener." },
	{ KEY("key-file", CONFIG_STRING, key_file), NULL, "Key (PEM) of the public listener." },
	{ KEY("behind-proxy", CONFIG_BOOLEAN, behind_proxy), "no",
	  "A proxy does TLS for the public listener: it may be plain on any address." },
	{ KEY("trusted-proxies", CONFIG_LIST, trusted_proxies), NULL,
	  "Addresses or networks whose X-Forwarded-For is believed." },
	{ KEY("components", CONFIG_LIST, components), NULL,
	  "Push components whose devices apps unregister by REST; any by default." },
	{ KEY("registrants", CONFIG_LIST, registrants), NULL,
	  "Domains whose users may register devices; any by default." },
	{ KEY("devices-per-token-max", CONFIG_INTEGER, devices_per_token_max), "16",
	  "Most registrations of one device token; the oldest goes.", 1, 10000 },
	{ KEY("devices-per-owner-max", CONFIG_INTEGER, devices_per_owner_max), "64",
	  "Most registrations of one user; the oldest goes.", 1, 10000 },
	{ KEY("device-ttl", CONFIG_DURATION, device_ttl_ms), "90d",
	  "Life of a device whose app or server renews it (dialects p2 and fpush).", 1000,
	  315360000000 },
	{ KEY("domain-rate", CONFIG_INTEGER, domain_rate), "0",
	  "Most notifications that one domain may publish here in a second; 0: any number.", 0,
	  1000000 },
	{ KEY("domain-burst", CONFIG_INTEGER, domain_burst), "1000",
	  "How many of them may come at once.", 1, 1000000 },
	{ KEY("master-key-file", CONFIG_STRING, master_key_file), NULL,
	  "32 bytes as 64 hex digits: seals credentials in Redis, so that they can be set there "
	  "and shared." },
	{ KEY("in-flight-max", CONFIG_INTEGER, in_flight_max), "10000",
	  "Most notifications that are being worked on; more are answered unavailable.", 1,
	  1000000 },
	{ KEY("answer-within", CONFIG_DURATION, answer_within_ms), "2s",
	  "What has no verdict by then is stored and answered queued.", 50, 60000 },
	{ KEY("queue-max", CONFIG_INTEGER, queue_max), "100000",
	  "Most notifications that wait in Redis, of all providers; more are answered unavailable.",
	  1, 100000000 },
	{ KEY("lease", CONFIG_DURATION, lease_ms), "45s",
	  "After this long another pushd takes over what one that has died was sending.", 1000,
	  3600000 },
	{ KEY("wait-replicas", CONFIG_INTEGER, wait_replicas), "0",
	  "Replicas of Redis that must have a notification before it is answered as queued.", 0,
	  100 },
	{ NULL },
};

static const struct config_key provider_keys[] = {
	{ PROVIDER("kind", CONFIG_CHOICE, kind), NULL, "apns or fcm.", .choices = kinds,
	  .needed = true },
	{ PROVIDER("push-modules", CONFIG_LIST, push_modules), NULL,
	  "Values of pushModule whose publishes name this provider's tokens; none by default." },
	{ PROVIDER("topic", CONFIG_STRING, topic), NULL, "APNs: the app's bundle id." },
	{ PROVIDER("key-file", CONFIG_STRING, key_file), NULL, "APNs: signing key (.p8).",
	  .live = true },
	{ PROVIDER("key-id", CONFIG_STRING, key_id), NULL, "APNs: id of the signing key.",
	  .live = true },
	{ PROVIDER("team-id", CONFIG_STRING, team_id), NULL, "APNs: id of the developer's team.",
	  .live = true },
	{ PROVIDER("cert-file", CONFIG_STRING, cert_file), NULL,
	  "APNs: client certificate and key (.p12, or PEM), instead of a signing key.",
	  .live = true },
	{ PROVIDER("cert-password", CONFIG_SECRET, cert_password), NULL,
	  "APNs: what opens the cert-file.", .live = true },
	{ PROVIDER("service-account-file", CONFIG_STRING, service_account_file), NULL,
	  "FCM: the service account's key file (JSON).", .live = true },
	{ PROVIDER("project-id", CONFIG_STRING, project_id), NULL,
	  "FCM: the project; that of the service account by default." },
	{ PROVIDER("endpoint", CONFIG_STRING, endpoint), NULL,
	  "https://HOST[:PORT] to send to; Apple's or Google's by default." },
	{ PROVIDER("environment", CONFIG_CHOICE, environment), "production",
	  "APNs: which of Apple's worlds it sends to.", .choices = environments },
	{ PROVIDER("try-other-environment", CONFIG_BOOLEAN, try_other_environment), "no",
	  "APNs: a token that is bad in one world is tried in the other; what works is kept." },
	{ PROVIDER("other-endpoint", CONFIG_STRING, other_endpoint), NULL,
	  "https://HOST[:PORT] of the other world; Apple's by default." },
	{ PROVIDER("address", CONFIG_CHOICE, address), "token",
	  "FCM: what its devices register with, a registration token or a Firebase installation "
	  "id.", .choices = addresses },
	{ PROVIDER("http-proxy", CONFIG_SECRET, http_proxy), NULL,
	  "http://[USER:PASSWORD@]HOST:PORT to reach the provider through (CONNECT)." },
	{ PROVIDER("rate-max", CONFIG_INTEGER, rate_max), "0",
	  "Most requests in a second from this process; 0: any number.", 0, 1000000 },
	{ PROVIDER("ca-file", CONFIG_STRING, ca_file), NULL,
	  "Certificates (PEM) to trust instead of the system's." },
	{ PROVIDER("pool-size", CONFIG_INTEGER, pool_size), "1", "Connections.", 1, 64 },
	{ PROVIDER("empty", CONFIG_CHOICE, empty), "high",
	  "Priority of a notification without any content.", .choices = empties },
	{ PROVIDER("expiry", CONFIG_DURATION, expiry_ms), "28d",
	  "How long the provider keeps a notification for a device that is away.", 0, 2419200000 },
	{ PROVIDER("interval", CONFIG_DURATION, interval_ms), "2s",
	  "Least time between two notifications for one device; the newest waits. 0: none.", 0,
	  3600000 },
	RETIRED("server-key", "FCM's legacy API has ended: use service-account-file"),
	RETIRED("sender-id", "FCM's legacy API has ended: use service-account-file and project-id"),
	{ NULL },
};

static const struct config_section sections[] = {
	{ "daemon", "The push daemon.", daemon_keys, sizeof(struct conf_daemon),
	  offsetof(struct conf, daemon), false },
	{ "provider", "A sender for one app; its id is what clients name.", provider_keys,
	  sizeof(struct conf_provider), offsetof(struct conf, providers), true },
	{ NULL },
};
/* clang-format on */

const struct config conf_table = { "pushd", sections, sizeof(struct conf) };

const char *conf_id(const struct conf *conf)
{
	static char host[ID_MAX + 1];

	if (conf->daemon.id != NULL)
		return conf->daemon.id;
	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	return host;
}

const struct conf_provider *conf_provider(const struct conf *conf, size_t index)
{
	return config_item(&conf->providers, sizeof(struct conf_provider), index);
}

static bool valid_endpoint(const char *endpoint)
{
	static const char scheme[] = "https://";

	if (endpoint == NULL)
		return true;
	return strncmp(endpoint, scheme, sizeof(scheme) - 1) == 0 &&
	       endpoint[sizeof(scheme) - 1] != '\0' &&
	       strpbrk(endpoint + sizeof(scheme) - 1, "/?#@ \t") == NULL;
}

/* 1 to 65535. */
static bool valid_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits > 0 && digits <= 5 ? strtoul(text, NULL, 10) : 0;

	return text[digits] == '\0' && port >= 1 && port <= UINT16_MAX;
}

/* "http://[USER:PASSWORD@]HOST:PORT". */
static bool valid_proxy(const char *proxy)
{
	static const char scheme[] = "http://";
	const char *rest, *host, *port;

	if (proxy == NULL)
		return true;
	if (strncmp(proxy, scheme, sizeof(scheme) - 1) != 0)
		return false;
	rest = proxy + sizeof(scheme) - 1;
	host = strrchr(rest, '@');
	host = host != NULL ? host + 1 : rest;
	port = strrchr(host, ':');
	/* Elsewhere in a URL these end its authority: in a password they are written %XX. */
	return port != NULL && port > host && strpbrk(rest, "/?# \t") == NULL &&
	       valid_port(port + 1);
}

/* Only Apple has two worlds, and a test server for one of them is none for the other. */
static char *find_world_fault(const struct conf_provider *provider)
{
	bool other = provider->try_other_environment;

	if ((other || provider->environment != CONF_PRODUCTION) &&
	    provider_kinds[provider->kind]->endpoints[ENVIRONMENT_SANDBOX] == NULL)
		return mem_dup("environment and try-other-environment are for kind apns");
	if (provider->address != CONF_ADDRESS_TOKEN && provider_kinds[provider->kind]->needs_topic)
		return mem_dup("address is for kind fcm");
	if (other && (provider->endpoint == NULL) != (provider->other_endpoint == NULL))
		return mem_dup("try-other-environment needs other-endpoint where endpoint is set");
	return NULL;
}

/* Goes into a URL or a header as it is. */
static bool plain_name(const char *name)
{
	return name == NULL ||
	       (*name != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789"
	                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._:")] == '\0');
}

/* Certificates name their topic, and what is set later may be one. */
static bool lacks_topic(const struct conf_provider *provider)
{
	return provider_kinds[provider->kind]->needs_topic && provider->topic == NULL &&
	       provider->key_file != NULL;
}

static char *find_fault(const struct conf *conf, const struct conf_provider *provider)
{
	char *why = NULL;

	if (!valid_endpoint(provider->endpoint))
		return mem_printf("endpoint must be https://HOST[:PORT], not %s",
		                  provider->endpoint);
	if (!valid_endpoint(provider->other_endpoint))
		return mem_printf("other-endpoint must be https://HOST[:PORT], not %s",
		                  provider->other_endpoint);
	why = find_world_fault(provider);
	if (why != NULL)
		return why;
	if (!valid_proxy(provider->http_proxy))
		return mem_dup("http-proxy must be http://[USER:PASSWORD@]HOST:PORT");
	if (lacks_topic(provider))
		return mem_dup("topic is needed");
	if (!plain_name(provider->topic) || !plain_name(provider->project_id))
		return mem_dup("topic and project-id are made of letters, digits and -._:");
	if (provider->ca_file != NULL && access(provider->ca_file, R_OK) != 0)
		return mem_printf("ca-file %s: %s", provider->ca_file, strerror(errno));
	credential_file_check(provider, conf->daemon.master_key_file != NULL, &why);
	return why;
}

/* Appends WHY (freed), if there is anything wrong with PROVIDER. */
static int complain(const struct conf_provider *provider, char *why, struct buf *complaints)
{
	if (why == NULL)
		return 0;
	buf_printf(complaints, "[provider %s]: %s\n", provider->id, why);
	free(why);
	return -1;
}

static int check_readable(const char *key, const char *path, struct buf *complaints)
{
	if (path == NULL || access(path, R_OK) == 0)
		return 0;
	buf_printf(complaints, "%s %s: %s\n", key, path, strerror(errno));
	return -1;
}

static int check_public(const struct conf_daemon *daemon, struct buf *complaints)
{
	union net_address address;

	if (daemon->public_listen == NULL)
		return 0;
	if (net_parse(daemon->public_listen, &address) != 0) {
		buf_printf(complaints, "public-listen: %s is no numeric address with a port\n",
		           daemon->public_listen);
		return -1;
	}
	if ((daemon->cert_file == NULL) != (daemon->key_file == NULL)) {
		buf_text(complaints, "cert-file and key-file belong together\n");
		return -1;
	}
	if (check_readable("cert-file", daemon->cert_file, complaints) != 0 ||
	    check_readable("key-file", daemon->key_file, complaints) != 0)
		return -1;
	if (daemon->cert_file == NULL && !daemon->behind_proxy && !net_is_loopback(&address)) {
		buf_text(complaints, "public-listen: without cert-file it must be a loopback "
		                     "address, or behind-proxy must be yes\n");
		return -1;
	}
	return 0;
}

/* It is part of a key and of log lines. */
static int check_id(const char *id, struct buf *complaints)
{
	if (strlen(id) <= ID_MAX && plain_name(id) && strchr(id, ':') == NULL)
		return 0;
	buf_printf(complaints, "id: 1 to %d letters, digits and -._\n", ID_MAX);
	return -1;
}

static int check_storage(const struct conf_daemon *daemon, struct buf *complaints)
{
	if (strcmp(daemon->redis, "none") != 0)
		return 0;
	buf_text(complaints, "redis: devices are kept there, so it can't be none\n");
	return -1;
}

static int check_master_key(const struct conf_daemon *daemon, struct buf *complaints)
{
	char *why;

	if (daemon->master_key_file == NULL || vault_check(daemon->master_key_file, &why) == 0)
		return 0;
	buf_printf(complaints, "%s\n", why);
	free(why);
	return -1;
}

static int check_addresses(const struct conf_daemon *daemon, struct buf *complaints)
{
	union net_address address;
	struct networks trusted = { 0 };
	const char *bad;

	if (net_parse(daemon->api_listen, &address) != 0) {
		buf_printf(complaints, "api-listen: %s is no numeric address with a port\n",
		           daemon->api_listen);
		return -1;
	}
	bad = networks_read(&trusted, (const char *const *)daemon->trusted_proxies);
	networks_release(&trusted);
	if (bad == NULL)
		return 0;
	buf_printf(complaints, "trusted-proxies: %s is no address or network\n", bad);
	return -1;
}

/* A module names one provider. */
static int check_modules(const struct conf *conf, struct buf *complaints)
{
	struct map seen = { 0 };
	int result = 0;

	for (size_t i = 0; i < conf->providers.count; i++) {
		char **module = conf_provider(conf, i)->push_modules;

		for (; module != NULL && *module != NULL; module++) {
			if (map_put(&seen, *module, strlen(*module), *module) == NULL)
				continue;
			buf_printf(complaints, "[provider %s]: push-modules: %s is named twice\n",
			           conf_provider(conf, i)->id, *module);
			result = -1;
		}
	}
	map_release(&seen);
	return result;
}

int conf_check(const void *config, struct buf *complaints)
{
	const struct conf *conf = config;
	int result = check_modules(conf, complaints);

	if (check_id(conf_id(conf), complaints) != 0)
		result = -1;
	if (check_storage(&conf->daemon, complaints) != 0)
		result = -1;
	if (check_addresses(&conf->daemon, complaints) != 0)
		result = -1;
	if (check_public(&conf->daemon, complaints) != 0)
		result = -1;
	if (check_master_key(&conf->daemon, complaints) != 0)
		result = -1;
	for (size_t i = 0; i < conf->providers.count; i++)
		if (complain(conf_provider(conf, i), find_fault(conf, conf_provider(conf, i)),
		             complaints) != 0)
			result = -1;
	return result;
}

/* At the start the listener itself refuses what is wrong; later it keeps what it has. */
static int check_identity(const struct conf_daemon *daemon, struct buf *complaints)
{
	char *why;

	if (daemon->public_listen == NULL || daemon->cert_file == NULL)
		return 0;
	why = identity_check(daemon->cert_file, daemon->key_file);
	if (why == NULL)
		return 0;
	buf_printf(complaints, "%s\n", why);
	free(why);
	return -1;
}

int conf_check_more(const void *config, struct buf *complaints)
{
	const struct conf *conf = config;
	int result = check_identity(&conf->daemon, complaints);

	for (size_t i = 0; i < conf->providers.count; i++) {
		const struct conf_provider *provider = conf_provider(conf, i);
		char *why;

		credential_file_check_all(provider, &why);
		if (complain(provider, why, complaints) != 0)
			result = -1;
	}
	return result;
}
