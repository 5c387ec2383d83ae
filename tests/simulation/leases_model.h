/*
 * What the ledgers of sim_leases.c must say: limits as they were set, bytes that were relayed by
 * ledger and month, and what Redis has of both.
 *
 * Used bytes in Redis are what was relayed, what leases hold, what is on its way (granted or given
 * back), and what was forfeited by relays that are dead, less credits. So between two quiet moments
 * the difference to what was relayed and is held has bounds, and once all is quiet it is known.
 */
#ifndef OG_TESTS_SIMULATION_LEASES_MODEL_H
#define OG_TESTS_SIMULATION_LEASES_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "relayd/quota/lease.h"
#include "relayd/quota/month.h"

#define MODEL_USERS 4
#define MODEL_DOMAINS 2
#define MODEL_RELAYS 3
#define MODEL_MONTHS 2 /* a run goes from one to the next, at most */
#define MODEL_LEDGERS (MODEL_USERS + MODEL_DOMAINS + MODEL_RELAYS + 1)
#define MODEL_CHARGES_MAX 6

struct model_limits {
	int64_t file, user, domain; /* bytes; 0: not set; -1: forbidden */
};

/* Those that the configuration of all relays has. */
struct model_defaults {
	struct model_limits account;
	int64_t instance, global;
};

/* The ledgers of a stream, in relayd's order, and their limits when it was opened. */
struct model_charge {
	size_t count;
	int ledgers[MODEL_CHARGES_MAX];
	int64_t limits[MODEL_CHARGES_MAX]; /* 0: none */
	int64_t file;                      /* likewise, of the stream itself */
	bool forbidden;
};

/* What all leases hold now, by ledger and month. */
struct model_held {
	int64_t bytes[MODEL_LEDGERS][MODEL_MONTHS];
};

/* A new seed, which begins in FIRST, and in which nothing is limited. */
void model_reset(const struct month *first);

/* A user, by number: bare JID and domain. */
struct party model_party(unsigned user, bool charged);

/* Changes limits through relayd's own scripts: of one user or domain, at random. */
void model_change_limits(void);

/* Lowers a random ledger through relayd's own script. */
void model_credit(void);

/* What a stream between PARTIES at RELAY would be charged to now. */
struct model_charge model_charge(const struct party parties[2], unsigned relay,
                                 const struct model_defaults *defaults);

const char *model_ledger_name(int ledger);

/* The place of MONTH (its number) in the run; fails if it is none of the two. */
int model_month(unsigned month);

/* The true month, now. */
const struct month *model_true_month(void);

/* A stream with CHARGE has relayed BYTES (negative: put back) in MONTH. Fails above a limit. */
void model_relayed(const struct model_charge *charge, int month, int64_t bytes);

/* A relay that dies may forfeit what is on its way now, and BYTES more of the ledgers of CHARGE. */
void model_forfeit_on_way(const struct model_held *held);
void model_forfeit(const struct model_charge *charge, int64_t bytes);

/* What is used may never be less than what was relayed and is held. */
void model_check(const struct model_held *held);

/* Nothing is on its way: what is used is known to the byte. */
void model_check_quiet(const struct model_held *held);

/* Redis has just said that LEDGER is over LIMIT. */
void model_check_denial(const char *ledger, int64_t limit);

#endif
