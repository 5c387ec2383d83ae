/*
 * This relay's record in the registry, from which gateways choose the address that they give to
 * clients and the API that they call. Without Redis there is none.
 */
#ifndef OG_RELAYD_PRESENCE_H
#define OG_RELAYD_PRESENCE_H

/* Module, after listener and control. */
extern const struct daemon_module presence_module;

/* The record has changed: writes it at once. */
void presence_touch(void);

#endif
