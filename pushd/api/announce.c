#include "pushd/api/announce.h"

#include "common/base/loop.h"
#include "common/daemon.h"
#include "common/registry.h"
#include "pushd/api/rest.h"
#include "pushd/api/server.h"
#include "pushd/conf.h"
#include "pushd/db.h"
#include "pushd/provider/kinds.h"
#include "pushd/sender/sender.h"

static struct registry_entry entry;
static const struct conf *conf;

static json_t *describe_provider(const struct conf_provider *provider)
{
	const char *command = conf_command(conf, provider);
	json_t *commands = json_array();

	if (command != NULL)
		json_array_append_new(commands, json_string(command));
	return json_pack("{s:s, s:s, s:o}", "id", provider->id, "kind",
	                 provider_kinds[provider->kind]->conf.name, "commands", commands);
}

static json_t *describe(struct registry_entry *ours)
{
	const char *scheme = conf->daemon.cert_file != NULL ? "https://" : "http://";
	json_t *providers = json_array();

	for (size_t i = 0; i < senders_count(); i++) {
		const struct conf_provider *provider = sender_provider(senders_at(i));

		/* A device that registers with it would get no notification. */
		if (!sender_has_credential(senders_at(i)))
			continue;
		json_array_append_new(providers, describe_provider(provider));
	}
	return json_pack(
	        "{s:s, s:I, s:o, s:o, s:o, s:b}", "id", ours->id, "epoch",
	        (json_int_t)ours->epoch_ms, "api",
	        registry_place(ours->redis, conf->daemon.api_url, "http://", server_address()),
	        "public", registry_place(ours->redis, NULL, scheme, rest_address()), "providers",
	        providers, "draining", daemon_draining());
}

static void on_taken(struct registry_entry *ours)
{
	daemon_fail();
}

static int start(void *config)
{
	conf = config;
	entry.describe = describe;
	entry.kind = "push";
	entry.id = daemon_id(conf->daemon.id);
	entry.epoch_ms = loop_wall_ms();
	entry.redis = db_redis();
	entry.token = conf->daemon.api_token;
	entry.token_also = conf->daemon.api_token_also;
	entry.taken = on_taken;
	registry_join(&entry);
	return 0;
}

static void stop(void)
{
	registry_leave(&entry);
}

static void touch(void)
{
	registry_touch(&entry);
}

const struct daemon_module announce_module = { "announce", start, stop, touch };
