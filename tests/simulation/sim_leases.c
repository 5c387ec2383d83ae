/* relayd's leases: relays of one fleet take bytes from the ledgers that they share. */
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/lease.h"
#include "relayd/quota/outbox.h"
#include "tests/simulation/process.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/store.h"

#define RELAYS 2
#define QUANTUM (1 << 20)

static const struct daemon_module *const modules[] = { &fleet_module, &outbox_module,
	                                               &calendar_module, &lease_module, NULL };
static const struct party parties[2] = { { "a@x", "x", true }, { "b@y", "y", true } };

static struct relay {
	struct process process;
	struct relay_conf conf;
	struct lease *lease;
	bool granted;
} relays[RELAYS];
static struct process *const processes[RELAYS] = { &relays[0].process, &relays[1].process };

static void on_opened(struct lease *lease, enum ledger_verdict verdict)
{
	for (int i = 0; i < RELAYS; i++)
		if (relays[i].lease == lease)
			relays[i].granted = verdict == LEDGER_GRANTED;
}

static void start(struct relay *relay, const char *id)
{
	relay->conf = (struct relay_conf){ .id = (char *)id,
		                           .redis = (char *)store_url(),
		                           .redis_prefix = (char *)"og:",
		                           .quantum_bytes = QUANTUM,
		                           .transfers_max = 1000 };
	relay->process = (struct process){ .name = id, .modules = modules, .config = &relay->conf };
	process_start(&relay->process);
	relay->lease = lease_open(parties, on_opened);
}

static int64_t used(void)
{
	return store_ask_number(0, "HGET og:usage:%u global", calendar_month()->number);
}

static void run(void)
{
	start(&relays[0], "relay-1");
	start(&relays[1], "relay-2");
	process_run(processes, RELAYS, 1000);
	SIMULATION_HOLDS(relays[0].granted && relays[1].granted, "a lease isn't granted");
	SIMULATION_HOLDS(used() == RELAYS * QUANTUM, "%lld bytes are used", (long long)used());
	for (int i = 0; i < RELAYS; i++) {
		process_enter(&relays[i].process);
		lease_free(relays[i].lease);
	}
	process_run(processes, RELAYS, 1000);
	SIMULATION_HOLDS(used() == 0, "%lld bytes are used", (long long)used());
	for (int i = 0; i < RELAYS; i++)
		process_stop(&relays[i].process);
}

int main(void)
{
	static const struct simulation simulation = { "leases", store_start, store_reset, run,
		                                      store_stop };

	return simulation_main(&simulation);
}
