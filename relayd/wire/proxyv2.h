/*
 * The header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, 2.2), in which a
 * balancer names the client whose connection it forwards. Pure.
 */
#ifndef OG_RELAYD_WIRE_PROXYV2_H
#define OG_RELAYD_WIRE_PROXYV2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relayd/wire/parse.h"

#define PROXYV2_READ_MAX 52 /* the fixed part and two IPv6 addresses with ports */
#define PROXYV2_ADDRESS_LEN 16

/*
 * Reads a header of which LEN bytes are there; bad at the first byte that can't belong to one.
 * Done: `rest` counts the TLVs behind the addresses, which are ignored.
 */
struct parse proxyv2_read(const uint8_t *bytes, size_t len);

/*
 * The client that a whole header names: its address as IPv6 (IPv4 mapped) and its port in host
 * order. False if the header names none (LOCAL, as in a health check, or a connection that isn't
 * TCP over IP): then the connection's own address is the client's.
 */
bool proxyv2_source(const uint8_t *bytes, uint8_t address[PROXYV2_ADDRESS_LEN], uint16_t *port);

#endif
