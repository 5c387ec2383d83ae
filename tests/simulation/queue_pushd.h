/*
 * One pushd of the simulation: its real modules from the device to the queue, on a sender whose
 * verdicts are ordered, and with callers that behave as those of api/notifications.c do.
 */
#ifndef OG_TESTS_SIMULATION_QUEUE_PUSHD_H
#define OG_TESTS_SIMULATION_QUEUE_PUSHD_H

#include <stdbool.h>
#include <stdint.h>

#include "pushd/conf.h"
#include "pushd/delivery/delivery.h"
#include "pushd/device/device.h"
#include "pushd/sender/sender.h"
#include "tests/simulation/process.h"

#define PUSHD_COMPONENT "push.example.org"
#define PUSHD_PROVIDERS 2
#define PUSHD_TOKEN_SIZE 16

/* What a publish says. */
enum content {
	CONTENT_MESSAGE,   /* high */
	CONTENT_STATE,     /* low, with a count */
	CONTENT_DISMISSAL, /* low, with count 0 */
	CONTENT_CALL,      /* VoIP where the device has a second token, else high */
	CONTENT_REMOVAL,   /* the account has gone; low */
	CONTENTS
};

struct pushd;

/* The sender of one provider, as its refusals are ordered. */
struct sender {
	struct pushd *pushd;
	const struct conf_provider *provider;
	enum sender_refusal refusal;
	unsigned room;
	bool trusted, full;
};

struct pushd {
	/* Before pushd_start(). */
	unsigned index;
	struct conf conf;
	struct conf_provider providers[PUSHD_PROVIDERS];
	/* The module's own. */
	struct process process;
	struct sender senders[PUSHD_PROVIDERS];
	char name[16];
	bool draining, drained;
	unsigned received, ended; /* publishes */
	unsigned taken, left;     /* from the queue */
};

/* What the owner is told. Nothing of a killed pushd. */
struct pushd_watch {
	/* HEARD: the caller was still there. */
	void (*settled)(struct pushd *pushd, unsigned number, const struct delivery *delivery,
	                bool heard);
	/* DELIVERY, of a publish, is over; it may have given an entry back. */
	void (*ended)(struct pushd *pushd, unsigned number);
	/* The caller's deadline has come, or it went: delivery_abandon() follows. */
	void (*hung_up)(struct pushd *pushd, unsigned number, const struct delivery *delivery);
	void (*resumed)(struct pushd *pushd, const char *id);
	void (*left)(struct pushd *pushd, const char *id, const struct delivery *delivery);
	/* JOB's number is that of its notification. ON_WIRE is what the owner decides. */
	void (*submitted)(struct pushd *pushd, struct job *job, unsigned number);
	void (*taken_back)(struct pushd *pushd, const struct job *job);
	/* NODE and SECRET are NULL when it isn't registered. */
	void (*registered)(struct pushd *pushd, unsigned phone, const char *node,
	                   const char *secret);
	void (*unregistered)(struct pushd *pushd, unsigned phone, enum device_result result);
};

/* Who is told, by all of them (borrowed). */
void pushd_watch(const struct pushd_watch *watch);

/* CONF and providers are set; the providers' ids, too. */
void pushd_start(struct pushd *pushd);

/* Stops it as a second SIGTERM does; KILLED: nothing that it sends reaches anybody. */
void pushd_stop(struct pushd *pushd, bool killed);

/* As SIGTERM does. */
void pushd_drain(struct pushd *pushd);

struct pushd_publish {
	unsigned number;
	const char *node, *secret; /* SECRET "": none */
	const char *domain;
	enum content content;
	int64_t count;
	uint64_t deadline_ms; /* from now */
};

/* A caller publishes; settled is told, or hung_up. ID: as what it is known from now on. */
void pushd_publish(struct pushd *pushd, const struct pushd_publish *order, char id[QUEUE_ID_SIZE]);

/* The caller of NUMBER goes, if it is still there. */
void pushd_hang_up(struct pushd *pushd, unsigned number);

/* DEVICE is registered, or unregistered; PHONE is what the answer is about. */
void pushd_register(struct pushd *pushd, unsigned phone, const struct device *device);
void pushd_unregister(struct pushd *pushd, unsigned phone, const struct device *device);

/* JOB goes on the wire. */
void pushd_wire(struct job *job);

/* The verdict on JOB, which was submitted and not taken back. */
void pushd_judge(struct pushd *pushd, struct job *job, const struct judgement *judgement,
                 unsigned tries);

/* How many deliveries it says that it is busy with. */
size_t pushd_deliveries(struct pushd *pushd);

#endif
