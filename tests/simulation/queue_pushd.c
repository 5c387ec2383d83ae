#include "tests/simulation/queue_pushd.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/mem.h"
#include "common/daemon.h"
#include "pushd/db.h"
#include "pushd/delivery/history.h"
#include "pushd/delivery/redeliver.h"
#include "pushd/delivery/refusal.h"
#include "pushd/device/recipient.h"
#include "pushd/device/sweep.h"
#include "pushd/provider/counters.h"
#include "pushd/queue/queue.h"
#include "tests/simulation/simulation.h"

#define LOOK_MS 200 /* these three as api/notifications.c has them */
#define SLACK_MS 50
#define QUEUEING_MS 500

static const struct pushd_watch *watch;

void pushd_watch(const struct pushd_watch *new_watch)
{
	watch = new_watch;
}

static struct pushd *current(void)
{
	return container_of(process_current(), struct pushd, process);
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

/* ---- what stands for the rest of the daemon ---- */

bool __wrap_daemon_draining(void);
void __wrap_daemon_fail(void);

bool __wrap_daemon_draining(void)
{
	return current()->draining;
}

void __wrap_daemon_fail(void)
{
	simulation_fail("%s gives up", current()->name);
}

/* ---- the sender ---- */

struct sender *senders_find(const char *id)
{
	struct pushd *pushd = current();

	for (size_t i = 0; i < pushd->conf.providers.count; i++)
		if (strcmp(pushd->providers[i].id, id) == 0)
			return &pushd->senders[i];
	return NULL;
}

size_t senders_count(void)
{
	return current()->conf.providers.count;
}

struct sender *senders_at(size_t index)
{
	return &current()->senders[index];
}

const struct conf_provider *sender_provider(const struct sender *sender)
{
	return sender->provider;
}

enum sender_refusal sender_refusal(const struct sender *sender)
{
	return sender->refusal;
}

unsigned sender_room(const struct sender *sender)
{
	return sender->refusal == SENDER_TAKES ? sender->room : 0;
}

size_t sender_queued(const struct sender *sender)
{
	return sender->full ? 1 : 0;
}

bool sender_trusted(const struct sender *sender)
{
	return sender->trusted;
}

/* Each notification has its number as its module. */
static unsigned number_of(const struct notification *notification)
{
	return notification->module != NULL ? (unsigned)strtoul(notification->module, NULL, 10) : 0;
}

bool sender_submit(struct sender *sender, struct job *job)
{
	if (sender->full)
		return false;
	job->sender = sender;
	watch->submitted(sender->pushd, job, number_of(job->notification));
	return true;
}

bool sender_abandon(struct job *job)
{
	if (job->connection == NULL) {
		sender_cancel(job);
		return true;
	}
	job->notification = NULL;
	return false;
}

void sender_cancel(struct job *job)
{
	if (!current()->process.severed)
		watch->taken_back(current(), job);
}

void pushd_wire(struct job *job)
{
	static struct connection wire;

	job->connection = &wire;
}

void pushd_judge(struct pushd *pushd, struct job *job, const struct judgement *judgement,
                 unsigned tries)
{
	job->connection = NULL;
	job->attempts = tries;
	job->judgement = *judgement;
	if (judgement->verdict == VERDICT_SENT)
		copy(job->judgement.id, sizeof(job->judgement.id), job->id);
	process_enter(&pushd->process);
	job->done(job);
}

/* ---- what comes from the queue ---- */

/* A delivery of redeliver's, and whom to tell when it ends. */
struct resumption {
	const struct delivery *delivery;
	void (*ended)(struct delivery *delivery);
	char id[QUEUE_ID_SIZE];
	struct list_link link;
};

static struct list resumptions;

void __real_delivery_resume(struct delivery *delivery, const struct queue_entry *entry);
void __wrap_delivery_resume(struct delivery *delivery, const struct queue_entry *entry);

static struct resumption *resumption_of(const struct delivery *delivery)
{
	list_for_each (link, &resumptions) {
		struct resumption *resumption = container_of(link, struct resumption, link);

		if (resumption->delivery == delivery)
			return resumption;
	}
	simulation_fail("a delivery from the queue has ended twice");
}

static void on_resumed_ended(struct delivery *delivery)
{
	struct resumption *resumption = resumption_of(delivery);
	struct pushd *pushd = current();

	pushd->left++;
	if (!pushd->process.severed)
		watch->left(pushd, resumption->id, delivery);
	resumption->ended(delivery);
	list_remove(&resumption->link);
	free(resumption);
}

void __wrap_delivery_resume(struct delivery *delivery, const struct queue_entry *entry)
{
	struct resumption *resumption = mem_alloc(1, sizeof(*resumption));
	struct pushd *pushd = current();

	resumption->delivery = delivery;
	resumption->ended = delivery->ended;
	copy(resumption->id, sizeof(resumption->id), entry->id);
	list_append(&resumptions, &resumption->link);
	delivery->ended = on_resumed_ended;
	pushd->taken++;
	watch->resumed(pushd, entry->id);
	__real_delivery_resume(delivery, entry);
}

/* ---- callers ---- */

/* One publish, as a batch of one. */
struct publish {
	struct delivery delivery;
	struct pushd *pushd;
	unsigned number;
	json_t *item;
	struct timer conclude, deadline;
	uint64_t last_ms;
	bool waits; /* its caller */
	bool settled, ended;
	struct list_link link;
};

static struct list publishes;

static void end_waiting(struct publish *publish)
{
	publish->waits = false;
	timer_stop(&publish->conclude);
	timer_stop(&publish->deadline);
}

static void on_settled(struct delivery *delivery)
{
	struct publish *publish = container_of(delivery, struct publish, delivery);
	bool heard = publish->waits;

	SIMULATION_HOLDS(!publish->settled, "%u is settled twice", publish->number);
	publish->settled = true;
	end_waiting(publish);
	if (!publish->pushd->process.severed)
		watch->settled(publish->pushd, publish->number, delivery, heard);
}

static void on_ended(struct delivery *delivery)
{
	struct publish *publish = container_of(delivery, struct publish, delivery);

	SIMULATION_HOLDS(publish->settled, "%u has ended without an outcome", publish->number);
	publish->pushd->ended++;
	if (!publish->pushd->process.severed)
		watch->ended(publish->pushd, publish->number);
	end_waiting(publish);
	list_remove(&publish->link);
	json_decref(publish->item);
	free(publish);
}

static uint64_t conclude_due_ms(const struct publish *publish, uint64_t now_ms)
{
	const struct delivery *delivery = &publish->delivery;
	uint64_t within_ms = (uint64_t)publish->pushd->conf.daemon.answer_within_ms;
	uint64_t due_ms =
	        delivery->known_ms != 0 ? delivery->known_ms + within_ms : now_ms + LOOK_MS;

	return due_ms < publish->last_ms ? due_ms : publish->last_ms;
}

static void on_conclude(struct timer *timer)
{
	struct publish *publish = container_of(timer, struct publish, conclude);
	uint64_t now_ms = loop_now_ms(), due_ms = conclude_due_ms(publish, now_ms);

	if (due_ms <= now_ms + SLACK_MS)
		delivery_conclude(&publish->delivery);
	else
		timer_start(timer, due_ms - now_ms);
}

static void hang_up(struct publish *publish)
{
	end_waiting(publish);
	watch->hung_up(publish->pushd, publish->number, &publish->delivery);
	delivery_abandon(&publish->delivery);
}

static void on_deadline(struct timer *timer)
{
	hang_up(container_of(timer, struct publish, deadline));
}

static json_t *make_item(const struct pushd_publish *order)
{
	char number[16];
	json_t *item;

	snprintf(number, sizeof(number), "%u", order->number);
	item = json_pack("{s:s, s:s, s:s, s:s}", "component", PUSHD_COMPONENT, "domain",
	                 order->domain, "node", order->node, "module", number);
	if (order->secret[0] != '\0')
		json_object_set_new(item, "secret", json_string(order->secret));
	if (order->content == CONTENT_CALL)
		json_object_set_new(
		        item, "encrypted",
		        json_pack("{s:s, s:s, s:b}", "iv", "AA==", "payload", "AA==", "voip", 1));
	else if (order->content == CONTENT_REMOVAL)
		json_object_set_new(item, "account_removed", json_true());
	else
		json_object_set_new(item, "summary",
		                    json_pack("{s:I}", "count", (json_int_t)order->count));
	if (order->content == CONTENT_MESSAGE)
		json_object_set_new(json_object_get(item, "summary"), "body", json_string("Hi"));
	return item;
}

static void set_timers(struct publish *publish, uint64_t deadline_ms)
{
	uint64_t within_ms = (uint64_t)publish->pushd->conf.daemon.answer_within_ms;
	uint64_t last_ms =
	        deadline_ms - (deadline_ms / 2 < QUEUEING_MS ? deadline_ms / 2 : QUEUEING_MS);

	publish->last_ms = loop_now_ms() + last_ms;
	publish->conclude.expired = on_conclude;
	publish->deadline.expired = on_deadline;
	timer_start(&publish->conclude, last_ms < within_ms ? last_ms : within_ms);
	timer_start(&publish->deadline, deadline_ms);
}

void pushd_publish(struct pushd *pushd, const struct pushd_publish *order, char id[QUEUE_ID_SIZE])
{
	struct publish *publish = mem_alloc(1, sizeof(*publish));
	struct json_reader reader;
	struct json_object item;

	process_enter(&pushd->process);
	pushd->received++;
	publish->pushd = pushd;
	publish->number = order->number;
	publish->waits = true;
	publish->item = make_item(order);
	item = json_object_top(&reader, publish->item);
	notification_read(&publish->delivery.notification, &item);
	SIMULATION_HOLDS(json_reader_ok(&reader), "%s", reader.complaint);
	set_timers(publish, order->deadline_ms);
	publish->delivery.settled = on_settled;
	publish->delivery.ended = on_ended;
	publish->delivery.item = publish->item;
	publish->delivery.deadline_ms = publish->last_ms;
	list_append(&publishes, &publish->link);
	delivery_start(&publish->delivery);
	/* Redis is asked for its device first, so it hasn't ended. */
	copy(id, QUEUE_ID_SIZE, publish->delivery.queue_id);
}

void pushd_hang_up(struct pushd *pushd, unsigned number)
{
	process_enter(&pushd->process);
	list_for_each (link, &publishes) {
		struct publish *publish = container_of(link, struct publish, link);

		if (publish->pushd == pushd && publish->number == number && publish->waits) {
			hang_up(publish);
			return;
		}
	}
}

/* ---- registrations ---- */

struct registering {
	struct pushd *pushd;
	unsigned phone;
	struct device_registration registration;
	struct device_removal removal;
	struct list_link link;
};

static struct list registerings;

static struct registering *begin_registering(struct pushd *pushd, unsigned phone)
{
	struct registering *registering = mem_alloc(1, sizeof(*registering));

	process_enter(&pushd->process);
	registering->pushd = pushd;
	registering->phone = phone;
	list_append(&registerings, &registering->link);
	return registering;
}

static void end_registering(struct registering *registering)
{
	redis_cancel(&registering->registration.call);
	redis_cancel(&registering->removal.call);
	list_remove(&registering->link);
	free(registering);
}

static void on_registered(struct device_registration *registration, enum device_result result)
{
	struct registering *registering =
	        container_of(registration, struct registering, registration);
	bool done = result == DEVICE_DONE;

	watch->registered(registering->pushd, registering->phone, done ? registration->node : NULL,
	                  done ? registration->secret : NULL);
	end_registering(registering);
}

static void on_unregistered(struct device_removal *removal, enum device_result result)
{
	struct registering *registering = container_of(removal, struct registering, removal);

	watch->unregistered(registering->pushd, registering->phone, result);
	end_registering(registering);
}

void pushd_register(struct pushd *pushd, unsigned phone, const struct device *device)
{
	struct registering *registering = begin_registering(pushd, phone);
	struct device_limits limits = recipient_limits();

	registering->registration.done = on_registered;
	device_register(&registering->registration, db_redis(), device, &limits);
}

void pushd_unregister(struct pushd *pushd, unsigned phone, const struct device *device)
{
	struct registering *registering = begin_registering(pushd, phone);

	registering->removal.done = on_unregistered;
	device_unregister(&registering->removal, db_redis(), device);
}

static void forget_registerings(const struct pushd *pushd)
{
	list_for_each (link, &registerings) {
		struct registering *registering = container_of(link, struct registering, link);

		if (registering->pushd == pushd)
			end_registering(registering);
	}
}

/* ---- its modules, as pushd/main.c has them ---- */

static const struct daemon_module *const modules[] = {
	&db_module,        &queue_module,   &counters_module,  &history_module,  &sweep_module,
	&recipient_module, &refusal_module, &redeliver_module, &delivery_module, NULL,
};

void pushd_start(struct pushd *pushd)
{
	if (resumptions.head.next == NULL) {
		list_init(&resumptions);
		list_init(&publishes);
		list_init(&registerings);
	}
	snprintf(pushd->name, sizeof(pushd->name), "pushd%u", pushd->index);
	pushd->process.name = pushd->name;
	pushd->process.modules = modules;
	pushd->process.config = &pushd->conf;
	pushd->draining = pushd->drained = false;
	pushd->received = pushd->ended = pushd->taken = pushd->left = 0;
	for (unsigned i = 0; i < PUSHD_PROVIDERS; i++)
		pushd->senders[i] = (struct sender){
			.pushd = pushd, .provider = &pushd->providers[i], .room = 8, .trusted = true
		};
	process_start(&pushd->process);
}

void pushd_stop(struct pushd *pushd, bool killed)
{
	process_enter(&pushd->process);
	if (killed)
		process_sever(&pushd->process);
	forget_registerings(pushd);
	process_stop(&pushd->process);
}

static void on_idle(void)
{
	current()->drained = true;
}

void pushd_drain(struct pushd *pushd)
{
	process_enter(&pushd->process);
	pushd->draining = true;
	deliveries_drain(on_idle);
}

size_t pushd_deliveries(struct pushd *pushd)
{
	process_enter(&pushd->process);
	return deliveries_count();
}

/* ---- random bytes of OpenSSL, which keeps a generator of its own ---- */

int RAND_bytes(unsigned char *bytes, int len)
{
	return getrandom(bytes, (size_t)len, 0) == len;
}
