#include "xmppgw/component/components.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/component/standby.h"

static struct stream *streams;
static struct standby *standbys; /* of each stream; not started: it connects by itself */
static size_t stream_count;
static void (*stanza_handler)(struct stream *stream, enum xml_event event,
                              const struct xml *element);

static struct metric up_metric = {
	.name = "outrigger_xmppgw_stream_up",
	.help = "1 while the component's stream is up.",
	.kind = METRIC_GAUGE,
	.label = "component",
};
static const char **up_domains; /* the labels, in the order of the streams */

static void exit_when_all_off(void)
{
	for (size_t i = 0; i < stream_count; i++)
		if (streams[i].state != STREAM_OFF ||
		    (streams[i].conf->standby && standbys[i].step != STANDBY_OVER))
			return;
	daemon_exit();
}

/* A draining stream is closed once it owes no answer, and the last one ends the process. */
static void on_change(struct stream *stream)
{
	up_metric.numbers[stream - streams] = stream_is_up(stream);
	if (stream->draining)
		stream_drain(stream);
	else if (stream->yielding)
		stream_yield(stream);
	standby_on_change(&standbys[stream - streams]);
	if (stream->state == STREAM_OFF)
		exit_when_all_off();
}

void components_on_stanza(void (*on_stanza)(struct stream *stream, enum xml_event event,
                                            const struct xml *element))
{
	stanza_handler = on_stanza;
}

static void start_stream(size_t i, const char *gateway)
{
	stream_start(&streams[i]);
	if (streams[i].conf->standby)
		standby_start(&standbys[i], &streams[i], gateway, exit_when_all_off);
}

static int start(void *config)
{
	const struct conf *conf = config;

	stream_count = conf->components.count;
	streams = mem_alloc(stream_count, sizeof(*streams));
	standbys = mem_alloc(stream_count, sizeof(*standbys));
	up_domains = mem_alloc(stream_count, sizeof(*up_domains));
	for (size_t i = 0; i < stream_count; i++) {
		stream_init(&streams[i], conf_component(conf, i));
		streams[i].on_stanza = stanza_handler;
		streams[i].on_change = on_change;
		up_domains[i] = streams[i].domain;
	}
	up_metric.values = up_domains;
	up_metric.series = stream_count;
	up_metric.numbers = mem_alloc(stream_count, sizeof(*up_metric.numbers));
	metrics_add(&up_metric);
	metrics_add(&stream_ends_metric);
	for (size_t i = 0; i < stream_count; i++)
		start_stream(i, daemon_id(conf->daemon.id));
	return 0;
}

struct stream *components_next(struct stream *previous)
{
	struct stream *next = previous == NULL ? streams : previous + 1;

	return next < streams + stream_count ? next : NULL;
}

static void drain(void)
{
	for (size_t i = 0; i < stream_count; i++) {
		stream_drain(&streams[i]);
		on_change(&streams[i]);
	}
}

static void stop(void)
{
	for (size_t i = 0; i < stream_count; i++) {
		standby_stop(&standbys[i]);
		stream_stop(&streams[i]);
	}
	free(standbys);
	free(up_metric.numbers);
	up_metric.numbers = NULL;
	free(up_domains);
	free(streams);
	streams = NULL;
	stream_count = 0;
}

bool components_all_up(void)
{
	for (size_t i = 0; i < stream_count; i++)
		if (!stream_is_up(&streams[i]) &&
		    !(standbys[i].step == STANDBY_TAKE && standbys[i].covered))
			return false;
	return true;
}

void components_dump(void)
{
	for (size_t i = 0; i < stream_count; i++)
		log_info("stream-state component=%s state=%s lease=%s iqs=%zu unsent=%zu",
		         streams[i].domain, stream_state_name(&streams[i]),
		         streams[i].conf->standby ? standby_step_names[standbys[i].step] : "none",
		         streams[i].iq_count, stream_unsent(&streams[i]));
}

const struct daemon_module components_module = { "components", start, stop, drain };
