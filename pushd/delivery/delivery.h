/*
 * One notification, from the publish to its outcome, and to the end of its entry in the queue. Its
 * device is looked up, the publisher is checked, the sender sends, a dead registration is removed.
 * A notification that can't be sent now is put into the queue, from which redeliver takes it as a
 * delivery again. `gone` is said only when Redis said that the registration isn't there.
 *
 *   LOOKING ──▶ SENDING ──▶ SECURING ──▶ LEASED    on the wire, and in the queue under a lease
 *    │  │  │      │  │       (JUDGED)     ▲  │
 *    │  │  └──────┼──┼────────────────────┘  │     from the queue
 *    │  ▼         ▼  └──▶ REMOVING ◀─────────┤     a dead or suspect token
 *    │  WAITING ──▶ ENQUEUEING               ▼
 *    └──────────────────────────────────▶ LEAVING  its entry is settled, or given back
 *
 * It ends from any phase; with an entry in the queue, from LEAVING alone but when pushd stops.
 */
#ifndef OG_PUSHD_DELIVERY_DELIVERY_H
#define OG_PUSHD_DELIVERY_DELIVERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/daemon.h"
#include "pushd/delivery/coalesce.h"
#include "pushd/device/device.h"
#include "pushd/provider/notification.h"
#include "pushd/provider/outcome.h"
#include "pushd/queue/queue.h"
#include "pushd/sender/sender.h"

enum delivery_phase {
	DELIVERY_LOOKING,    /* for its device */
	DELIVERY_WAITING,    /* for another one of its device that is being put into the queue */
	DELIVERY_ENQUEUEING, /* it is being put into the queue, and ends then */
	DELIVERY_SENDING,    /* its sender has it */
	DELIVERY_SECURING,   /* on the wire, and being put into the queue under a lease */
	DELIVERY_JUDGED,     /* the verdict came while it was SECURING: the queue hasn't answered */
	DELIVERY_LEASED,     /* its sender has it, and we the lease of its entry in the queue */
	DELIVERY_REMOVING,   /* its registration is being removed, or its token marked suspect */
	DELIVERY_LEAVING,    /* its entry in the queue is being settled or given back */
};

struct delivery {
	/* In: set before delivery_start(); for delivery_resume() only ended. */
	void (*settled)(struct delivery *delivery); /* there is an outcome: once */
	void (*ended)(struct delivery *delivery);   /* the last call: DELIVERY may be freed in it */
	/*
	 * Instead of settled: the node is an alias of DEVICES (their nodes, borrowed for the call).
	 * NULL when the node is not what a server published to: then it is no alias.
	 */
	void (*aliased)(struct delivery *delivery, const struct device *devices, size_t count);
	struct notification notification; /* its texts are borrowed until settled or abandoned */
	const json_t *item;               /* what it was read from: borrowed likewise */
	/* By loop_now_ms(): no attempt begins after it, neither a first one nor a retry. */
	uint64_t deadline_ms;
	/* Out: valid in settled and in ended. */
	enum outcome outcome;
	char reason[JUDGEMENT_REASON_MAX]; /* of OUTCOME_UNAVAILABLE */
	char id[JUDGEMENT_ID_MAX];         /* what the provider calls it: OUTCOME_SENT */
	/* Out: always valid: when its device was found, by loop_now_ms(); 0: not yet. */
	uint64_t known_ms;
	/* The module's own. */
	enum delivery_phase phase;
	bool answered;    /* settled was called; always, for one from the queue */
	bool caller_gone; /* nobody waits for the outcome */
	bool concluding;  /* its caller wants an outcome now */
	bool in_queue;    /* it has, or may have, an entry in the queue, which must end too */
	bool half_put;    /* Redis didn't answer a put on the wire, and it isn't in_queue: what
	                     is final settles the entry that may be there */
	bool attempted;   /* an attempt was made since it came from the queue */
	bool late;        /* newer ones may have overtaken it on their way into the queue */
	bool holds_gate;  /* it is the one on its way to its device */
	bool unanswered;  /* Redis gave no answer to at least one look-up of its device */
	bool coalescable; /* in the queue it waits in its device's slot */
	struct list_link link;
	struct device_query query;
	struct device device; /* its texts are in ARENA */
	struct device_removal removal;
	struct device_suspicion suspicion;
	struct sender *sender; /* NULL: not known yet */
	struct gate *gate;     /* held; NULL: it bypasses, or there is no interval */
	struct waiter waiter;  /* at GATE */
	struct job job;
	struct queue_call call;
	struct timer lease;       /* then its entry isn't ours any more */
	struct timer again;       /* then Redis is asked again: LOOKING, ENQUEUEING, SECURING */
	uint64_t secured_ms;      /* by loop_now_ms(), when it was first put under a lease */
	uint64_t send_until_ms;   /* no request is sent after it: deadline_ms, or answer-within
	                             after its device was found */
	uint64_t delay_ms;        /* until it is due in the queue */
	char queue_id[UUID_TEXT]; /* the name of its entry, and the apns-id */
	enum priority priority;
	int64_t created_ms, expires_ms; /* by the wall clock */
	unsigned attempts;              /* before it was put into the queue last */
	json_t *own;                    /* the item, of one from the queue */
	struct arena arena;
};

/* For the daemon's table of modules. */
extern const struct daemon_module delivery_module;

/* How many there are, and from how many on no new one should be started. */
size_t deliveries_count(void);
size_t deliveries_max(void);

/*
 * QUEUED is told that a notification was put into the queue: SENDER is to send it, DELAY_MS from
 * now.
 */
void deliveries_watch(void (*queued)(const struct sender *sender, uint64_t delay_ms));

/*
 * No request is sent any more: deliveries that wait are put into the queue or given back to it,
 * those on the wire have answer-within to end. IDLE is called when no delivery is left, perhaps
 * before this returns.
 */
void deliveries_drain(void (*idle)(void));

/*
 * Starts DELIVERY, all zeros but what is In. settled (or aliased) and then ended are called,
 * perhaps before this returns.
 */
void delivery_start(struct delivery *delivery);

/* The same for ENTRY (borrowed for the call), which was taken from the queue under a lease. */
void delivery_resume(struct delivery *delivery, const struct queue_entry *entry);

/*
 * Its caller wants an outcome: unless it is on the wire it is put into the queue; on the wire it
 * goes on, with an entry in the queue under a lease. settled and ended may be called before this
 * returns.
 */
void delivery_conclude(struct delivery *delivery);

/*
 * Nobody waits for the outcome any more: DELIVERY is not sent, unless it is on the wire or in the
 * queue already. settled and ended are called as ever, perhaps before this returns.
 */
void delivery_abandon(struct delivery *delivery);

/* The provider of its device; NULL while that is not known. */
const struct conf_provider *delivery_provider(const struct delivery *delivery);

#endif
