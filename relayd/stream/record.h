/*
 * What is kept of transfers: a record of each one that was activated, and an event where a limit
 * ended it, so that its users are told. Both go to Redis by the outbox; bodies in schemas/relayd.
 */
#ifndef OG_RELAYD_STREAM_RECORD_H
#define OG_RELAYD_STREAM_RECORD_H

struct stream;
struct denial;

/* STREAM, which was active and has both halves still, ends for REASON (text). */
void record_transfer(const struct stream *stream, const char *reason);

/* STREAM ends for DENIAL; says nothing if its tag doesn't name component, requester and target. */
void record_over_limit(const struct stream *stream, const struct denial *denial);

#endif
