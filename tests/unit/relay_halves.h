/*
 * A relay without Redis, from its connections to its streams, and clients of it over loopback, for
 * the tests of what deals with halves.
 */
#ifndef OG_TESTS_UNIT_RELAY_HALVES_H
#define OG_TESTS_UNIT_RELAY_HALVES_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/net/resolve.h"
#include "relayd/conf.h"
#include "relayd/fleet/claim.h"
#include "relayd/fleet/dial.h"
#include "relayd/fleet/fleet.h"
#include "relayd/front/handshake.h"
#include "relayd/front/source_limit.h"
#include "relayd/io/conn.h"
#include "relayd/io/pair.h"
#include "relayd/io/pump.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"
#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define HALVES_NAME "0123456789abcdefabcdef0123456789abcdef01"
#define HALVES_REQUEST "\x05\x01\x00\x03\x28" HALVES_NAME "\x12\x34"

static struct relay_conf halves_conf = {
	.id = (char *)"relay-1",
	.redis = (char *)"none",
	.redis_prefix = (char *)"og:",
	.peer_listen = (char *)"127.0.0.1:0",
	.peer_secret = (char *)"secret",
	.handshake_timeout_ms = 60000,
	.pending_timeout_ms = 60000,
	.idle_timeout_ms = 60000,
	.connection_max = 100,
	.pending_max = 50,
	.pending_per_address_max = 20,
	.connections_per_address_max = 100,
};

static inline void halves_setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	pump_module.start(&halves_conf);
	fleet_module.start(&halves_conf);
	claim_module.start(&halves_conf);
	conn_module.start(&halves_conf);
	pair_module.start(&halves_conf);
	source_limit_module.start(&halves_conf);
	handshake_module.start(&halves_conf);
	stream_module.start(&halves_conf);
	dial_module.start(&halves_conf);
	bridge_module.start(&halves_conf);
}

static inline void halves_teardown(void)
{
	bridge_module.stop();
	dial_module.stop();
	stream_module.stop();
	handshake_module.stop();
	source_limit_module.stop();
	pair_module.stop();
	claim_module.stop();
	fleet_module.stop();
	pump_module.stop();
	resolve_release();
	ck_assert_uint_eq(conn_count(), 0);
	loop_release();
}

static inline const uint8_t *halves_hash(void)
{
	static uint8_t hash[SOCKS5_HASH_LEN];

	ck_assert_int_eq(socks5_hash_parse(HALVES_NAME, SOCKS5_NAME_LEN, hash), 0);
	return hash;
}

/* A socket of the relay's, to which *FAR is connected; ADDRESS is *FAR's. */
static inline int halves_connect(int *far, union net_address *address)
{
	int ends[2];

	tcp_pair(ends);
	*far = ends[0];
	ck_assert_int_eq(net_local(ends[0], address), 0);
	return ends[1];
}

/* The client's end of a connection that the relay has accepted. */
static inline int halves_accept(enum handshake_origin origin)
{
	union net_address address;
	int far, fd = halves_connect(&far, &address);

	handshake_accept(fd, &address, origin);
	return far;
}

static inline void halves_send(int far, const void *data, size_t len)
{
	ck_assert_int_eq(send(far, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The number of bytes that came, 0 at the end, or an errno as negative. */
static inline ssize_t halves_read(int far, void *data, size_t size)
{
	ssize_t n = recv(far, data, size, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

/* Waits for LEN bytes, which have to be those of EXPECTED. */
static inline void halves_expect(int far, const void *expected, size_t len)
{
	char data[300];

	ck_assert_uint_le(len, sizeof(data));
	WAIT_UNTIL(recv(far, data, len, MSG_PEEK | MSG_DONTWAIT) == (ssize_t)len);
	ck_assert_int_eq(halves_read(far, data, len), (ssize_t)len);
	ck_assert_mem_eq(data, expected, len);
}

/* Waits until the relay has ended the connection, with 0 (a FIN) or a negative errno. */
static inline void halves_expect_end(int far, ssize_t end)
{
	char byte;
	ssize_t n = 1;

	WAIT_UNTIL((n = halves_read(far, &byte, 1)) != -EAGAIN);
	ck_assert_int_eq(n, end);
}

/* A client that has asked for the name, and was granted. */
static inline int halves_join(void)
{
	int far = halves_accept(ORIGIN_CLIENT);

	halves_send(far, "\x05\x01\x00", 3);
	halves_expect(far, "\x05\x00", 2);
	halves_send(far, HALVES_REQUEST, SOCKS5_REQUEST_LEN);
	halves_expect(far, "\x05\x00\x00\x03\x28" HALVES_NAME "\x12\x34", SOCKS5_GRANT_LEN);
	return far;
}

#endif
