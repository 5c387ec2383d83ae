/*
 * Which relay owns a hash: the first to set the key claim:HASH in Redis, to "ID EPOCH". The claim
 * is renewed while the stream waits, left to run out once it is active, and removed at its end if
 * it is still this relay's. Without Redis every claim is granted.
 */
#ifndef OG_RELAYD_FLEET_CLAIM_H
#define OG_RELAYD_FLEET_CLAIM_H

#include <stdbool.h>

struct stream;

/* Module; after the store. */
extern const struct daemon_module claim_module;

/*
 * Claims a new stream's hash. True: it is ours already; false: stream_claimed() will tell, in a
 * later turn.
 */
bool claim_take(struct stream *stream);

/* The stream is active: its claim is not renewed any more. */
void claim_rest(struct stream *stream);

/* The stream ends, or its claim isn't wanted any more: stream_claimed() isn't called. */
void claim_drop(struct stream *stream);

#endif
