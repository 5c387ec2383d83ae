#include "tests/fakes/xmpp_server/load.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "tests/fakes/xmpp_server/publish.h"

#define BURST 512 /* publishes in one turn of the loop, so that replies are read in between */

static struct server *server;
static struct load_options options;
static bool running;
static uint64_t sent, ended, unlinked, began_ns, ended_ns, endings[ENDINGS];
static uint32_t *latencies; /* microseconds; heap, for options.count */
static uint64_t latency_count;
static struct list_link *next; /* registration to publish for */
static struct task more;
static struct timer tick;

/* The next registration that isn't lost; NULL: there is none. */
static struct registration *take_registration(void)
{
	struct list_link *head = &server->registrations.head, *began = next;

	do {
		struct registration *registration;

		next = next == head ? head->next : next->next;
		if (next == head)
			continue;
		registration = container_of(next, struct registration, link);
		if (!registration->lost)
			return registration;
	} while (next != began);
	return NULL;
}

static void finish_if_over(void)
{
	if (running || ended < sent || ended_ns != 0)
		return;
	ended_ns = loop_now_ns();
	timer_stop(&tick);
}

static void on_done(struct publish *publish, enum ending ending, const struct element *element)
{
	endings[ending]++;
	ended++;
	if (ending <= ENDING_ERROR)
		latencies[latency_count++] = (uint32_t)((loop_now_ns() - publish->sent_ns) / 1000);
	if (running && options.rate == 0)
		task_start(&more);
	finish_if_over();
}

/* One publish; false if there is nothing to send it for or by. */
static bool send_one(void)
{
	struct list_link *before = next;
	struct registration *registration = take_registration();
	struct publish *publish = NULL;

	if (registration != NULL)
		publish = publish_send(server, registration, options.form->text);
	if (publish == NULL) {
		next = before;
		unlinked++;
		return false;
	}
	publish->done = on_done;
	sent++;
	if (sent == options.count)
		running = false;
	return true;
}

/* How many may be sent now. */
static uint64_t due(void)
{
	uint64_t room = options.in_flight - (sent - ended), wanted;

	if (options.rate == 0)
		return room < BURST ? room : BURST;
	wanted = (loop_now_ns() - began_ns) / 1000 * options.rate / 1000000;
	wanted = wanted > sent + unlinked ? wanted - sent - unlinked : 0;
	return wanted < room ? wanted : room;
}

static void on_more(struct task *task)
{
	for (uint64_t left = due(); running && left > 0; left--)
		if (!send_one() && options.rate == 0)
			break;
	if (running && options.rate == 0 && sent - ended < options.in_flight && unlinked == 0)
		task_start(task);
}

/* Paces a load of so many per second, and tries again when there was no connection. */
static void on_tick(struct timer *timer)
{
	task_start(&more);
	if (options.rate == 0)
		unlinked = 0;
	if (running)
		timer_start(timer, options.rate > 0 ? 1 : 100);
}

int load_start(struct server *loaded, const struct load_options *wanted)
{
	if (running || ended < sent || list_empty(&loaded->registrations))
		return -1;
	server = loaded;
	options = *wanted;
	free(latencies);
	latencies = mem_alloc(options.count, sizeof(*latencies));
	sent = ended = unlinked = latency_count = ended_ns = 0;
	for (int i = 0; i < ENDINGS; i++)
		endings[i] = 0;
	next = &server->registrations.head;
	running = true;
	began_ns = loop_now_ns();
	more.run = on_more;
	tick.expired = on_tick;
	on_tick(&tick);
	return 0;
}

void load_stop(void)
{
	running = false;
	finish_if_over();
}

static int compare(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return a < b ? -1 : a > b;
}

static json_t *percentile(double part)
{
	if (latency_count == 0)
		return json_null();
	return json_integer(latencies[(uint64_t)((double)(latency_count - 1) * part)]);
}

json_t *load_report(void)
{
	bool over = !running && ended == sent;
	double seconds = (double)((over ? ended_ns : loop_now_ns()) - began_ns) / 1e9;
	json_t *report = json_object();

	if (over && latency_count > 0)
		qsort(latencies, latency_count, sizeof(*latencies), compare);
	json_object_set_new(report, "running", json_boolean(!over));
	json_object_set_new(report, "sent", json_integer((json_int_t)sent));
	for (int i = 0; i < ENDINGS; i++)
		json_object_set_new(report, ending_names[i], json_integer((json_int_t)endings[i]));
	json_object_set_new(report, "unlinked", json_integer((json_int_t)unlinked));
	json_object_set_new(report, "seconds", json_real(seconds));
	json_object_set_new(report, "per_second",
	                    json_real(seconds > 0 ? (double)ended / seconds : 0));
	json_object_set_new(report, "p50_us", over ? percentile(0.5) : json_null());
	json_object_set_new(report, "p99_us", over ? percentile(0.99) : json_null());
	json_object_set_new(report, "max_us", over ? percentile(1) : json_null());
	return report;
}

void load_release(void)
{
	task_stop(&more);
	timer_stop(&tick);
	free(latencies);
	latencies = NULL;
}
