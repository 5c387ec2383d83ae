#include "xmppgw/backend/backend.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/registry.h"
#include "xmppgw/conf.h"
#include "xmppgw/db.h"

#define AVOID_MS 1000
#define CANDIDATES_MAX 256 /* of a recommendation; more relays than these are passed over */

/* All backends of one kind. */
struct kind {
	const char *name;    /* in the registry */
	const char *url_key; /* where its record says how to call it */
	enum db db;          /* where the registry is */
	struct list all;     /* struct backend */
	struct registry_watch watch;
	bool known;
};

static struct kind kinds[] = {
	[BACKEND_RELAY] = { .name = "relay", .url_key = "control", .db = DB_RELAY },
	[BACKEND_PUSH] = { .name = "push", .url_key = "api", .db = DB_PUSH },
};

static void (*on_push_change)(void);

/* ---- one backend ---- */

static void free_backend(struct backend *backend)
{
	list_remove(&backend->link);
	json_decref(backend->record);
	free(backend->id);
	free(backend);
}

static void release_if_unused(struct backend *backend)
{
	if (!backend->listed && backend->users == 0)
		free_backend(backend);
}

void backend_retain(struct backend *backend)
{
	backend->users++;
}

void backend_release(struct backend *backend)
{
	backend->users--;
	release_if_unused(backend);
}

void backend_avoid(struct backend *backend)
{
	backend->avoided_until_ms = loop_now_ms() + AVOID_MS;
}

bool backend_available(const struct backend *backend)
{
	return backend->listed && !backend->draining &&
	       (backend->avoided_until_ms == 0 || backend->avoided_until_ms <= loop_now_ms());
}

static void take_record(struct backend *backend, const struct kind *kind, json_t *record)
{
	json_decref(backend->record);
	backend->record = json_incref(record);
	backend->url = json_string_value(json_object_get(record, kind->url_key));
	backend->draining = json_is_true(json_object_get(record, "draining"));
	backend->full = json_is_true(json_object_get(record, "full"));
	backend->listed = true;
	backend->pending /= 2; /* the record shows the streams of earlier recommendations */
}

static struct backend *add_backend(struct kind *kind, const char *id)
{
	struct backend *backend = mem_alloc(1, sizeof(*backend));

	backend->id = mem_dup(id);
	list_init(&backend->waiting);
	list_append(&kind->all, &backend->link);
	return backend;
}

/* ---- what the registry says ---- */

static struct backend *find_backend(const struct kind *kind, const char *id)
{
	list_for_each (link, &kind->all) {
		struct backend *backend = container_of(link, struct backend, link);

		if (strcmp(backend->id, id) == 0)
			return backend;
	}
	return NULL;
}

static void update_backend(struct kind *kind, const char *id, json_t *record)
{
	struct backend *backend = find_backend(kind, id);

	if (json_string_value(json_object_get(record, kind->url_key)) == NULL) {
		log_debug("backend-without-url kind=%s id=%s", kind->name, id);
		return;
	}
	if (backend == NULL)
		backend = add_backend(kind, id);
	if (!backend->listed)
		log_info("backend-found kind=%s id=%s url=%s", kind->name, id,
		         json_string_value(json_object_get(record, kind->url_key)));
	take_record(backend, kind, record);
}

static void drop_missing(struct kind *kind, const json_t *records)
{
	list_for_each (link, &kind->all) {
		struct backend *backend = container_of(link, struct backend, link);

		if (!backend->listed || json_object_get(records, backend->id) != NULL)
			continue;
		log_info("backend-gone kind=%s id=%s", kind->name, backend->id);
		backend->listed = false;
		release_if_unused(backend);
	}
}

static void on_records(struct registry_watch *watch, const json_t *records)
{
	struct kind *kind = container_of(watch, struct kind, watch);
	const char *id;
	json_t *record;

	kind->known = true;
	json_object_foreach ((json_t *)records, id, record)
		update_backend(kind, id, record);
	drop_missing(kind, records);
	if (kind == &kinds[BACKEND_PUSH] && on_push_change != NULL)
		on_push_change();
}

/* ---- choosing ---- */

bool backend_known(enum backend_kind kind)
{
	return kinds[kind].known;
}

void backend_on_change(void (*changed)(void))
{
	on_push_change = changed;
}

static struct backend *listed_from(const struct kind *kind, struct list_link *link)
{
	for (; link != &kind->all.head; link = link->next) {
		struct backend *backend = container_of(link, struct backend, link);

		if (backend->listed)
			return backend;
	}
	return NULL;
}

struct backend *backend_first(enum backend_kind kind)
{
	return listed_from(&kinds[kind], kinds[kind].all.head.next);
}

struct backend *backend_next(const struct backend *backend, enum backend_kind kind)
{
	return listed_from(&kinds[kind], backend->link.next);
}

struct backend *backend_find(enum backend_kind kind, const char *id)
{
	struct backend *backend = find_backend(&kinds[kind], id);

	return backend != NULL && backend->listed ? backend : NULL;
}

/* Reservoir sampling: the Nth one seen is taken with probability 1/N, so all are equally likely. */
struct backend *backend_any(enum backend_kind kind)
{
	struct backend *chosen = backend_first(kind), *backend = chosen;
	uint32_t seen = 0;

	for (; backend != NULL; backend = backend_next(backend, kind))
		if (backend_available(backend) && backoff_random() % ++seen == 0)
			chosen = backend;
	return chosen;
}

static int64_t count_streams(const struct backend *relay)
{
	return json_integer_value(json_object_get(relay->record, "streams")) + relay->pending;
}

static bool has_address(const struct backend *relay)
{
	return json_array_size(json_object_get(relay->record, "advertise")) > 0;
}

struct backend *backend_recommend(bool *full)
{
	struct backend *candidates[CANDIDATES_MAX], *one, *other;
	uint32_t count = 0;

	*full = false;
	list_for_each (link, &kinds[BACKEND_RELAY].all) {
		struct backend *relay = container_of(link, struct backend, link);

		if (!backend_available(relay) || !has_address(relay))
			continue;
		if (relay->full)
			*full = true;
		else if (count < CANDIDATES_MAX)
			candidates[count++] = relay;
	}
	if (count == 0)
		return NULL;
	one = candidates[backoff_random() % count];
	other = candidates[backoff_random() % count];
	if (count_streams(other) < count_streams(one))
		one = other;
	one->pending++;
	return one;
}

static bool is_listed(const char *const *ids, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(ids[i], id) == 0)
			return true;
	return false;
}

size_t backend_providers(const char **ids, size_t most)
{
	struct backend *push = backend_first(BACKEND_PUSH);
	size_t count = 0, i;
	json_t *provider;

	for (; push != NULL; push = backend_next(push, BACKEND_PUSH)) {
		json_array_foreach (json_object_get(push->record, "providers"), i, provider) {
			const char *id = json_string_value(json_object_get(provider, "id"));

			if (id != NULL && count < most && !is_listed(ids, count, id))
				ids[count++] = id;
		}
	}
	return count;
}

static bool serves(const json_t *provider, const char *command)
{
	const json_t *name;
	size_t i;

	json_array_foreach (json_object_get(provider, "commands"), i, name)
		if (json_is_string(name) && strcmp(json_string_value(name), command) == 0)
			return true;
	return false;
}

const char *backend_provider_for(const char *command)
{
	struct backend *push = backend_first(BACKEND_PUSH);
	json_t *provider;
	size_t i;

	for (; push != NULL; push = backend_next(push, BACKEND_PUSH))
		json_array_foreach (json_object_get(push->record, "providers"), i, provider)
			if (serves(provider, command))
				return json_string_value(json_object_get(provider, "id"));
	return NULL;
}

/* FNV-1a over id, a NUL and key, with a finish that spreads every bit (splitmix64). */
static uint64_t weigh(const char *id, const char *key)
{
	uint64_t hash = 0xcbf29ce484222325;

	do
		hash = (hash ^ (unsigned char)*id) * 0x100000001b3;
	while (*id++ != '\0');
	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
	return hash ^ (hash >> 31);
}

struct backend *backend_for(const char *key)
{
	struct backend *best = NULL;
	uint64_t best_weight = 0;

	list_for_each (link, &kinds[BACKEND_PUSH].all) {
		struct backend *push = container_of(link, struct backend, link);
		uint64_t weight;

		if (!backend_available(push))
			continue;
		weight = weigh(push->id, key);
		if (best == NULL || weight > best_weight) {
			best = push;
			best_weight = weight;
		}
	}
	return best;
}

/* ---- start and stop ---- */

/* Without Redis the relays are those of the configuration, described as the registry would. */
static void add_configured(const struct conf *conf)
{
	struct kind *kind = &kinds[BACKEND_RELAY];

	for (size_t i = 0; i < conf->relays.count; i++) {
		const struct conf_relay *relay = conf_relay(conf, i);
		json_t *addresses = json_array();
		json_t *record;

		for (char **address = relay->advertise; *address != NULL; address++)
			json_array_append_new(addresses, json_string(*address));
		record = json_pack("{s:s, s:s, s:o}", "id", relay->id, "control", relay->control,
		                   "advertise", addresses);
		update_backend(kind, relay->id, record);
		json_decref(record);
	}
	kind->known = true;
}

static void start_watch(struct kind *kind, const char *token)
{
	kind->watch = (struct registry_watch){ .changed = on_records,
		                               .kind = kind->name,
		                               .redis = db_redis(kind->db),
		                               .token = token };
	registry_watch_start(&kind->watch);
}

static int start(void *config)
{
	const struct conf *conf = config;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		list_init(&kinds[i].all);
	if (!conf_with_redis(conf)) {
		add_configured(conf);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		start_watch(&kinds[i], conf->daemon.api_token);
	return 0;
}

static void stop(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		registry_watch_stop(&kinds[i].watch);
		list_for_each (link, &kinds[i].all)
			free_backend(container_of(link, struct backend, link));
	}
}

const struct daemon_module backend_module = { "backends", start, stop };
