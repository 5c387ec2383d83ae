/*
 * One notification from the publish to its outcome, and what was stored of it to its end: the
 * device is looked up, the publisher is checked, the sender sends, a dead registration is taken
 * away. What can't be sent now is put into the store (keeper.h), from which the backlog takes it as
 * a delivery again. `gone` is only said when storage said so.
 *
 *   looking ──▶ sending ──▶ burying ──▶ leaving ──▶ ended
 *      │           │ ▲                     ▲
 *      └─▶ waiting │ │ on the wire, stored  │ what is stored goes, or goes back
 *            │     ▼ │ under a lease        │
 *            └──▶ storing ─────────────────┘
 */
#ifndef OG_PUSHD_DELIVERY_DELIVERY_H
#define OG_PUSHD_DELIVERY_DELIVERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "pushd/delivery/seat.h"
#include "pushd/device/device.h"
#include "pushd/provider/notification.h"
#include "pushd/provider/outcome.h"
#include "pushd/queue/store.h"
#include "pushd/sender/sender.h"

#define DELIVERY_RETRY_MS 1000 /* of one that is stored since it can't be sent now */

enum delivery_phase {
	DELIVERY_LOOKING, /* for its device */
	DELIVERY_WAITING, /* for another one of its device that is being stored */
	DELIVERY_STORING,
	DELIVERY_SENDING,
	DELIVERY_BURYING, /* or remembering that its token is doubtful */
	DELIVERY_LEAVING, /* what is stored of it goes, or goes back */
};

struct delivery {
	/* In: set before delivery_start(); for delivery_resume() only ended. */
	void (*settled)(struct delivery *delivery); /* there is an outcome: once */
	void (*ended)(struct delivery *delivery);   /* the last: DELIVERY may be freed in it */
	struct notification notification; /* its texts are borrowed until settled or abandoned */
	const json_t *item;               /* what it was read from: borrowed likewise */
	uint64_t deadline_ms;             /* by loop_now_ms(): nothing is sent again after it */
	/* Out: valid in settled and in ended. */
	enum outcome outcome;
	char reason[JUDGEMENT_REASON_MAX]; /* of OUTCOME_UNAVAILABLE */
	char id[JUDGEMENT_ID_MAX];         /* what the provider calls it: OUTCOME_SENT */
	/* The module's own, and its parts' (admission, keeper, reaction). */
	enum delivery_phase phase;
	bool answered;  /* settled was called; always, for one from the store */
	bool abandoned; /* nobody waits for the outcome */
	bool hurried;   /* its caller wants an outcome now */
	bool stored;    /* it is, or may be, in the store: there it must end too */
	bool putting;   /* being stored under a lease while it is on the wire */
	bool tried;     /* an attempt was made since it came from the store */
	bool seated;    /* it has taken the seat */
	bool slotted;   /* it waits in its device's slot, and is merged there */
	struct list_link link;
	struct device_query query;
	struct device device; /* its texts are in ARENA */
	struct device_removal removal;
	struct device_suspicion suspicion;
	struct sender *sender; /* NULL: not known yet */
	struct seat *seat;     /* held; NULL: it bypasses, or there is no interval */
	struct job job;
	struct store_call call;
	struct timer lease;    /* ends what we may do with it */
	uint64_t delay_ms;     /* until it is due in the store */
	struct list followers; /* older ones that are merged when this one is stored */
	struct list_link in_followers;
	char note_id[UUID_TEXT]; /* apns-id, and the store's name of it */
	enum priority priority;
	int64_t created_ms, expires_ms; /* by the wall clock */
	unsigned attempts;              /* that were made before it was stored last */
	json_t *own;                    /* the item, of one from the store */
	struct arena arena;
};

/* For the daemon's table of modules. */
extern const struct daemon_module delivery_module;

/* How many there are, and from how many on no new one should be started. */
size_t deliveries_count(void);
size_t deliveries_max(void);

/*
 * Nothing new is sent: what waits is stored or given back, what is on the wire has answer-within to
 * end. IDLE is called when none is left, perhaps before this returns.
 */
void deliveries_drain(void (*idle)(void));

/*
 * Starts DELIVERY, all zeros but what is In. settled and then ended are called, perhaps before this
 * returns.
 */
void delivery_start(struct delivery *delivery);

/* The same for ENTRY (borrowed for the call), which was taken from the store under a lease. */
void delivery_resume(struct delivery *delivery, const struct store_entry *entry);

/*
 * Its caller wants an outcome: what isn't on the wire is stored, what is goes on under a lease.
 * settled and ended may be called before this returns.
 */
void delivery_conclude(struct delivery *delivery);

/*
 * Nobody waits for the outcome any more: it is not sent, unless it is on the wire or stored
 * already. settled and ended are called as ever, perhaps before this returns.
 */
void delivery_abandon(struct delivery *delivery);

/* The provider of its device; NULL while that is not known. */
const struct conf_provider *delivery_provider(const struct delivery *delivery);

/* ---- for its parts ---- */

/* Its outcome is this, and nobody is told a second time. */
void delivery_answer(struct delivery *delivery, enum outcome outcome, const char *reason);

/* The outcome, and what is stored of it goes. */
void delivery_finish(struct delivery *delivery, enum outcome outcome, const char *reason);

/* Ends it; it has been answered. */
void delivery_end(struct delivery *delivery);

/* Sends it, now that it was let in, or has it stored when it can't be sent now. */
void delivery_dispatch(struct delivery *delivery);

/* It is ours in the store for a lease from now: it won't be with its sender for longer. */
void delivery_lease(struct delivery *delivery);

/* Gives it to its sender; what comes of it is the reaction's. */
void delivery_submit(struct delivery *delivery);

/* The provider's least time between two for its device; 0: none. */
uint64_t delivery_interval_ms(const struct delivery *delivery);

/* The seats of all devices. */
struct seats *deliveries_seats(void);

#endif
