/* All configured providers' senders, by the provider's id. */
#ifndef OG_PUSHD_SENDER_SENDERS_H
#define OG_PUSHD_SENDER_SENDERS_H

#include <stddef.h>

#include "pushd/sender/sender.h"

/* For the daemon's table of modules. */
extern const struct daemon_module senders_module;

/* Logs how each is: for the daemon's dump of its state. */
void senders_dump(void);

/* The sender of the provider ID, or NULL when none is configured. */
struct sender *senders_find(const char *id);

size_t senders_count(void);
struct sender *senders_at(size_t index);

#endif
