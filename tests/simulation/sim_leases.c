/*
 * relayd's leases and ledgers: relays of one fleet, streams that take their bytes from ledgers that
 * they share, limits that change, relays that are killed and come again, a month that turns, and a
 * Redis that is slow, away, and loses calls and replies. leases_model.h says what must hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/lease.h"
#include "relayd/quota/outbox.h"
#include "tests/simulation/leases_model.h"
#include "tests/simulation/process.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/store.h"

#define STEPS 120
#define STREAMS_MAX 12
#define CLOSING_MAX 100
#define LIVES_MAX 200 /* of relays, in a run */
#define QUANTUM_MOST (4 << 20)
#define BYTES_MOST (UINT64_C(64) << 20) /* that arrive at once */
#define KEY_SIZE 80
#define QUIET_MS 20000   /* until everything that was on its way has arrived */
#define IDLE_MS 12000    /* more than a lease is kept for an idle stream */
#define CALENDAR_MS 2500 /* by which a relay may learn late that the month is over */
#define TURN_MS 5        /* around the end of a month */
#define NEAR_MS 60000    /* before it */
#define DAY_S 86400
#define YEARS_400_S (400 * DAY_S)

enum stream_kind { STREAM_NONE, STREAM_OPENING, STREAM_ACTIVE, STREAM_OVER };

/* What a process of a relay writes down, and what of it stands in Redis. */
struct life {
	unsigned written, seen; /* records */
	bool over;
};

/* A lease that is over, and whose last call has no reply: it may still be carried out. */
struct closing {
	struct model_charge charge;
	int64_t bytes; /* that this call may take */
};

struct relay {
	struct process process;
	struct relay_conf conf;
	unsigned number;
	int64_t epoch_ms;
	unsigned leases; /* that this process has opened */
	int life;
	struct closing closing[CLOSING_MAX]; /* since the last quiet moment */
	size_t closing_count;
};

struct stream {
	enum stream_kind kind;
	struct relay *relay;
	struct lease *lease;
	struct party parties[2];
	struct model_charge charge;
	bool granted;       /* Redis has granted its opening: CHARGE is known */
	char key[KEY_SIZE]; /* of the lease in Redis */
	uint64_t waiting;   /* bytes that have arrived and weren't read */
	int64_t relayed;
	uint64_t last;  /* bytes that were read in one go, and may be undelivered */
	int last_month; /* in which they were */
	struct task task;
};

static const struct daemon_module *const modules[] = { &fleet_module, &outbox_module,
	                                               &calendar_module, &lease_module, NULL };
static const char *const ids[MODEL_RELAYS] = { "relay-1", "relay-2", "relay-3" };

static struct {
	struct model_defaults defaults;
	int64_t quantum;
	unsigned relay_count;
	struct relay relays[MODEL_RELAYS];
	struct process *processes[MODEL_RELAYS];
	struct stream streams[STREAMS_MAX];
	struct life lives[LIVES_MAX];
	int life_count;
	char last_record[40]; /* id of the last that was looked at */
	struct store_weather weather;
	bool away;
} self;

/* Relays */

static void start_relay(struct relay *relay)
{
	if (relay->process.running || self.life_count == LIVES_MAX)
		return;
	relay->conf = (struct relay_conf){
		.id = (char *)ids[relay->number],
		.redis = (char *)store_url(),
		.redis_prefix = (char *)"og:",
		.quantum_bytes = self.quantum,
		.transfers_max = 100000,
		.global_limit = self.defaults.global,
		.instance_limit = self.defaults.instance,
		.default_file_limit = self.defaults.account.file,
		.default_user_limit = self.defaults.account.user,
		.default_domain_limit = self.defaults.account.domain,
	};
	relay->process = (struct process){
		.name = ids[relay->number],
		.modules = modules,
		.config = &relay->conf,
		.skew_ms = chance(300) ? (int64_t)dice(20000) - 10000 : 0,
	};
	relay->leases = 0;
	relay->closing_count = 0;
	relay->life = self.life_count++;
	self.lives[relay->life] = (struct life){ 0 };
	process_start(&relay->process);
	relay->epoch_ms = fleet_epoch_ms();
	simulation_note("%s starts, its clock %lld ms ahead", ids[relay->number],
	                (long long)relay->process.skew_ms);
}

static struct relay *random_relay(void)
{
	return &self.relays[dice(self.relay_count)];
}

static void run_for(uint64_t ms)
{
	process_run(self.processes, self.relay_count, ms);
}

/* Streams */

static size_t number_of(const struct stream *stream)
{
	return (size_t)(stream - self.streams);
}

static struct stream *stream_of(const struct lease *lease)
{
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (self.streams[i].lease == lease)
			return &self.streams[i];
	simulation_fail("a callback of a lease that is free");
}

/* Any stream; one of KIND, if that isn't STREAM_NONE; NULL: there is none. */
static struct stream *pick(enum stream_kind kind)
{
	size_t first = dice(STREAMS_MAX);

	for (size_t i = 0; i < STREAMS_MAX; i++) {
		struct stream *stream = &self.streams[(first + i) % STREAMS_MAX];

		if (stream->kind != STREAM_NONE && (kind == STREAM_NONE || stream->kind == kind))
			return stream;
	}
	return NULL;
}

static struct model_charge charge_of(const struct stream *stream)
{
	if (stream->granted)
		return stream->charge;
	return model_charge(stream->parties, stream->relay->number, &self.defaults);
}

static void note_closing(const struct stream *stream)
{
	struct relay *relay = stream->relay;

	if (stream->lease == NULL || stream->lease->denial.ledger != NULL ||
	    (stream->kind != STREAM_OPENING && stream->lease->asked == 0))
		return;
	SIMULATION_HOLDS(relay->closing_count < CLOSING_MAX, "too many leases have ended");
	relay->closing[relay->closing_count++] = (struct closing){
		charge_of(stream),
		stream->kind == STREAM_OPENING ? self.quantum : (int64_t)stream->lease->asked,
	};
}

/* As activation.c and stream.c do: the record, then what wasn't delivered, then the lease. */
static void end_stream(struct stream *stream)
{
	char record[32];

	process_enter(&stream->relay->process);
	task_stop(&stream->task);
	note_closing(stream);
	if (stream->kind != STREAM_OPENING && stream->lease != NULL) {
		struct life *life = &self.lives[stream->relay->life];

		snprintf(record, sizeof(record), "%d %u", stream->relay->life, life->written++);
		outbox_add(OUTBOX_RECORDS, record);
		stream->last = chance(500) ? 0 : dice(stream->last + 1);
		lease_refund(stream->lease, stream->last);
		stream->relayed -= (int64_t)stream->last;
		model_relayed(&stream->charge, stream->last_month, -(int64_t)stream->last);
	}
	lease_free(stream->lease);
	stream->lease = NULL;
	stream->kind = STREAM_NONE;
}

/* Bytes count for the month that they flow in. */
static int month_of_bytes(const struct stream *stream)
{
	const struct month *now = model_true_month();

	SIMULATION_HOLDS(stream->lease->month == now->number ||
	                         (stream->lease->month < now->number &&
	                          simulation_wall_ms() - now->start_s * 1000 < CALENDAR_MS),
	                 "bytes count for %u in %u", stream->lease->month, now->number);
	return model_month(stream->lease->month);
}

/* As pair.c does when it has run. */
static void pump(struct stream *stream)
{
	uint64_t bytes = stream->waiting, most = dice_wide(1, BYTES_MOST);

	if (stream->kind != STREAM_ACTIVE)
		return;
	if (bytes > stream->lease->budget)
		bytes = stream->lease->budget;
	if (bytes > most)
		bytes = most;
	stream->lease->budget -= bytes;
	stream->waiting -= bytes;
	stream->relayed += (int64_t)bytes;
	if (bytes > 0) {
		stream->last = bytes;
		stream->last_month = month_of_bytes(stream);
		model_relayed(&stream->charge, stream->last_month, (int64_t)bytes);
	}
	SIMULATION_HOLDS(stream->charge.file == 0 || stream->relayed <= stream->charge.file,
	                 "stream %zu relays %lld bytes, of %lld", number_of(stream),
	                 (long long)stream->relayed, (long long)stream->charge.file);
	lease_spent(stream->lease, stream->waiting > 0 && stream->lease->budget == 0);
	if (stream->kind == STREAM_ACTIVE && stream->waiting > 0 && stream->lease->budget > 0)
		task_start(&stream->task);
}

static void on_task(struct task *task)
{
	pump(container_of(task, struct stream, task));
}

static void on_renewed(struct lease *lease)
{
	task_start(&stream_of(lease)->task);
}

static void on_exhausted(struct lease *lease)
{
	struct stream *stream = stream_of(lease);
	const struct denial *denial = &lease->denial;

	simulation_note("stream %zu is over the limit of %s", number_of(stream), denial->ledger);
	SIMULATION_HOLDS(stream->kind == STREAM_ACTIVE && stream->waiting > 0 && lease->budget == 0,
	                 "stream %zu ends without need", number_of(stream));
	SIMULATION_HOLDS(
	        strcmp(denial->ledger, DENIAL_FILE) != 0 ||
	                (denial->limit == stream->charge.file && stream->relayed == denial->limit),
	        "stream %zu ends at %lld bytes, of %lld", number_of(stream),
	        (long long)stream->relayed, (long long)denial->limit);
	stream->kind = STREAM_OVER;
}

static void on_opened(struct lease *lease, enum ledger_verdict verdict)
{
	struct stream *stream = stream_of(lease);

	simulation_note("stream %zu opens: verdict %d", number_of(stream), verdict);
	if (verdict != LEDGER_GRANTED) {
		end_stream(stream);
		return;
	}
	SIMULATION_HOLDS(stream->granted, "stream %zu opens without a grant", number_of(stream));
	stream->kind = STREAM_ACTIVE;
	lease->renewed = on_renewed;
	lease->exhausted = on_exhausted;
	task_start(&stream->task);
}

static void open_stream(void)
{
	struct stream *stream = self.streams;
	struct relay *relay = random_relay();

	while (stream < self.streams + STREAMS_MAX && stream->kind != STREAM_NONE)
		stream++;
	if (stream == self.streams + STREAMS_MAX || !relay->process.running)
		return;
	*stream = (struct stream){ .kind = STREAM_OPENING, .relay = relay, .task.run = on_task };
	stream->parties[0] = model_party((unsigned)dice(MODEL_USERS), chance(900));
	stream->parties[1] = model_party((unsigned)dice(MODEL_USERS), chance(500));
	snprintf(stream->key, sizeof(stream->key), "og:lease:%s:%lld:%u", relay->conf.id,
	         (long long)relay->epoch_ms, ++relay->leases);
	process_enter(&relay->process);
	stream->lease = lease_open(stream->parties, on_opened);
	simulation_note("stream %zu, %s and %s at %s", number_of(stream), stream->parties[0].user,
	                stream->parties[1].user, relay->conf.id);
}

static void offer_to(struct stream *stream)
{
	stream->waiting += dice_wide(1, BYTES_MOST);
	simulation_note("stream %zu has %llu bytes waiting", number_of(stream),
	                (unsigned long long)stream->waiting);
	process_enter(&stream->relay->process);
	pump(stream);
}

static void offer_bytes(void)
{
	struct stream *stream = pick(STREAM_ACTIVE);

	if (stream != NULL)
		offer_to(stream);
}

/* All streams ask for bytes when the month is about to end. */
static void meet_turn(void)
{
	int64_t left_ms = model_true_month()->end_s * 1000 - simulation_wall_ms();

	if (left_ms < TURN_MS || left_ms > NEAR_MS)
		return;
	simulation_note("the month is about to end");
	run_for((uint64_t)left_ms - dice(TURN_MS));
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (self.streams[i].kind == STREAM_ACTIVE)
			offer_to(&self.streams[i]);
	run_for(TURN_MS);
}

static void end_one(void)
{
	struct stream *stream = pick(chance(500) ? STREAM_OVER : STREAM_NONE);

	if (stream == NULL)
		return;
	simulation_note("stream %zu ends", number_of(stream));
	end_stream(stream);
}

static struct model_held find_held(void)
{
	struct model_held held = { 0 };

	for (size_t i = 0; i < STREAMS_MAX; i++) {
		const struct stream *stream = &self.streams[i];

		if (stream->kind == STREAM_NONE || stream->lease->budget == 0)
			continue;
		for (size_t n = 0; n < stream->charge.count; n++)
			held.bytes[stream->charge.ledgers[n]][model_month(stream->lease->month)] +=
			        (int64_t)stream->lease->budget;
	}
	return held;
}

/* Relays that end */

static void forfeit(const struct stream *stream)
{
	struct model_charge charge = charge_of(stream);

	model_forfeit(&charge, stream->kind == STREAM_OPENING
	                               ? self.quantum
	                               : (int64_t)(stream->lease->budget + stream->lease->asked));
}

/* LOST: nothing of what they give back may arrive. */
static void end_streams(const struct relay *relay, bool lost)
{
	for (size_t i = 0; lost && i < relay->closing_count; i++)
		model_forfeit(&relay->closing[i].charge, relay->closing[i].bytes);
	for (size_t i = 0; i < STREAMS_MAX; i++) {
		struct stream *stream = &self.streams[i];

		if (stream->kind == STREAM_NONE || stream->relay != relay)
			continue;
		if (lost) {
			forfeit(stream);
			stream->last = 0;
		}
		end_stream(stream);
	}
}

/* A dead relay's process frees its memory; nothing of that reaches Redis. */
static void kill_relay(struct relay *relay)
{
	struct model_held held = find_held();

	if (!relay->process.running)
		return;
	simulation_note("%s is killed", relay->conf.id);
	model_forfeit_on_way(&held);
	process_sever(&relay->process);
	end_streams(relay, true);
	process_stop(&relay->process);
	self.lives[relay->life].over = true;
}

static void stop_relay(struct relay *relay, bool quiet)
{
	struct model_held held = find_held();

	if (!relay->process.running)
		return;
	simulation_note("%s stops", relay->conf.id);
	if (!quiet)
		model_forfeit_on_way(&held);
	end_streams(relay, !quiet);
	process_enter(&relay->process);
	process_stop(&relay->process);
	self.lives[relay->life].over = true;
}

/* What Redis has done */

static struct stream *stream_with(const char *key)
{
	for (size_t i = 0; key != NULL && i < STREAMS_MAX; i++)
		if (self.streams[i].kind != STREAM_NONE && strcmp(self.streams[i].key, key) == 0)
			return &self.streams[i];
	return NULL;
}

static void check_grant(struct stream *stream, const struct redisReply *reply)
{
	struct model_charge charge =
	        model_charge(stream->parties, stream->relay->number, &self.defaults);

	SIMULATION_HOLDS(!charge.forbidden, "stream %zu is forbidden", number_of(stream));
	SIMULATION_HOLDS(redis_reply_integer(redis_reply_at(reply, 3), -1) == charge.file,
	                 "stream %zu: not the limit of the file", number_of(stream));
	for (size_t i = 0; i < charge.count; i++)
		SIMULATION_HOLDS(redis_reply_integer(redis_reply_at(reply, 4 + i), -1) ==
		                         charge.limits[i],
		                 "stream %zu: not the limit of %s", number_of(stream),
		                 model_ledger_name(charge.ledgers[i]));
	stream->charge = charge;
	stream->granted = true;
}

static void on_executed(const struct redisReply *command, const struct redisReply *reply)
{
	const char *word = redis_reply_string(redis_reply_at(reply, 0), NULL);
	struct stream *stream = stream_with(redis_reply_string(redis_reply_at(command, 5), NULL));

	if (word == NULL)
		return;
	if (strcmp(word, "over") == 0)
		model_check_denial(redis_reply_string(redis_reply_at(reply, 1), NULL),
		                   redis_reply_integer(redis_reply_at(reply, 2), 0));
	if (strcmp(word, "granted") == 0 && stream != NULL && !stream->granted)
		check_grant(stream, reply);
	if (strcmp(word, "forbidden") == 0 && stream != NULL)
		SIMULATION_HOLDS(
		        model_charge(stream->parties, stream->relay->number, &self.defaults)
		                .forbidden,
		        "stream %zu is forbidden without a reason", number_of(stream));
}

/* Each process's records stand there once, in order. */
static void read_record(const char *text)
{
	struct life *life;
	unsigned number;
	int which;

	SIMULATION_HOLDS(sscanf(text, "%d %u", &which, &number) == 2 && which >= 0 &&
	                         which < self.life_count,
	                 "a record \"%s\"", text);
	life = &self.lives[which];
	SIMULATION_HOLDS(number == life->seen, "record %u of process %d comes after %u", number,
	                 which, life->seen);
	life->seen++;
}

static void check_records(void)
{
	struct redisReply *records = store_ask("XRANGE og:transfers %s +", self.last_record);

	for (size_t i = 0; i < redis_reply_count(records); i++) {
		const struct redisReply *record = redis_reply_at(records, i);
		const char *id = redis_reply_string(redis_reply_at(record, 0), NULL);

		read_record(redis_reply_string(redis_reply_at(redis_reply_at(record, 1), 1), NULL));
		snprintf(self.last_record, sizeof(self.last_record), "(%s", id);
	}
	store_free(records);
	for (int i = 0; i < self.life_count; i++)
		SIMULATION_HOLDS(self.lives[i].over || self.lives[i].seen == self.lives[i].written,
		                 "%u of %u records of process %d are there", self.lives[i].seen,
		                 self.lives[i].written, i);
}

static void check(void)
{
	struct model_held held = find_held();

	model_check(&held);
}

/* A while without events, and with a Redis that serves: what was on its way has arrived. */
static void check_quiet(void)
{
	struct model_held held;

	simulation_note("quiet");
	store_calm();
	self.weather = (struct store_weather){ 0 };
	self.away = false;
	run_for(QUIET_MS);
	held = find_held();
	model_check_quiet(&held);
	check_records();
	for (size_t i = 0; i < STREAMS_MAX; i++) {
		const struct stream *stream = &self.streams[i];

		SIMULATION_HOLDS(stream->kind != STREAM_OPENING, "stream %zu still opens", i);
		SIMULATION_HOLDS(stream->kind != STREAM_ACTIVE || stream->waiting == 0,
		                 "stream %zu doesn't go on", i);
		SIMULATION_HOLDS(stream->kind != STREAM_ACTIVE || stream->lease->budget == 0,
		                 "stream %zu is idle, and holds %llu bytes", i,
		                 (unsigned long long)stream->lease->budget);
	}
	for (unsigned i = 0; i < self.relay_count; i++) {
		self.relays[i].closing_count = 0;
		if (!self.relays[i].process.running)
			continue;
		process_enter(&self.relays[i].process);
		SIMULATION_HOLDS(outbox_empty(), "the outbox of %s isn't empty", ids[i]);
	}
}

/* Events */

static void change_weather(void)
{
	self.weather = (struct store_weather){ 0 };
	if (chance(600))
		self.weather = (struct store_weather){
			.lost_before = (unsigned)dice(60),
			.lost_after = (unsigned)dice(60),
			.slow = (unsigned)dice(200),
			.stuck = (unsigned)dice(20),
			.late = (unsigned)dice(2) * 500,
		};
	store_set_weather(&self.weather);
	simulation_note("weather: lost before %u, after %u, slow %u, stuck %u, late %u",
	                self.weather.lost_before, self.weather.lost_after, self.weather.slow,
	                self.weather.stuck, self.weather.late);
}

static void change_redis(void)
{
	self.away = !self.away;
	store_set_away(self.away);
	simulation_note("redis is %s", self.away ? "away" : "back");
}

static void cut(void)
{
	simulation_note("all connections are cut");
	store_cut();
}

static void forget_scripts(void)
{
	store_free(store_ask("SCRIPT FLUSH"));
	simulation_note("redis knows no script any more");
}

static void kill_one(void)
{
	kill_relay(random_relay());
}

static void stop_one(void)
{
	stop_relay(random_relay(), false);
}

static void stop_in_quiet(void)
{
	check_quiet();
	stop_relay(random_relay(), true);
	check_quiet();
}

static void start_one(void)
{
	start_relay(random_relay());
}

static void idle(void)
{
	simulation_note("nothing comes for a while");
	run_for(IDLE_MS);
}

static void do_event(void)
{
	static const struct {
		unsigned weight;
		void (*happens)(void);
	} events[] = {
		{ 160, open_stream },   { 400, offer_bytes },
		{ 100, end_one },       { 40, model_change_limits },
		{ 15, model_credit },   { 20, kill_one },
		{ 8, stop_one },        { 4, stop_in_quiet },
		{ 60, start_one },      { 30, change_redis },
		{ 40, change_weather }, { 15, cut },
		{ 30, meet_turn },      { 10, forget_scripts },
		{ 20, idle },           { 15, check_quiet },
	};
	unsigned all = 0, at;
	size_t i = 0;

	for (size_t n = 0; n < ARRAY_LEN(events); n++)
		all += events[n].weight;
	at = (unsigned)dice(all);
	while (at >= events[i].weight)
		at -= events[i++].weight;
	events[i].happens();
}

/* One seed */

static void begin(void)
{
	struct month first = month_of(INT64_C(1600000000) + (int64_t)dice(300000000));

	memset(&self, 0, sizeof(self));
	snprintf(self.last_record, sizeof(self.last_record), "-");
	model_reset(&first);
	simulation_set_wall(first.end_s * 1000 -
	                    (int64_t)(chance(600) ? dice_wide(1, 200000) : 10000000));
	self.quantum = (int64_t)dice_wide(65536, QUANTUM_MOST);
	self.relay_count = 1 + (unsigned)dice(MODEL_RELAYS);
	if (chance(300))
		self.defaults.global = (int64_t)dice_wide(1000, 1 << 30);
	if (chance(300))
		self.defaults.instance = (int64_t)dice_wide(1000, 1 << 29);
	if (chance(300))
		self.defaults.account.user = (int64_t)dice_wide(1000, 1 << 28);
	if (chance(300))
		self.defaults.account.domain = (int64_t)dice_wide(1000, 1 << 29);
	if (chance(300))
		self.defaults.account.file = (int64_t)dice_wide(1000, 1 << 28);
	simulation_note("quantum %lld, limits: global %lld, instance %lld, user %lld, domain %lld, "
	                "file %lld",
	                (long long)self.quantum, (long long)self.defaults.global,
	                (long long)self.defaults.instance, (long long)self.defaults.account.user,
	                (long long)self.defaults.account.domain,
	                (long long)self.defaults.account.file);
	store_observe(on_executed);
	for (unsigned i = 0; i < self.relay_count; i++) {
		self.relays[i].number = i;
		self.processes[i] = &self.relays[i].process;
		start_relay(&self.relays[i]);
	}
}

/* Whether KEY may be there at the end, and whether it has to expire. */
static void check_key(const char *key, bool a_day_later)
{
	static const char *const lasting[] = { "og:limits", "og:limit:", "og:transfers" };
	bool temporary = strncmp(key, "og:lease:", 9) == 0 || strncmp(key, "og:outbox:", 10) == 0;
	bool of_month = strncmp(key, "og:usage:", 9) == 0 || strncmp(key, "og:ledgers:", 11) == 0;
	int64_t life_s = store_ask_number(-3, "TTL %s", key);

	if (temporary)
		SIMULATION_HOLDS(life_s >= 0 && life_s <= DAY_S && !a_day_later,
		                 "%s stays for %lld s", key, (long long)life_s);
	else if (of_month)
		SIMULATION_HOLDS(life_s >= 0 && life_s <= YEARS_400_S, "%s stays for %lld s", key,
		                 (long long)life_s);
	else
		SIMULATION_HOLDS(strncmp(key, lasting[0], strlen(lasting[0])) == 0 ||
		                         strncmp(key, lasting[1], strlen(lasting[1])) == 0 ||
		                         strcmp(key, lasting[2]) == 0,
		                 "there is a key %s", key);
}

static void check_keys(bool a_day_later)
{
	struct redisReply *keys = store_ask("KEYS *");

	for (size_t i = 0; i < redis_reply_count(keys); i++)
		check_key(redis_reply_string(redis_reply_at(keys, i), NULL), a_day_later);
	store_free(keys);
}

static void end(void)
{
	static const struct model_held nothing;

	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (self.streams[i].kind != STREAM_NONE)
			end_stream(&self.streams[i]);
	check_quiet();
	for (unsigned i = 0; i < self.relay_count; i++)
		stop_relay(&self.relays[i], true);
	model_check_quiet(&nothing);
	check_keys(false);
	simulation_set_wall(simulation_wall_ms() + (DAY_S + 1) * INT64_C(1000));
	check_keys(true);
}

static void run(void)
{
	begin();
	while (simulation_step(STEPS)) {
		do_event();
		run_for(dice_wide(1, 4000));
		check();
	}
	end();
}

int main(void)
{
	static const struct simulation simulation = { "leases", store_start, store_reset, run,
		                                      store_stop };

	return simulation_main(&simulation);
}
