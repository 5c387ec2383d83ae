#include "tests/simulation/leases_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/redis/redis.h"
#include "relayd/api/limits_delete.lua.h"
#include "relayd/api/limits_put.lua.h"
#include "relayd/quota/ledger_credit.lua.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/store.h"

#define LIMIT_LEAST 1000
#define LIMIT_MOST (INT64_C(200) << 20)
#define CAPS_MAX 64

static const char *const users[MODEL_USERS][2] = {
	{ "a@x", "x" }, { "b@x", "x" }, { "c@y", "y" }, { "d@y", "y" }
};
static const char *const domains[MODEL_DOMAINS] = { "x", "y" };
static const char *const ledger_names[MODEL_LEDGERS] = {
	"user:a@x", "user:b@x",         "user:c@y",         "user:d@y",         "domain:x",
	"domain:y", "instance:relay-1", "instance:relay-2", "instance:relay-3", "global",
};
#define DOMAIN_LEDGERS MODEL_USERS
#define INSTANCE_LEDGERS (MODEL_USERS + MODEL_DOMAINS)
#define GLOBAL_LEDGER (MODEL_LEDGERS - 1)

/* Bytes of the streams that have this limit. */
struct cap {
	int64_t limit, relayed;
};

/* A ledger in a month. */
struct ledger {
	int64_t relayed;
	int64_t least, most; /* of the used bytes, less those relayed and held */
	int64_t credited;
	struct cap caps[CAPS_MAX];
	size_t cap_count;
};

static struct {
	struct month months[MODEL_MONTHS];
	struct model_limits rows[MODEL_USERS + MODEL_DOMAINS];
	struct ledger ledgers[MODEL_LEDGERS][MODEL_MONTHS];
} model;

void model_reset(const struct month *first)
{
	memset(&model, 0, sizeof(model));
	model.months[0] = *first;
	model.months[1] = month_of(first->end_s);
}

struct party model_party(unsigned user, bool charged)
{
	return (struct party){ users[user][0], users[user][1], charged };
}

const char *model_ledger_name(int ledger)
{
	return ledger_names[ledger];
}

int model_month(unsigned month)
{
	for (int i = 0; i < MODEL_MONTHS; i++)
		if (model.months[i].number == month)
			return i;
	simulation_fail("%u is no month of this run", month);
}

const struct month *model_true_month(void)
{
	int64_t now_s = simulation_wall_ms() / 1000;

	return &model.months[now_s >= model.months[0].end_s];
}

/* Limits */

static int64_t random_limit(void)
{
	if (chance(350))
		return 0;
	return chance(50) ? -1 : (int64_t)dice_wide(LIMIT_LEAST, LIMIT_MOST);
}

void model_change_limits(void)
{
	size_t which = dice(MODEL_USERS + MODEL_DOMAINS);
	struct model_limits *row = &model.rows[which];
	const char *name = which < MODEL_USERS ? users[which][0] : domains[which - MODEL_USERS];

	*row = (struct model_limits){ 0 };
	if (chance(200)) {
		store_free(store_ask("EVAL %s 2 og:limits og:limit: %s", limits_delete_lua, name));
		simulation_note("%s has no limits of its own", name);
		return;
	}
	*row = (struct model_limits){ random_limit(), random_limit(), random_limit() };
	store_free(store_ask("EVAL %s 2 og:limits og:limit: %s %lld %lld %lld", limits_put_lua,
	                     name, (long long)row->file, (long long)row->user,
	                     (long long)row->domain));
	simulation_note("limits of %s: file %lld, user %lld, domain %lld", name,
	                (long long)row->file, (long long)row->user, (long long)row->domain);
}

static int64_t first_set(int64_t user, int64_t domain, int64_t fallback)
{
	return user != 0 ? user : domain != 0 ? domain : fallback;
}

static int find(const char *name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	simulation_fail("nobody knows %s", name);
}

static int user_of(const struct party *party)
{
	int i = 0;

	while (strcmp(users[i][0], party->user) != 0)
		i++;
	return i;
}

/* Each limit is the user's, else its domain's, else the default. */
static struct model_limits limits_of(const struct party *party, const struct model_limits *defaults)
{
	const struct model_limits *user = &model.rows[user_of(party)];
	const struct model_limits *domain =
	        &model.rows[MODEL_USERS + find(party->domain, domains, MODEL_DOMAINS)];

	return (struct model_limits){
		.file = first_set(user->file, domain->file, defaults->file),
		.user = first_set(user->user, domain->user, defaults->user),
		.domain = first_set(user->domain, domain->domain, defaults->domain),
	};
}

static int64_t lower(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void add_charge(struct model_charge *charge, int ledger, int64_t limit)
{
	charge->forbidden |= limit < 0;
	for (size_t i = 0; i < charge->count; i++) {
		if (charge->ledgers[i] != ledger)
			continue;
		charge->limits[i] = lower(charge->limits[i], limit);
		return;
	}
	charge->ledgers[charge->count] = ledger;
	charge->limits[charge->count++] = limit;
}

struct model_charge model_charge(const struct party parties[2], unsigned relay,
                                 const struct model_defaults *defaults)
{
	struct model_charge charge = { 0 };
	struct model_limits limits[2] = { { 0 } };

	for (int i = 0; i < 2; i++) {
		if (!parties[i].charged)
			continue;
		limits[i] = limits_of(&parties[i], &defaults->account);
		charge.file = lower(charge.file, limits[i].file);
		charge.forbidden |= limits[i].file < 0;
		add_charge(&charge, user_of(&parties[i]), limits[i].user);
	}
	for (int i = 0; i < 2; i++)
		if (parties[i].charged)
			add_charge(&charge,
			           DOMAIN_LEDGERS + find(parties[i].domain, domains, MODEL_DOMAINS),
			           limits[i].domain);
	add_charge(&charge, INSTANCE_LEDGERS + (int)relay, defaults->instance);
	add_charge(&charge, GLOBAL_LEDGER, defaults->global);
	return charge;
}

/* Ledgers */

static const char ask_script[] =
        "local names = {unpack(ARGV, 3)}\n"
        "return {redis.call('HMGET', 'og:usage:' .. ARGV[1], unpack(names)),\n"
        "        redis.call('HMGET', 'og:usage:' .. ARGV[2], unpack(names))}";

static int64_t used(int ledger, int month)
{
	return store_ask_number(0, "HGET og:usage:%u %s", model.months[month].number,
	                        ledger_names[ledger]);
}

void model_credit(void)
{
	int which = (int)dice(MODEL_LEDGERS), month = model_month(model_true_month()->number);
	struct ledger *ledger = &model.ledgers[which][month];
	int64_t before = used(which, month), bytes = (int64_t)dice_wide(1, LIMIT_MOST);

	store_free(store_ask("EVAL %s 2 og:ledgers:%u og:usage:%u %s %lld", ledger_credit_lua,
	                     model.months[month].number, model.months[month].number,
	                     ledger_names[which], (long long)bytes));
	bytes = before - used(which, month);
	ledger->credited += bytes;
	ledger->least -= bytes;
	simulation_note("%s is credited %lld bytes", ledger_names[which], (long long)bytes);
}

/*
 * Streams whose limit is LIMIT or lower have relayed no more than that: when the last of them was
 * granted its bytes, all that was used was within LIMIT.
 */
static void check_cap(int which, const struct ledger *ledger, int64_t limit)
{
	int64_t relayed = 0;

	for (size_t i = 0; i < ledger->cap_count; i++)
		if (ledger->caps[i].limit <= limit)
			relayed += ledger->caps[i].relayed;
	SIMULATION_HOLDS(relayed <= limit + ledger->credited,
	                 "%s: %lld bytes were relayed, of %lld and %lld credited",
	                 ledger_names[which], (long long)relayed, (long long)limit,
	                 (long long)ledger->credited);
}

static struct cap *cap_of(struct ledger *ledger, int64_t limit)
{
	for (size_t i = 0; i < ledger->cap_count; i++)
		if (ledger->caps[i].limit == limit)
			return &ledger->caps[i];
	SIMULATION_HOLDS(ledger->cap_count < CAPS_MAX, "too many limits");
	ledger->caps[ledger->cap_count] = (struct cap){ .limit = limit };
	return &ledger->caps[ledger->cap_count++];
}

void model_relayed(const struct model_charge *charge, int month, int64_t bytes)
{
	for (size_t i = 0; i < charge->count; i++) {
		struct ledger *ledger = &model.ledgers[charge->ledgers[i]][month];

		ledger->relayed += bytes;
		if (charge->limits[i] == 0)
			continue;
		cap_of(ledger, charge->limits[i])->relayed += bytes;
		for (size_t n = 0; n < ledger->cap_count; n++)
			if (ledger->caps[n].limit >= charge->limits[i])
				check_cap(charge->ledgers[i], ledger, ledger->caps[n].limit);
	}
}

void model_forfeit_on_way(const struct model_held *held)
{
	for (int i = 0; i < MODEL_LEDGERS; i++) {
		for (int m = 0; m < MODEL_MONTHS; m++) {
			struct ledger *ledger = &model.ledgers[i][m];
			int64_t rest = used(i, m) - ledger->relayed - held->bytes[i][m];

			if (rest > ledger->most)
				ledger->most = rest;
		}
	}
}

void model_forfeit(const struct model_charge *charge, int64_t bytes)
{
	for (size_t i = 0; i < charge->count; i++)
		for (int m = 0; m < MODEL_MONTHS; m++)
			model.ledgers[charge->ledgers[i]][m].most += bytes;
}

/* What Redis says of all ledgers in both months; a round trip for each would take longer. */
static struct redisReply *ask_all(void)
{
	const char *const *n = ledger_names;

	return store_ask("EVAL %s 0 %u %u %s %s %s %s %s %s %s %s %s %s", ask_script,
	                 model.months[0].number, model.months[1].number, n[0], n[1], n[2], n[3],
	                 n[4], n[5], n[6], n[7], n[8], n[9]);
}

/* A return to a ledger that was credited may find less in it than it brings. */
static void check_ledger(int which, int month, int64_t in_redis, int64_t held, bool quiet)
{
	struct ledger *ledger = &model.ledgers[which][month];
	int64_t rest = in_redis - ledger->relayed - held;
	int64_t most = ledger->most + ledger->credited;

	if (rest < ledger->least || (quiet && rest > most))
		simulation_fail("%s in %u: too %s is used: %lld, with %lld relayed and %lld held, "
		                "is %lld instead of %lld to %lld",
		                ledger_names[which], model.months[month].number,
		                rest < ledger->least ? "little" : "much", (long long)in_redis,
		                (long long)ledger->relayed, (long long)held, (long long)rest,
		                (long long)ledger->least, (long long)most);
	if (quiet)
		ledger->least = ledger->most = rest;
}

static void check_all(const struct model_held *held, bool quiet)
{
	struct redisReply *reply = ask_all();

	for (int m = 0; m < MODEL_MONTHS; m++) {
		const struct redisReply *row = redis_reply_at(reply, (size_t)m);

		for (int i = 0; i < MODEL_LEDGERS; i++)
			check_ledger(i, m, redis_reply_integer(redis_reply_at(row, (size_t)i), 0),
			             held->bytes[i][m], quiet);
	}
	store_free(reply);
}

void model_check(const struct model_held *held)
{
	check_all(held, false);
}

void model_check_quiet(const struct model_held *held)
{
	check_all(held, true);
}

void model_check_denial(const char *name, int64_t limit)
{
	int ledger = find(name, ledger_names, MODEL_LEDGERS);
	int month = model_month(model_true_month()->number);

	SIMULATION_HOLDS(limit > 0 && used(ledger, month) >= limit,
	                 "%s is denied at %lld bytes, and its limit is %lld", name,
	                 (long long)used(ledger, month), (long long)limit);
}
