/*
 * The activation of one bytestream: finds the relay that owns its hash (a claim in Redis; without
 * Redis every relay is asked), calls it, and answers the requester.
 */
#ifndef OG_XMPPGW_SERVICES_ACTIVATION_H
#define OG_XMPPGW_SERVICES_ACTIVATION_H

#include "xmppgw/component/iq.h"
#include "xmppgw/services/bytestreams.h"

/* Consumes IQ, now or later. */
void activation_start(struct iq *iq, const struct bytestream *bytestream);

/* Module. */
extern const struct daemon_module activation_module;

#endif
