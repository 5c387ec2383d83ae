/*
 * pushd's delivery and queue: publishes of all kinds to few devices at one to three pushds, whose
 * providers, callers, Redis, processes and time do what they like. queue_model.h says what must
 * hold.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "pushd/delivery/delivery.h"
#include "tests/simulation/queue_model.h"
#include "tests/simulation/queue_pushd.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/store.h"

#define STEPS 50
#define PHONES_MAX 4
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define ROUNDS_MAX 400 /* at the end, until everything is sent */
#define LOOK_MS 1000   /* between two looks of redeliver into the queue */

/* A phone, as its app registers it. */
struct phone {
	unsigned provider;
	char owner[32];
	char token[PUSHD_TOKEN_SIZE], second_token[PUSHD_TOKEN_SIZE]; /* "": it has none */
	const char *dialect;
	struct node *node;       /* NULL: none is known */
	unsigned unregisterings; /* under way */
};

/* What a seed is like. */
static struct {
	bool storms, kills, jumps;
	bool moody; /* the providers are */
	uint64_t pause_ms;
	unsigned count; /* pushds */
	unsigned phones;
	unsigned tokens;
} climate;

static struct pushd pushds[PUSHDS_MAX];
static struct process *processes[PUSHDS_MAX];
static struct phone phones[PHONES_MAX];

/* ---- what the pushds tell ---- */

static void on_submitted(struct pushd *pushd, struct job *job, unsigned number)
{
	struct work *work = model_submitted(pushd, job, number);

	work->silent = climate.moody && chance(50);
	work->on_wire = work->silent || chance(700);
	if (work->on_wire)
		pushd_wire(job);
}

static void on_registered(struct pushd *pushd, unsigned number, const char *node,
                          const char *secret)
{
	struct phone *phone = &phones[number];
	const char *domain = strchr(phone->owner, '@') + 1;

	if (node == NULL)
		return;
	simulation_note("phone %u has the node %.6s", number, node);
	phone->node = model_register(number, phone->provider, node,
	                             strcmp(phone->dialect, "p2") == 0 ? secret : "", domain);
	if (phone->unregisterings == 0 && !model.stormy)
		phone->node->may_go = false;
}

static void on_unregistered(struct pushd *pushd, unsigned number, enum device_result result)
{
	phones[number].unregisterings--;
}

static const struct pushd_watch watch = {
	.settled = model_settled,
	.ended = model_ended,
	.hung_up = model_hung_up,
	.resumed = model_resumed,
	.left = model_left,
	.submitted = on_submitted,
	.taken_back = model_taken_back,
	.registered = on_registered,
	.unregistered = on_unregistered,
};

/* ---- choices ---- */

/* One that runs and takes calls; NULL: none. */
static struct pushd *choose_pushd(void)
{
	unsigned first = (unsigned)dice(climate.count);

	for (unsigned i = 0; i < climate.count; i++) {
		struct pushd *pushd = &pushds[(first + i) % climate.count];

		if (pushd->process.running && !pushd->draining)
			return pushd;
	}
	return NULL;
}

static struct work *choose_work(void)
{
	unsigned first = (unsigned)dice(JOBS_MAX);

	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct work *work = &model.works[(first + i) % JOBS_MAX];

		if (work->pushd != NULL && !work->silent)
			return work;
	}
	return NULL;
}

/* ---- events ---- */

static void publish(void)
{
	static const enum content contents[] = {
		CONTENT_MESSAGE, CONTENT_MESSAGE,   CONTENT_MESSAGE,   CONTENT_STATE, CONTENT_STATE,
		CONTENT_STATE,   CONTENT_DISMISSAL, CONTENT_DISMISSAL, CONTENT_CALL
	};
	enum content content = chance(10) ? CONTENT_REMOVAL : contents[dice(ARRAY_LEN(contents))];
	int64_t count = content == CONTENT_DISMISSAL ? 0 : 1 + (int64_t)dice(1000);
	uint64_t deadline_ms = dice_wide(100, 20000);
	struct pushd *pushd = choose_pushd();
	struct node *node = phones[dice(climate.phones)].node;
	struct note *note;
	unsigned number;

	if (model.nodes_count > 0 && (node == NULL || chance(30)))
		node = &model.nodes[dice(model.nodes_count)];
	if (pushd == NULL || node == NULL || model.notes_count + 1 >= NOTES_MAX)
		return;
	number = model_publish(pushd, node, content, count, deadline_ms);
	note = &model.notes[number];
	simulation_note("%u is published to %.6s at %s: content %d, count %lld, %llu ms", number,
	                node->name, pushd->name, (int)content, (long long)count,
	                (unsigned long long)deadline_ms);
	pushd_publish(pushd,
	              &(struct pushd_publish){ .number = number,
	                                       .node = node->name,
	                                       .secret = node->secret,
	                                       .domain = node->domain,
	                                       .content = content,
	                                       .count = count,
	                                       .deadline_ms = deadline_ms },
	              note->id);
}

static enum verdict choose_verdict(void)
{
	static const struct {
		enum verdict verdict;
		unsigned weight;
	} verdicts[] = {
		{ VERDICT_SENT, 30 },       { VERDICT_TRANSIENT, 20 }, { VERDICT_THROTTLED, 8 },
		{ VERDICT_GONE, 6 },        { VERDICT_SUSPECT, 6 },    { VERDICT_REJECTED, 6 },
		{ VERDICT_UNREACHABLE, 8 }, { VERDICT_CREDENTIAL, 4 }, { VERDICT_UNKNOWN, 6 },
		{ VERDICT_TOO_LARGE, 3 },   { VERDICT_EXPIRED, 3 },
	};
	uint64_t sum = 100;

	if (!climate.moody || chance(300))
		return chance(20) ? VERDICT_GONE : VERDICT_SENT;
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		if (dice(sum) < verdicts[i].weight)
			return verdicts[i].verdict;
		sum -= verdicts[i].weight;
	}
	return VERDICT_SENT;
}

/* When the token of WORK is said to have died. */
static int64_t choose_death_ms(const struct work *work)
{
	int64_t now_ms = simulation_wall_ms(),
	        at_ms[] = { 0, now_ms, work->registered_ms - 1000, work->registered_ms,
		            work->registered_ms + 1 };

	return at_ms[dice(ARRAY_LEN(at_ms))];
}

static struct judgement make_judgement(const struct work *work, enum verdict verdict)
{
	struct judgement judgement = { .verdict = verdict };
	bool answered = verdict != VERDICT_UNREACHABLE && verdict != VERDICT_UNKNOWN;

	snprintf(judgement.reason, sizeof(judgement.reason), "%s", verdict_names[verdict]);
	judgement.status = !answered ? 0 : verdict == VERDICT_SENT ? 200 : 400;
	if (verdict == VERDICT_GONE)
		judgement.timestamp_ms = choose_death_ms(work);
	if (verdict == VERDICT_THROTTLED)
		judgement.retry_after_ms = 60000 + (int64_t)dice(60000);
	else if ((verdict == VERDICT_TRANSIENT || !answered) && chance(300))
		judgement.retry_after_ms = (int64_t)dice_wide(1000, 300000);
	return judgement;
}

static void judge(struct work *work, enum verdict verdict)
{
	struct judgement judgement = make_judgement(work, verdict);
	struct pushd *pushd = work->pushd;
	struct job *job = work->job;

	simulation_note("verdict on %u at %s: %s, retry after %lld, dead since %lld",
	                (unsigned)(work->note - model.notes), pushd->name, verdict_names[verdict],
	                (long long)judgement.retry_after_ms, (long long)judgement.timestamp_ms);
	model_judge(work, &judgement);
	pushd_judge(pushd, job, &judgement, verdict == VERDICT_UNREACHABLE ? 0 : 1);
}

static void judge_one(void)
{
	struct work *work = choose_work();

	if (work != NULL)
		judge(work, choose_verdict());
}

static void wire_one(void)
{
	struct work *work = choose_work();

	if (work == NULL || work->on_wire)
		return;
	work->on_wire = true;
	pushd_wire(work->job);
}

static void hang_up(void)
{
	unsigned number = model.notes_count - (unsigned)dice(8);
	struct pushd *pushd;

	if (model.notes_count < 8)
		return;
	pushd = model.notes[number].pushd;
	if (pushd->process.running && !model.notes[number].settled)
		pushd_hang_up(pushd, number);
}

static struct device device_of(const struct phone *phone)
{
	bool by_id = strcmp(phone->dialect, "p2") == 0;

	return (struct device){
		.component = PUSHD_COMPONENT,
		.owner = phone->owner,
		.provider = pushds[0].providers[phone->provider].id,
		.token = phone->token,
		.second_token = phone->second_token[0] != '\0' ? phone->second_token : NULL,
		.device_id = by_id ? "phone" : NULL,
		.dialect = phone->dialect,
	};
}

static void enrol(unsigned number)
{
	struct pushd *pushd = choose_pushd();
	struct phone *phone = &phones[number];
	struct device device;

	if (pushd == NULL)
		return;
	if (phone->token[0] == '\0' || chance(300))
		snprintf(phone->token, sizeof(phone->token), "t%u", climate.tokens++);
	if (strcmp(phone->dialect, "tigase") == 0 && chance(300))
		snprintf(phone->second_token, sizeof(phone->second_token), "t%u", climate.tokens++);
	simulation_note("phone %u registers %s at %s", number, phone->token, pushd->name);
	device = device_of(phone);
	pushd_register(pushd, number, &device);
}

static void leave(unsigned number)
{
	struct pushd *pushd = choose_pushd();
	struct phone *phone = &phones[number];
	struct device device = device_of(phone);

	if (pushd == NULL)
		return;
	simulation_note("phone %u unregisters at %s", number, pushd->name);
	phone->unregisterings++;
	for (unsigned i = 0; i < model.nodes_count; i++)
		model.nodes[i].may_go |= model.nodes[i].phone == number;
	pushd_unregister(pushd, number, &device);
}

/* The provider's state as a pushd sees it. */
static void change_provider(void)
{
	static const enum sender_refusal refusals[] = { SENDER_TAKES, SENDER_TAKES,
		                                        SENDER_TAKES, SENDER_UNREACHABLE,
		                                        SENDER_PACED, SENDER_CREDENTIAL };
	struct pushd *pushd = &pushds[dice(climate.count)];
	struct sender *sender = &pushd->senders[dice(PUSHD_PROVIDERS)];

	sender->refusal = refusals[dice(ARRAY_LEN(refusals))];
	sender->room = (unsigned)dice(8);
	sender->full = chance(150);
	simulation_note("%s to provider %d: refusal %d, room %u%s", pushd->name,
	                (int)(sender - pushd->senders), (int)sender->refusal, sender->room,
	                sender->full ? ", full" : "");
}

static void change_weather(void)
{
	static const struct store_weather weathers[] = {
		{ 0 },
		{ .slow = 300 },
		{ .lost_before = 100, .late = 300 },
		{ .lost_after = 100, .late = 300 },
		{ .stuck = 50, .late = 500 },
		{ .lost_before = 50, .lost_after = 50, .slow = 100, .stuck = 20, .late = 300 },
	};
	unsigned number = (unsigned)dice(ARRAY_LEN(weathers));

	simulation_note("weather %u", number);
	store_set_weather(&weathers[number]);
	if (chance(200))
		store_set_away(true);
	else
		store_set_away(false);
	if (chance(200))
		store_cut();
}

static void start_one(struct pushd *pushd)
{
	simulation_note("pushd%u starts", pushd->index);
	pushd_start(pushd);
}

static void stop_one(struct pushd *pushd, bool killed)
{
	simulation_note("%s %s", pushd->name, killed ? "is killed" : "stops");
	if (killed)
		model_kill(pushd);
	pushd_stop(pushd, killed);
	if (!killed)
		model_kill(pushd);
}

static void change_processes(void)
{
	struct pushd *pushd = &pushds[dice(climate.count)];

	if (!pushd->process.running) {
		start_one(pushd);
	} else if (!pushd->draining && chance(400)) {
		simulation_note("%s drains", pushd->name);
		pushd_drain(pushd);
	} else {
		stop_one(pushd, chance(800));
	}
}

/* Everybody stands still for a while, as a machine does that was suspended. */
static void jump(void)
{
	uint64_t ms = dice_wide(1000, 3 * DAY_MS);

	simulation_note("%llu s pass at once", (unsigned long long)ms / 1000);
	simulation_pass_to(simulation_now_ns() + ms * SIMULATION_MS);
	model_excuse_all();
}

/* Nothing happens for a while, not even a look into the queue. */
static void rest(void)
{
	uint64_t most_ms = (uint64_t)pushds[0].conf.daemon.lease_ms / 8;

	if (store_next_ns() == SIMULATION_NEVER)
		simulation_pass_to(simulation_now_ns() + dice_wide(100, most_ms) * SIMULATION_MS);
}

static void happen(void)
{
	uint64_t number = dice(1000);

	if (number < 350)
		publish();
	else if (number < 700)
		judge_one();
	else if (number < 760)
		wire_one();
	else if (number < 780)
		hang_up();
	else if (number < 810)
		enrol((unsigned)dice(climate.phones));
	else if (number < 820)
		leave((unsigned)dice(climate.phones));
	else if (number < 860 && climate.moody)
		change_provider();
	else if (number < 890 && climate.storms)
		change_weather();
	else if (number < 910 && climate.kills)
		change_processes();
	else if (number < 915 && climate.jumps)
		jump();
	else
		rest();
}

/* ---- a seed ---- */

static int64_t choose_ms(const int64_t *list, size_t count)
{
	return list[dice(count)];
}

static void configure(struct pushd *pushd, const struct conf_daemon *daemon,
                      const struct conf_provider *providers)
{
	memcpy(pushd->providers, providers, sizeof(pushd->providers));
	pushd->conf.daemon = *daemon;
	pushd->conf.providers = (struct config_items){ pushd->providers, PUSHD_PROVIDERS };
}

static void configure_all(void)
{
	static const int64_t intervals[] = { 0, 1000, 2000, 30000 };
	static const int64_t expiries[] = { 500, 20000, 600000, 28 * DAY_MS };
	static const int64_t leases[] = { 12000, 45000 };
	static const int64_t answers[] = { 50, 500, 2000 };
	static const int64_t limits[] = { 3, 20, 1000, 1000 };
	struct conf_daemon daemon = {
		.redis = (char *)store_url(),
		.redis_prefix = (char *)"og:",
		.devices_per_token_max = 16,
		.devices_per_owner_max = 64,
		.devices_max = 1000,
		.devices_per_domain_max = 1000,
		.device_ttl_ms = 2 * DAY_MS,
		.in_flight_max = 100,
		.answer_within_ms = choose_ms(answers, ARRAY_LEN(answers)),
		.queue_max = choose_ms(limits, ARRAY_LEN(limits)),
		.lease_ms = choose_ms(leases, ARRAY_LEN(leases)),
	};
	struct conf_provider providers[PUSHD_PROVIDERS] = { { .id = (char *)"apns" },
		                                            { .id = (char *)"fcm" } };

	for (unsigned i = 0; i < PUSHD_PROVIDERS; i++) {
		providers[i].interval_ms = choose_ms(intervals, ARRAY_LEN(intervals));
		providers[i].expiry_ms = choose_ms(expiries, ARRAY_LEN(expiries));
	}
	for (unsigned i = 0; i < PUSHDS_MAX; i++) {
		pushds[i].index = i;
		processes[i] = &pushds[i].process;
		configure(&pushds[i], &daemon, providers);
	}
	simulation_note("lease %lld, answer within %lld, at most %lld; interval %lld and %lld, "
	                "expiry %lld and %lld",
	                (long long)daemon.lease_ms, (long long)daemon.answer_within_ms,
	                (long long)daemon.queue_max, (long long)providers[0].interval_ms,
	                (long long)providers[1].interval_ms, (long long)providers[0].expiry_ms,
	                (long long)providers[1].expiry_ms);
}

static void make_phones(void)
{
	memset(phones, 0, sizeof(phones));
	climate.phones = 1 + (unsigned)dice(PHONES_MAX);
	for (unsigned i = 0; i < climate.phones; i++) {
		struct phone *phone = &phones[i];

		phone->provider = (unsigned)dice(PUSHD_PROVIDERS);
		phone->dialect = chance(200) ? "p2" : "tigase";
		snprintf(phone->owner, sizeof(phone->owner), "romeo%u@d%u.example", i,
		         (unsigned)dice(2));
		/* Two accounts of one app have one token. */
		if (i > 0 && chance(250) && phones[i - 1].provider == phone->provider)
			memcpy(phone->token, phones[i - 1].token, sizeof(phone->token));
		enrol(i);
	}
}

static void choose_climate(void)
{
	climate.storms = chance(400);
	climate.kills = chance(400);
	climate.jumps = chance(200);
	climate.moody = chance(700);
	climate.pause_ms = dice_wide(10, 500);
	climate.count = 1 + (unsigned)dice(PUSHDS_MAX);
	climate.tokens = 0;
}

static void go_on(uint64_t ms)
{
	process_run(processes, climate.count, ms);
	for (unsigned i = 0; i < climate.count; i++)
		if (pushds[i].process.running && pushds[i].drained)
			stop_one(&pushds[i], false);
	model_look();
}

/* From now on all is well. */
static void clear_up(void)
{
	simulation_note("from here all is well");
	climate.moody = false;
	store_calm();
	for (unsigned i = 0; i < climate.count; i++) {
		for (unsigned j = 0; j < PUSHD_PROVIDERS; j++) {
			pushds[i].senders[j].refusal = SENDER_TAKES;
			pushds[i].senders[j].room = 8;
			pushds[i].senders[j].full = false;
		}
	}
}

/* Also those that were draining. */
static void start_all(void)
{
	for (unsigned i = 0; i < climate.count; i++)
		if (!pushds[i].process.running)
			start_one(&pushds[i]);
}

static unsigned judge_all(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (model.works[i].pushd != NULL) {
			judge(&model.works[i], VERDICT_SENT);
			count++;
		}
	return count;
}

static size_t count_deliveries(void)
{
	size_t count = 0;

	for (unsigned i = 0; i < climate.count; i++) {
		if (!pushds[i].process.running)
			continue;
		model_count(&pushds[i]);
		count += pushd_deliveries(&pushds[i]);
	}
	return count;
}

/* Until nothing is left: time jumps to what is due next. */
static void finish(void)
{
	clear_up();
	for (unsigned i = 0;; i++) {
		unsigned judged = judge_all();

		start_all();
		go_on(50);
		if (judged > 0)
			continue;
		if (count_deliveries() > 0) {
			go_on(LOOK_MS);
		} else if (model.stored > 0) {
			int64_t wait_ms = model.next_due_ms - simulation_wall_ms();

			if (wait_ms > 0)
				simulation_pass_to(simulation_now_ns() +
				                   (uint64_t)wait_ms * SIMULATION_MS);
			go_on(LOOK_MS + 100);
		} else {
			break;
		}
		SIMULATION_HOLDS(i < ROUNDS_MAX, "%zu entries stay in the queue", model.stored);
	}
	model_end();
}

static void run(void)
{
	choose_climate();
	model_reset(pushds, climate.count, climate.storms || climate.jumps);
	configure_all();
	for (unsigned i = 0; i < climate.count; i++)
		start_one(&pushds[i]);
	process_run(processes, climate.count, 50);
	make_phones();
	while (simulation_step(STEPS)) {
		happen();
		go_on(dice(climate.pause_ms));
	}
	finish();
	for (unsigned i = 0; i < climate.count; i++)
		if (pushds[i].process.running)
			pushd_stop(&pushds[i], false);
}

static void start(void)
{
	pushd_watch(&watch);
	store_start();
}

int main(void)
{
	static const struct simulation simulation = {
		.name = "queue",
		.start = start,
		.reset = store_reset,
		.run = run,
		.stop = store_stop,
	};

	return simulation_main(&simulation);
}
