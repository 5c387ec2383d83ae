/*
 * All links of this gateway, one for each configured component.
 */
#ifndef OG_XMPPGW_COMPONENT_LINKS_H
#define OG_XMPPGW_COMPONENT_LINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "xmppgw/component/link.h"

/* Module. */
extern const struct daemon_module links_module;

/* The links, in the order of the configuration; they live from start to stop. */
size_t links_count(void);
struct link *links_at(size_t index);

/* Ends in order: what has been read is answered, the streams are closed, then the process exits. */
void links_drain(void);

/* True while every component's stream is up. */
bool links_all_up(void);

/* Logs each link's state. */
void links_dump(void);

#endif
