#include "pushd/conf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/config_value.h"

static const char *const empties[] = { "high", "low", NULL };
static const char *const contents[] = { "dialect", "full", "sender", "none", NULL };

#define NO_COMMAND "none" /* in "commands": serves no command, and stands in no other's way */

#define KINDS_MAX 8
#define ENDPOINT_MAX 280
#define PROVIDER_KEYS_MAX 64

/* What conf_add_kind() was given; a kind's struct stands behind those of the kinds before it. */
static struct {
	const struct conf_kind *kinds[KINDS_MAX];
	const char *names[KINDS_MAX + 1]; /* the choices of "kind" */
	size_t places[KINDS_MAX];         /* of its struct, in a provider's */
	size_t count;
	struct config_key keys[PROVIDER_KEYS_MAX + 1]; /* of [provider ID]: all of them */
	size_t key_count;
} added;

#define KEY(name, kind, member) name, kind, offsetof(struct conf_daemon, member)
#define PROVIDER(name, kind, member) name, kind, offsetof(struct conf_provider, member)
/* clang-format off */

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
	{ KEY("api-token", CONFIG_SECRET, api_token), NULL,
	  "Bearer token of the API, of at least 16 bytes.",
	  .least = CONFIG_SECRET_LEAST, .needed = true },
	{ KEY("api-token-also", CONFIG_SECRET, api_token_also), NULL,
	  "Another token that the API accepts, while a fleet changes the first.",
	  .least = CONFIG_SECRET_LEAST },
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
	{ KEY("devices-max", CONFIG_INTEGER, devices_max), "1000000",
	  "Most registrations in Redis; new ones are refused.", 1, 1000000000 },
	{ KEY("devices-per-domain-max", CONFIG_INTEGER, devices_per_domain_max), "100000",
	  "Most registrations of one domain's users; new ones are refused.", 1, 1000000000 },
	{ KEY("registration-rate", CONFIG_INTEGER, registration_rate), "20",
	  "Most new registrations of one domain's users in a second, over all pushds that share "
	  "Redis; 0: any number.", 0, 10000 },
	{ KEY("registration-burst", CONFIG_INTEGER, registration_burst), "200",
	  "How many of them may come at once.", 1, 1000000 },
	{ KEY("device-ttl", CONFIG_DURATION, device_ttl_ms), "90d",
	  "Life of a device whose app or server renews it (dialects p2 and fpush).", 1000,
	  315360000000 },
	{ KEY("domain-rate", CONFIG_INTEGER, domain_rate), "1000",
	  "Most notifications that one domain may publish here in a second; 0: any number.", 0,
	  1000000 },
	{ KEY("domain-burst", CONFIG_INTEGER, domain_burst), "1000",
	  "How many of them may come at once.", 1, 1000000 },
	{ KEY("master-key-file", CONFIG_STRING, master_key_file), NULL,
	  "32 bytes as 64 hex digits: seals credentials in Redis, so that they can be set there "
	  "and shared." },
	{ KEY("master-key-file-also", CONFIG_STRING, master_key_file_also), NULL,
	  "Another key, of the same form, that opens what was sealed with it, while a fleet "
	  "changes the first; what it opens is sealed anew with the first." },
	{ KEY("in-flight-max", CONFIG_INTEGER, in_flight_max), "10000",
	  "Most notifications that are being worked on; more are answered unavailable.", 1,
	  1000000 },
	{ KEY("answer-within", CONFIG_DURATION, answer_within_ms), "2s",
	  "What has no verdict by then is stored and answered queued; it counts from when the "
	  "device was found.", 50, 60000 },
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

/* Of all kinds; those of each follow them. */
static const struct config_key provider_keys[] = {
	{ PROVIDER("kind", CONFIG_CHOICE, kind), NULL, "Which push service it is.",
	  .choices = added.names, .needed = true },
	{ PROVIDER("push-modules", CONFIG_LIST, push_modules), NULL,
	  "Values of pushModule whose publishes name this provider's tokens; none by default." },
	{ PROVIDER("commands", CONFIG_LIST, commands), NULL,
	  "Commands by which apps register here that name no provider: register-push-apns or "
	  "register-push-fcm, as its kind is. By default that of the only provider of its kind; of "
	  "several one must say so, or all but one that they have none." },
	{ PROVIDER("content", CONFIG_CHOICE, content), "dialect",
	  "How much of a message its apps are told in clear: full, sender (no body), none, or "
	  "what the dialect is for, which is full for tigase, none for p2 and fpush. What is "
	  "encrypted for the app always goes.", .choices = contents },
	{ PROVIDER("endpoint", CONFIG_STRING, endpoint), NULL,
	  "https://HOST[:PORT] to send to; the service's own by default." },
	{ PROVIDER("http-proxy", CONFIG_SECRET, http_proxy), NULL,
	  "http://[USER:PASSWORD@]HOST:PORT to reach the provider through (CONNECT)." },
	{ PROVIDER("rate-max", CONFIG_INTEGER, rate_max), "0",
	  "Most requests in a second from this process; 0: any number.", 0, 1000000 },
	{ PROVIDER("ca-file", CONFIG_STRING, ca_file), NULL,
	  "Certificates (PEM) to trust instead of the system's." },
	{ PROVIDER("pool-size", CONFIG_INTEGER, pool_size), "1",
	  "Connections, and as many more for devices that nothing was sent to yet.", 1, 64 },
	{ PROVIDER("empty", CONFIG_CHOICE, empty), "high",
	  "Priority of a notification without any content.", .choices = empties },
	{ PROVIDER("expiry", CONFIG_DURATION, expiry_ms), "28d",
	  "How long the provider keeps a notification for a device that is away.", 0, 2419200000 },
	{ PROVIDER("interval", CONFIG_DURATION, interval_ms), "2s",
	  "Least time between two notifications for one device; the newest waits. 0: none.", 0,
	  3600000 },
	{ NULL },
};

static struct config_section sections[] = {
	{ "daemon", "The push daemon.", daemon_keys, sizeof(struct conf_daemon),
	  offsetof(struct conf, daemon), false },
	{ "provider", "A sender for one app; its id is what clients name.", added.keys,
	  sizeof(struct conf_provider), offsetof(struct conf, providers), true },
	{ NULL },
};
/* clang-format on */

const struct config conf_table = { "pushd", sections, sizeof(struct conf) };

/* ---- kinds ---- */

static struct config_section *provider_section(void)
{
	return &sections[ARRAY_LEN(sections) - 2];
}

static void add_keys(const struct config_key *keys, size_t place)
{
	for (; keys->name != NULL; keys++) {
		assert(added.key_count < PROVIDER_KEYS_MAX);
		added.keys[added.key_count] = *keys;
		added.keys[added.key_count++].offset += place;
	}
}

void conf_add_kind(const struct conf_kind *kind)
{
	struct config_section *section = provider_section();

	assert(added.count < KINDS_MAX);
	if (added.count == 0)
		add_keys(provider_keys, 0);
	added.kinds[added.count] = kind;
	added.names[added.count] = kind->name;
	added.places[added.count++] = section->size;
	add_keys(kind->keys, section->size);
	section->size += (kind->size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
}

const void *conf_own(const struct conf_provider *provider)
{
	return (const char *)provider + added.places[provider->kind];
}

/* The first of KIND's keys that isn't in OWN what it is when it isn't given; NULL: none. */
static const struct config_key *find_set(const struct conf_kind *kind, const void *own)
{
	void *unset = mem_alloc(1, kind->size);
	const struct config_key *found = NULL;

	for (const struct config_key *key = kind->keys; key->name != NULL && found == NULL; key++) {
		if (key->retired != NULL)
			continue;
		if (key->fallback != NULL || key->kind == CONFIG_LIST)
			free(config_value_parse(key, unset,
			                        key->fallback != NULL ? key->fallback : ""));
		if (!config_value_equal(key, own, unset))
			found = key;
		config_value_release(key, unset);
	}
	free(unset);
	return found;
}

char *conf_foreign_key(const struct conf_provider *provider)
{
	for (size_t i = 0; i < added.count; i++) {
		const struct conf_kind *kind = added.kinds[i];
		const void *own = (const char *)provider + added.places[i];
		const struct config_key *key =
		        i != (size_t)provider->kind ? find_set(kind, own) : NULL;

		if (key != NULL)
			return mem_printf("%s is for kind %s", key->name, kind->name);
	}
	return NULL;
}

/* ---- reading it ---- */

const struct conf_provider *conf_provider(const struct conf *conf, size_t index)
{
	return config_item(&conf->providers, provider_section()->size, index);
}

size_t conf_provider_index(const struct conf *conf, const struct conf_provider *provider)
{
	size_t index =
	        ((uintptr_t)provider - (uintptr_t)conf->providers.items) / provider_section()->size;

	return index < conf->providers.count ? index : conf->providers.count;
}

/* ---- which provider serves a command ---- */

static const struct conf_kind *kind_of(const struct conf_provider *provider)
{
	return added.kinds[provider->kind];
}

static bool is_set(char **list)
{
	return list != NULL && list[0] != NULL;
}

/* True if PROVIDER's key names COMMAND. */
static bool names_command(const struct conf_provider *provider, const char *command)
{
	char **name = provider->commands;

	for (; name != NULL && *name != NULL; name++)
		if (strcmp(*name, command) == 0)
			return true;
	return false;
}

/* The provider of KIND before PROVIDER (NULL: the last one) that names COMMAND, or has no key. */
static const struct conf_provider *
find_before(const struct conf *conf, const struct conf_provider *provider, int kind, bool names)
{
	size_t i = provider == NULL ? conf->providers.count : conf_provider_index(conf, provider);

	while (i-- > 0) {
		const struct conf_provider *other = conf_provider(conf, i);

		if (other->kind == kind && (names ? names_command(other, added.kinds[kind]->command)
		                                  : !is_set(other->commands)))
			return other;
	}
	return NULL;
}

const char *conf_command(const struct conf *conf, const struct conf_provider *provider)
{
	const char *command = kind_of(provider)->command;

	if (command == NULL)
		return NULL;
	if (names_command(provider, command))
		return command;
	if (is_set(provider->commands) || find_before(conf, NULL, provider->kind, true) != NULL)
		return NULL;
	return command;
}

char *conf_check_commands(const struct conf *conf, const struct conf_provider *provider)
{
	const char *command = kind_of(provider)->command;
	char **name = provider->commands;
	const struct conf_provider *other;

	for (; name != NULL && *name != NULL; name++)
		if (strcmp(*name, NO_COMMAND) != 0 &&
		    (command == NULL || strcmp(*name, command) != 0))
			return mem_printf("commands: %s has none but %s, not %s",
			                  kind_of(provider)->name,
			                  command != NULL ? command : NO_COMMAND, *name);
	if (command == NULL)
		return NULL;
	other = find_before(conf, provider, provider->kind, names_command(provider, command));
	if (names_command(provider, command) && other != NULL)
		return mem_printf("commands: %s is served by [provider %s]", command, other->id);
	if (!is_set(provider->commands) && other != NULL &&
	    find_before(conf, NULL, provider->kind, true) == NULL)
		return mem_printf("commands: this one or [provider %s] must name %s, since both "
		                  "are of kind %s (none: it serves no command)",
		                  other->id, command, kind_of(provider)->name);
	return NULL;
}

/* ---- what values must look like ---- */

bool conf_plain_name(const char *name)
{
	return name == NULL ||
	       (*name != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789"
	                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._:")] == '\0');
}

bool conf_valid_endpoint(const char *endpoint)
{
	static const char scheme[] = "https://";

	if (endpoint == NULL)
		return true;
	return strncmp(endpoint, scheme, sizeof(scheme) - 1) == 0 &&
	       endpoint[sizeof(scheme) - 1] != '\0' && strlen(endpoint) <= ENDPOINT_MAX &&
	       strpbrk(endpoint + sizeof(scheme) - 1, "/?#@ \t") == NULL;
}
