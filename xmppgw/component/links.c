#include "xmppgw/component/links.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "xmppgw/component/answer.h"
#include "xmppgw/route.h"

static struct link *links;
static const char **domains; /* labels of metrics, in the same order */
static size_t count;

static void exit_when_all_off(void)
{
	for (size_t i = 0; i < count; i++)
		if (links[i].state != LINK_OFF)
			return;
	daemon_exit();
}

/* A link that drains is closed when nothing is owed any more, and the last one ends the process. */
static void on_settled(struct link *link)
{
	if (!link->draining)
		return;
	if (link->answer_count == 0)
		link_close(link);
	if (link->state == LINK_OFF)
		exit_when_all_off();
}

static int start(void *config)
{
	const struct conf *conf = config;

	count = conf->components.count;
	links = mem_alloc(count, sizeof *links);
	domains = mem_alloc(count, sizeof *domains);
	answer_metrics();
	route_metrics();
	for (size_t i = 0; i < count; i++) {
		link_init(&links[i], conf_component(conf, i), i);
		links[i].settled = on_settled;
		domains[i] = links[i].domain;
	}
	link_metrics(domains, count);
	for (size_t i = 0; i < count; i++)
		link_start(&links[i]);
	return 0;
}

size_t links_count(void)
{
	return count;
}

struct link *links_at(size_t index)
{
	return &links[index];
}

void links_drain(void)
{
	for (size_t i = 0; i < count; i++) {
		link_drain(&links[i]);
		on_settled(&links[i]);
	}
}

static void stop(void)
{
	for (size_t i = 0; i < count; i++) {
		link_stop(&links[i]);
		answer_forget(&links[i]);
	}
	link_metrics_release();
	free(links);
	free(domains);
	links = NULL;
	count = 0;
}

bool links_all_up(void)
{
	for (size_t i = 0; i < count; i++)
		if (!link_is_up(&links[i]))
			return false;
	return true;
}

void links_dump(void)
{
	for (size_t i = 0; i < count; i++)
		log_info("link-state component=%s state=%s answers=%zu unsent=%zu", links[i].domain,
		         link_state_name(&links[i]), links[i].answer_count,
		         buf_len(&links[i].output));
}

const struct daemon_module links_module = { "links", start, stop };
