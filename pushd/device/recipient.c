#include "pushd/device/recipient.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/db.h"
#include "pushd/device/bare_jid.h"
#include "pushd/provider/kinds.h"

#define MODULE_DEFAULT "default" /* the module of a publish that names none */

/* Any server can make such a device, so a node that can't be a token is refused, as in fpush. */
#define TOKEN_MIN 64
#define TOKEN_MAX 512

static const struct conf *conf;
static struct map by_module; /* struct conf_provider by push module */

static int start(void *config)
{
	conf = config;
	for (size_t i = 0; i < conf->providers.count; i++) {
		const struct conf_provider *provider = conf_provider(conf, i);
		char **module = provider->push_modules;

		for (; module != NULL && *module != NULL; module++)
			map_put(&by_module, *module, strlen(*module), (void *)provider);
	}
	return 0;
}

static void stop(void)
{
	map_release(&by_module);
}

struct device_limits recipient_limits(void)
{
	const struct conf_daemon *daemon = &conf->daemon;

	return (struct device_limits){ .per_token = daemon->devices_per_token_max,
		                       .per_owner = daemon->devices_per_owner_max,
		                       .ttl_ms = daemon->device_ttl_ms,
		                       .all = daemon->devices_max,
		                       .per_domain = daemon->devices_per_domain_max,
		                       .domain_rate = daemon->registration_rate,
		                       .domain_burst = daemon->registration_burst };
}

bool recipient_may_register(const char *jid)
{
	char **domains = conf->daemon.registrants;

	if (domains == NULL || domains[0] == NULL)
		return true;
	for (; *domains != NULL; domains++)
		if (strcasecmp(*domains, bare_jid_domain(jid)) == 0)
			return true;
	return false;
}

static const struct conf_provider *provider_of_module(const struct notification *notification)
{
	const char *module = notification->module != NULL ? notification->module : MODULE_DEFAULT;

	return map_get(&by_module, module, strlen(module));
}

static bool could_be_token(const char *node)
{
	size_t len = strlen(node);

	return len >= TOKEN_MIN && len <= TOKEN_MAX && !device_is_node(node);
}

bool recipient_lacks_module(const struct notification *notification)
{
	return could_be_token(notification->node) &&
	       (notification->module != NULL || by_module.count > 0) &&
	       provider_of_module(notification) == NULL;
}

/* The provider of NOTIFICATION's module; NULL where a publish doesn't make a device. */
static const struct conf_provider *find_provider(const struct notification *notification)
{
	if (!could_be_token(notification->node) || !recipient_may_register(notification->domain))
		return NULL;
	return provider_of_module(notification);
}

static void find_or_register(struct device_query *query, const struct notification *notification,
                             const struct conf_provider *provider, const char *token)
{
	struct device_limits limits = recipient_limits();
	char *component = bare_jid_prepare(notification->component);
	char *owner = bare_jid_prepare(notification->domain);

	device_find_or_register(query, db_redis(),
	                        &(struct device){ .component = component,
	                                          .owner = owner,
	                                          .provider = provider->id,
	                                          .token = token,
	                                          .alias = notification->node },
	                        &limits);
	free(owner);
	free(component);
}

void recipient_find(struct device_query *query, const struct notification *notification)
{
	const struct conf_provider *provider = find_provider(notification);
	char *token = mem_dup(notification->node);

	if (provider != NULL && provider_kinds[provider->kind]->accept_token(token))
		find_or_register(query, notification, provider, token);
	else
		device_find(query, db_redis(), notification->node);
	mem_free_secret(token);
}

const struct daemon_module recipient_module = { "recipient", start, stop };
