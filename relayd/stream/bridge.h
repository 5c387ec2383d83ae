/*
 * Bridges: halves that came to this relay although another one owns their stream. Each has a
 * connection of its own to the owner, which sees it as the half itself and decides everything; here
 * bytes, ends and resets only pass through. Between its two halves a bridge is a stream that nobody
 * can ask for.
 *
 *   dialling ─▶ waiting (the owner granted the half, and so did we) ─▶ active ─▶ (ended)
 */
#ifndef OG_RELAYD_STREAM_BRIDGE_H
#define OG_RELAYD_STREAM_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relayd/stream/stream.h"

struct half;

/* The halves of a bridged stream. */
enum bridge_side { BRIDGE_CLIENT, BRIDGE_OWNER };

/* Module; stopping ends every bridge. */
extern const struct daemon_module bridge_module;

/*
 * Bridges HALF, which has no seat and waits for its grant, to the relay OWNER at PEER ("host:port")
 * for HASH. It is granted or refused when the owner has spoken.
 */
void bridge_open(struct half *half, const uint8_t hash[SOCKS5_HASH_LEN],
                 const struct stream_owner *owner);

/* True if this relay bridges at all. */
bool bridge_possible(void);

/* For stream.c: the end of a bridged stream, and bytes from its first half or to it. */
void bridge_end(struct stream *stream, enum stream_reason reason);
void bridge_count_bytes(unsigned side, uint64_t bytes);

/* How many there are, and the bytes that they have carried since the start. */
size_t bridge_count(void);
uint64_t bridge_bytes(void);

#endif
