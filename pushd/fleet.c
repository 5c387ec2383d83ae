#include "pushd/fleet.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/registry.h"
#include "pushd/api.h"
#include "pushd/conf.h"
#include "pushd/provider.h"
#include "pushd/public_api.h"
#include "pushd/senders.h"
#include "pushd/storage.h"

static struct registry_entry entry;
static int64_t epoch_ms;
static char *id;

static json_t *describe(struct registry_entry *ours)
{
	json_t *providers = json_array();

	for (size_t i = 0; i < senders_count(); i++) {
		const struct conf_provider *provider = sender_provider(senders_at(i));

		json_array_append_new(providers, json_pack("{s:s, s:s}", "id", provider->id, "kind",
		                                           provider_kinds[provider->kind]->name));
	}
	return json_pack("{s:s, s:I, s:s, s:s?, s:o, s:b}", "id", id, "epoch", (json_int_t)epoch_ms,
	                 "api", api_url(), "public", public_api_url(), "providers", providers,
	                 "draining", daemon_draining());
}

static char *host_name(void)
{
	char name[HOST_NAME_MAX + 1] = "";

	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		return mem_dup("pushd");
	return mem_dup(name);
}

int fleet_start(void *config)
{
	const struct conf *conf = config;

	epoch_ms = loop_wall_ms();
	id = conf->daemon.id != NULL ? mem_dup(conf->daemon.id) : host_name();
	entry.describe = describe;
	entry.kind = "push";
	entry.id = id;
	entry.redis = storage_redis();
	registry_join(&entry);
	return 0;
}

void fleet_stop(void)
{
	registry_leave(&entry);
	free(id);
	id = NULL;
}

void fleet_touch(void)
{
	registry_touch(&entry);
}
