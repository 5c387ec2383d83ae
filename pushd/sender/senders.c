#include "pushd/sender/senders.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"

static struct sender **senders;
static size_t count;
static struct map by_id;

size_t senders_count(void)
{
	return count;
}

struct sender *senders_at(size_t index)
{
	return senders[index];
}

struct sender *senders_find(const char *id)
{
	return map_get(&by_id, id, strlen(id));
}

void senders_dump(void)
{
	for (size_t i = 0; i < count; i++)
		log_info("provider-state provider=%s state=%s queued=%zu",
		         sender_provider(senders[i])->id, sender_state(senders[i]),
		         sender_queued(senders[i]));
}

static int add_sender(const struct conf_provider *provider, size_t queue_max)
{
	char *why;
	struct sender *sender = sender_new(provider, queue_max, &why);

	if (sender == NULL) {
		log_error("provider-refused provider=%s reason=\"%s\"", provider->id, why);
		free(why);
		return -1;
	}
	senders[count++] = sender;
	map_put(&by_id, provider->id, strlen(provider->id), sender);
	return 0;
}

static int start(void *config)
{
	const struct conf *conf = config;
	size_t providers = conf->providers.count;
	size_t queue_max = (size_t)conf->daemon.in_flight_max;

	/* Where there are several, none of them may take all the room while it stands still. */
	if (providers > 1)
		queue_max = queue_max / 2 + 1;
	sender_metrics();
	senders = mem_alloc(providers + 1, sizeof(struct sender *));
	for (size_t i = 0; i < providers; i++)
		if (add_sender(conf_provider(conf, i), queue_max) != 0)
			return -1;
	return 0;
}

static void stop(void)
{
	while (count > 0)
		sender_free(senders[--count]);
	free(senders);
	senders = NULL;
	map_release(&by_id);
}

const struct daemon_module senders_module = { "senders", start, stop };
