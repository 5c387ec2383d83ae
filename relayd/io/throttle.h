/*
 * Rates: how many bytes per second a stream, a user and this relay may read at most (stream-rate,
 * user-rate, relay-rate), each by a bucket of tokens. A pair waits until its buckets have a good
 * piece for it, so that the pump still moves large chunks; those that wait for the same bucket take
 * turns. Nothing is allocated while no rate is set.
 */
#ifndef OG_RELAYD_IO_THROTTLE_H
#define OG_RELAYD_IO_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct bucket;
struct relay_conf;
struct task;
struct throttle;

/* The configuration stays borrowed: its rates may change. */
void throttle_start(const struct relay_conf *config);
void throttle_stop(void);

/* Some rate is set. */
bool throttle_has_rates(void);

/* A bucket of user-rate for all streams of one user: free(), after their throttles. */
struct bucket *throttle_bucket_new(void);

/*
 * What holds one pair back: by a bucket of its own, those of its USERS (each NULL: none) and the
 * relay's. TASK is started when it may go on.
 */
struct throttle *throttle_new(struct task *task, struct bucket *const users[2]);

/* THROTTLE may be NULL. A bucket that no throttle waits for has no timer: its owner may free it. */
void throttle_free(struct throttle *throttle);

/* Bytes that may be read now; 0: none; UINT64_MAX: no rate is set any more. */
uint64_t throttle_allows(struct throttle *throttle);

/* BYTES were read, at most as many as were allowed. */
void throttle_spend(struct throttle *throttle, uint64_t bytes);

/* There are bytes to be read: false if some are allowed, else the task will be started. */
bool throttle_wait(struct throttle *throttle);

/* True until that start; THROTTLE may be NULL. */
bool throttle_waits(const struct throttle *throttle);

#endif
