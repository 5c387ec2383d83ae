/*
 * Bridges: halves that came to this relay although another one owns their stream. Each has a
 * connection of its own to the owner, which sees it as the half itself and decides everything; here
 * bytes, ends and resets only pass through.
 *
 *   dialling ─▶ waiting (the owner granted the half) ─▶ active ─▶ closing ─▶ (ended)
 */
#ifndef OG_RELAYD_STREAM_BRIDGE_H
#define OG_RELAYD_STREAM_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relayd/fleet/claim.h"
#include "relayd/fleet/dial.h"
#include "relayd/io/pair.h"

/* Module; stopping ends every bridge. */
extern const struct daemon_module bridge_module;

/*
 * Bridges CLIENT, which has no place and waits for its grant, to the relay OWNER for HASH. DIALLED
 * is called in a later turn, unless the client leaves first: with DIAL_GRANTED the client has to be
 * granted; with any other outcome it has no place any more, the bridge is gone, and the client has
 * to be refused. It may be closed in there. False, and nothing has happened: this relay doesn't
 * bridge, or OWNER has no address for it.
 */
bool bridge_open(struct conn *client, const uint8_t hash[SOCKS5_HASH_LEN],
                 const struct claim_owner *owner,
                 void (*dialled)(struct conn *client, enum dial_outcome outcome));

/* How many there are, and the bytes that they have carried since the start. */
size_t bridge_count(void);
uint64_t bridge_bytes(void);

#endif
