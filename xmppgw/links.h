/*
 * All links of this gateway, one for each configured component.
 */
#ifndef OG_XMPPGW_LINKS_H
#define OG_XMPPGW_LINKS_H

#include <stdbool.h>

/* Module. */
int links_start(void *config);
void links_stop(void);

/* Ends in order: what has been read is answered, the streams are closed, then the process exits. */
void links_drain(void);

/* True while every component's stream is up. */
bool links_all_up(void);

/* Logs each link's state. */
void links_dump(void);

#endif
