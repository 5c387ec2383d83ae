/*
 * The header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, 2.2), by which a
 * balancer says whose connection it passes on: pure functions. As in socks5.h, the answer tells how
 * far to read, so that nothing behind the header is taken from the socket.
 */
#ifndef OG_RELAYD_WIRE_PROXYV2_H
#define OG_RELAYD_WIRE_PROXYV2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROXYV2_READ_MAX 52 /* the fixed part and two IPv6 addresses with ports */
#define PROXYV2_ADDRESS_LEN 16

enum proxyv2_status { PROXYV2_MORE, PROXYV2_DONE, PROXYV2_BAD };

struct proxyv2_answer {
	enum proxyv2_status status;
	size_t need; /* of PROXYV2_MORE: the length it has to have to be read on */
	size_t rest; /* of PROXYV2_DONE: bytes that belong to the header and say nothing (TLVs) */
};

/* Reads a header of which LEN bytes are there; bad at the first byte that can't be one. */
struct proxyv2_answer proxyv2_read(const uint8_t *bytes, size_t len);

/*
 * The client that a whole header names: its address as IPv6 (IPv4 mapped) and its port in host
 * order. False if it names none, as a health check (LOCAL) and a connection that isn't TCP over IP
 * do: then the connection's own address counts.
 */
bool proxyv2_source(const uint8_t *bytes, uint8_t address[PROXYV2_ADDRESS_LEN], uint16_t *port);

#endif
