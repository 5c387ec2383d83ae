#include "relayd/advertised.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/net/resolve.h"
#include "relayd/conf.h"

struct look_up {
	struct resolve resolve;
	const char *text; /* "host:port", borrowed from the configuration */
};

static struct look_up *look_ups;
static size_t count;

static void on_resolved(struct resolve *resolve, const union net_address *addresses, size_t found,
                        const char *why)
{
	const struct look_up *look_up = container_of(resolve, struct look_up, resolve);

	if (found == 0)
		log_warn("advertised-name-unresolved address=%s why=\"%s\"", look_up->text, why);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	if (conf->advertise == NULL)
		return 0;
	while (conf->advertise[count] != NULL)
		count++;
	look_ups = mem_alloc(count, sizeof(*look_ups));
	for (size_t i = 0; i < count; i++) {
		look_ups[i].text = conf->advertise[i];
		look_ups[i].resolve.done = on_resolved;
		(void)net_split(conf->advertise[i], host, &port); /* checked before */
		resolve_start(&look_ups[i].resolve, host, port);
	}
	return 0;
}

static void stop(void)
{
	for (size_t i = 0; i < count; i++)
		resolve_stop(&look_ups[i].resolve);
	free(look_ups);
	look_ups = NULL;
	count = 0;
}

const struct daemon_module advertised_module = { "advertised", start, stop };
