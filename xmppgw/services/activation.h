/*
 * The activation of a bytestream (XEP-0065 5.3.3): finds the relay that owns the stream's hash (a
 * claim in Redis; without Redis every relay is asked), calls it, and answers the requester.
 */
#ifndef OG_XMPPGW_SERVICES_ACTIVATION_H
#define OG_XMPPGW_SERVICES_ACTIVATION_H

#include "xmppgw/component/iq.h"

/* Module. */
extern const struct daemon_module activation_module;

/* A row of the route table. */
extern const struct iq_service activation_service;

#endif
