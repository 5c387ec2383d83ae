/*
 * What must hold of notifications and devices, whatever pushd, Redis and the providers do: the
 * simulation tells what it does and sees, and any breach ends it (simulation_fail()).
 *
 * A notification is promised once it was answered `queued` or `merged`, or once it stands for one
 * that was. Then it waits in Redis until a provider has accepted it, another one stands for it, it
 * has expired or its device has gone. What was refused for good is never sent. One is sent twice
 * only where it is excused: something that nobody can know was lost with a connection or a process.
 */
#ifndef OG_TESTS_SIMULATION_QUEUE_MODEL_H
#define OG_TESTS_SIMULATION_QUEUE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/simulation/queue_pushd.h"

#define NOTES_MAX 512
#define NODES_MAX 128
#define JOBS_MAX 512
#define PUSHDS_MAX 3

/* A device in Redis: one life of a node. */
struct node {
	char name[DEVICE_HEX], secret[DEVICE_HEX];
	char domain[32];
	unsigned phone, provider;
	/* As it was seen last. */
	bool there;
	char token[PUSHD_TOKEN_SIZE], second_token[PUSHD_TOKEN_SIZE];
	int64_t registered_ms, expires_ms;
	/* What may take it away. */
	bool may_go; /* it was unregistered, or its account removed */
	unsigned suspicions;
	uint64_t absent_ns;           /* when it was seen not to be there last */
	uint64_t sent_ns[PUSHDS_MAX]; /* when each last sent one that held its gate */
};

enum class { CLASS_HIGH, CLASS_LOW, CLASS_DISMISSAL, CLASSES };

/* A notification. */
struct note {
	struct node *node;
	struct pushd *pushd; /* where it was published */
	enum content content;
	enum class class;
	int64_t count, created_ms, expires_ms; /* EXPIRES: also as it was prolonged */
	uint64_t created_ns, deadline_ns;
	char id[QUEUE_ID_SIZE];
	/* What was said. */
	uint64_t settled_ns;
	bool settled, promised, never; /* NEVER: it may not be sent any more */
	bool gone;                     /* answered so: to be compared with the next look */
	/* What came of it. */
	bool sent; /* a pushd was told that its provider has accepted it */
	uint64_t sent_ns;
	bool over; /* what was promised has come true */
	bool excused;
	/* In Redis, as it was seen last. */
	bool stored, was_stored;   /* now, and at the look before */
	bool slotted, was_slotted; /* in its device's slot */
	bool voip;
	uint64_t left_ns; /* when a pushd that had taken it last gave it back, or settled it */
	int64_t stored_expires_ms, stored_count;
	unsigned stored_attempts;
	/* With senders. */
	unsigned active;
	int64_t not_before_ms, delay_ms; /* the next attempt; the longest wait that it may get */
	unsigned tries;                  /* that count */
	uint64_t judged_ns;              /* the last one that failed */
};

/* What a sender has. */
struct work {
	struct pushd *pushd; /* NULL: unused */
	struct job *job;
	struct note *note;
	bool on_wire, gated, silent;
	int64_t registered_ms; /* of its device, as its pushd read it */
	uint64_t since_ns;
};

struct model {
	struct pushd *pushds; /* borrowed; all have the same configuration */
	unsigned pushds_count;
	bool stormy; /* connections, processes or time may fail: what is excused is */
	struct note notes[NOTES_MAX]; /* by number, from 1 */
	unsigned notes_count;
	struct node nodes[NODES_MAX];
	unsigned nodes_count;
	struct work works[JOBS_MAX];
	size_t stored; /* entries at the last look */
	int64_t next_due_ms;
};

extern struct model model;

void model_reset(struct pushd *pushds, unsigned count, bool stormy);

/* ---- what the simulation does ---- */

/* A new notification to NODE at PUSHD; its number. */
unsigned model_publish(struct pushd *pushd, struct node *node, enum content content, int64_t count,
                       uint64_t deadline_ms);

/* PHONE's device has NODE now; the same as before, or a new one. */
struct node *model_register(unsigned phone, unsigned provider, const char *name, const char *secret,
                            const char *domain);

/* WORK gets this verdict, by which its pushd will be told. */
void model_judge(struct work *work, const struct judgement *judgement);

/* WORK is with its sender no more. */
void model_end_work(struct work *work);

/* PUSHD is being killed: what it was busy with may be sent again. */
void model_kill(struct pushd *pushd);

/* Something was lost that anybody may have been busy with. */
void model_excuse_all(void);

/* ---- what it sees ---- */

void model_settled(struct pushd *pushd, unsigned number, const struct delivery *delivery,
                   bool heard);
void model_ended(struct pushd *pushd, unsigned number);
void model_hung_up(struct pushd *pushd, unsigned number, const struct delivery *delivery);
void model_resumed(struct pushd *pushd, const char *id);
void model_left(struct pushd *pushd, const char *id, const struct delivery *delivery);
struct work *model_submitted(struct pushd *pushd, struct job *job, unsigned number);
void model_taken_back(struct pushd *pushd, const struct job *job);

/* Looks into Redis and compares. */
void model_look(void);

/* Looks at the numbers of PUSHD, which runs. */
void model_count(struct pushd *pushd);

/* All that was promised has come true, and nothing is left. */
void model_end(void);

#endif
