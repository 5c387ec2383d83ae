#include "xmppgw/component/components.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/component/standby.h"

struct component {
	struct list_link link; /* among those that are configured, or those that leave */
	struct stream stream;
	struct standby standby; /* with WITH_LEASE; else the stream connects by itself */
	bool with_lease;
	int64_t *up; /* its number of the metric; NULL once it leaves */
	/* Its stream is drained, and then: */
	bool leaves;         /* it is freed */
	bool begins_anew;    /* its stream is started again */
	struct task drained; /* frees or starts it, after the stream's callback has returned */
};

static struct list configured, leaving; /* struct component */
static const char *gateway;             /* this process's id */
static void (*stanza_handler)(struct stream *stream, enum xml_event event,
                              const struct xml *element);
static void (*on_came)(struct stream *stream), (*on_left)(struct stream *stream);

static struct metric up_metric = {
	.name = "outrigger_xmppgw_stream_up",
	.help = "1 while the component's stream is up.",
	.kind = METRIC_GAUGE,
	.label = "component",
};
static const char **up_domains; /* the labels */

static struct component *component_of(struct list_link *link)
{
	return container_of(link, struct component, link);
}

/* ---- the metric ---- */

/* Gives each configured component its series. */
static void list_series(void)
{
	size_t count = 0;

	list_for_each (link, &configured)
		count++;
	free(up_metric.numbers);
	free(up_domains);
	up_metric.numbers = mem_alloc(count, sizeof(*up_metric.numbers));
	up_domains = mem_alloc(count, sizeof(*up_domains));
	count = 0;
	list_for_each (link, &configured) {
		struct component *component = component_of(link);

		component->up = &up_metric.numbers[count];
		*component->up = stream_is_up(&component->stream);
		up_domains[count++] = component->stream.domain;
	}
	up_metric.values = up_domains;
	up_metric.series = count;
}

/* ---- one component ---- */

/* Nothing of COMPONENT goes on: its stream is off and its lease was given back. */
static bool has_ended(const struct component *component)
{
	return component->stream.state == STREAM_OFF &&
	       (!component->with_lease || component->standby.step == STANDBY_OVER);
}

/*
 * Sees to those of LIST that have ended; true if all have. IQs that outlived their stream still
 * point at it, so it isn't freed before the last of them.
 */
static bool settle(struct list *list)
{
	bool all = true;

	list_for_each (link, list) {
		struct component *component = component_of(link);

		if (!has_ended(component))
			all = false;
		else if (component->begins_anew ||
		         (component->leaves && component->stream.iq_count == 0))
			task_start(&component->drained);
	}
	return all;
}

static void settle_all(void)
{
	bool all = settle(&configured);

	if (settle(&leaving) && all && daemon_draining())
		daemon_exit();
}

/* A draining stream is closed once it owes no answer, and the last one ends a draining process. */
static void on_change(struct stream *stream)
{
	struct component *component = container_of(stream, struct component, stream);

	if (component->up != NULL)
		*component->up = stream_is_up(stream);
	if (stream->draining)
		stream_drain(stream);
	else if (stream->yielding)
		stream_yield(stream);
	standby_on_change(&component->standby);
	if (stream->state == STREAM_OFF)
		settle_all();
}

static void start_component(struct component *component)
{
	component->standby = (struct standby){ 0 };
	component->with_lease = component->stream.conf->standby;
	stream_start(&component->stream);
	if (component->with_lease)
		standby_start(&component->standby, &component->stream, gateway, settle_all);
}

static void free_component(struct component *component)
{
	task_stop(&component->drained);
	standby_stop(&component->standby);
	stream_stop(&component->stream);
	acl_release(&component->stream.acl);
	list_remove(&component->link);
	free(component);
}

static void on_drained(struct task *task)
{
	struct component *component = container_of(task, struct component, drained);

	if (component->leaves) {
		free_component(component);
	} else if (component->begins_anew && !daemon_draining()) {
		component->begins_anew = false;
		standby_stop(&component->standby);
		start_component(component);
	}
}

static void drain(struct component *component)
{
	stream_drain(&component->stream);
	on_change(&component->stream);
}

/* Servers' own examples have short ones, so it is no error. */
static void warn_short_secret(const struct conf_component *conf)
{
	if (conf->secret != NULL && strlen(conf->secret) < CONFIG_SECRET_LEAST)
		log_warn("component-secret-short component=%s hint=\"whoever guesses it speaks for "
		         "the component: use at least %d bytes\"",
		         conf_domain(conf), CONFIG_SECRET_LEAST);
}

static struct component *add(const struct conf_component *conf)
{
	struct component *component = mem_alloc(1, sizeof(*component));

	warn_short_secret(conf);
	component->drained.run = on_drained;
	stream_init(&component->stream, conf);
	acl_init(&component->stream.acl, conf);
	component->stream.on_stanza = stanza_handler;
	component->stream.on_change = on_change;
	list_append(&configured, &component->link);
	return component;
}

static void take_leave(struct component *component)
{
	log_info("component-removed component=%s", component->stream.domain);
	list_remove(&component->link);
	list_append(&leaving, &component->link);
	component->up = NULL;
	component->leaves = true;
	component->begins_anew = false;
	if (on_left != NULL)
		on_left(&component->stream);
	drain(component);
}

/* COMPONENT has the section CONF now. */
static void change(struct component *component, const struct conf_component *conf)
{
	struct stream *stream = &component->stream;
	bool same_link = conf_same_link(stream->conf, conf);

	acl_release(&stream->acl);
	acl_init(&stream->acl, conf);
	stream_configure(stream, conf);
	if (same_link)
		return;
	warn_short_secret(conf);
	log_info("component-moved component=%s server=%s", stream->domain, conf->server);
	if (on_left != NULL)
		on_left(stream);
	if (on_came != NULL)
		on_came(stream);
	component->begins_anew = true;
	drain(component);
}

/* ---- all of them ---- */

void components_on_stanza(void (*on_stanza)(struct stream *stream, enum xml_event event,
                                            const struct xml *element))
{
	stanza_handler = on_stanza;
}

void components_watch(void (*came)(struct stream *stream), void (*left)(struct stream *stream))
{
	on_came = came;
	on_left = left;
}

static int start(void *config)
{
	const struct conf *conf = config;
	gateway = daemon_id(conf->daemon.id);
	list_init(&configured);
	list_init(&leaving);
	for (size_t i = 0; i < conf->components.count; i++)
		add(conf_component(conf, i));
	list_series();
	metrics_add(&up_metric);
	metrics_add(&stream_ends_metric);
	list_for_each (link, &configured)
		start_component(component_of(link));
	return 0;
}

struct stream *components_next(struct stream *previous)
{
	struct list_link *next = configured.head.next;

	if (previous != NULL)
		next = container_of(previous, struct component, stream)->link.next;
	return next == &configured.head || next == NULL ? NULL : &component_of(next)->stream;
}

static struct component *find_component(const char *domain)
{
	list_for_each (link, &configured)
		if (strcmp(component_of(link)->stream.domain, domain) == 0)
			return component_of(link);
	return NULL;
}

/* The section of DOMAIN, prepared, or NULL. */
static const struct conf_component *find_section(const struct conf *conf, const char *domain)
{
	char prepared[JID_PART_MAX + 1];

	for (size_t i = 0; i < conf->components.count; i++)
		if (jid_domain(conf_domain(conf_component(conf, i)), prepared) == 0 &&
		    strcmp(prepared, domain) == 0)
			return conf_component(conf, i);
	return NULL;
}

static void add_if_new(const struct conf_component *conf)
{
	char domain[JID_PART_MAX + 1];
	struct component *component;

	if (jid_domain(conf_domain(conf), domain) != 0 || find_component(domain) != NULL)
		return;
	component = add(conf);
	log_info("component-added component=%s", domain);
	start_component(component);
	if (on_came != NULL)
		on_came(&component->stream);
}

void components_reload(void *config)
{
	const struct conf *conf = config;
	struct list_link *link = configured.head.next, *next;

	for (; link != &configured.head; link = next) {
		struct component *component = component_of(link);
		const struct conf_component *section = find_section(conf, component->stream.domain);

		next = link->next;
		if (section == NULL)
			take_leave(component);
		else
			change(component, section);
	}
	for (size_t i = 0; i < conf->components.count; i++)
		add_if_new(conf_component(conf, i));
	list_series();
}

static void drain_all(void)
{
	list_for_each (link, &configured)
		drain(component_of(link));
	settle_all();
}

static void free_all(struct list *list)
{
	struct list_link *first;

	while ((first = list_first(list)) != NULL)
		free_component(component_of(first));
}

static void stop(void)
{
	free_all(&configured);
	free_all(&leaving);
	free(up_metric.numbers);
	up_metric.numbers = NULL;
	up_metric.series = 0;
	free(up_domains);
	up_domains = NULL;
}

static bool is_served(const struct component *component)
{
	return stream_is_up(&component->stream) ||
	       (component->standby.step == STANDBY_TAKE && component->standby.covered);
}

bool components_all_up(void)
{
	list_for_each (link, &configured)
		if (!is_served(component_of(link)))
			return false;
	return true;
}

static void dump(const struct list *list)
{
	list_for_each (link, list) {
		const struct component *component = component_of(link);
		const struct stream *stream = &component->stream;

		log_info("stream-state component=%s state=%s lease=%s iqs=%zu unsent=%zu",
		         stream->domain, stream_state_name(stream),
		         component->with_lease ? standby_step_names[component->standby.step]
		                               : "none",
		         stream->iq_count, stream_unsent(stream));
	}
}

void components_dump(void)
{
	dump(&configured);
	dump(&leaving);
}

const struct daemon_module components_module = { "components", start, stop, drain_all };
