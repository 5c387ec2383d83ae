#include "tests/bench/relay_load/pair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/bench/relay_load/activate.h"
#include "tests/bench/relay_load/options.h"
#include "tests/bench/relay_load/step.h"
#include "tests/bench/relay_load/wire.h"

#define CONNECT_NAME "\x05\x01\x00\x03\x28" /* and the hash, and port 0: XEP-0065, 6.3.2 */
#define CONNECT_NAME_LEN (5 + HASH_ROOM)
#define CONNECT_IPV4 "\x05\x01\x00\x01" /* and address and port; the answer is as long */
#define CONNECT_IPV4_LEN 10

static void say_greeting(int fd)
{
	wire_say(fd, "\x05\x01\x00", 3);
}

static void hear_greeting(int fd)
{
	unsigned char answer[2];

	wire_hear(fd, answer, sizeof(answer));
	if (answer[0] != 5 || answer[1] != 0)
		step_fail("the relay wants authentication");
}

static void hear_grant(int fd, size_t len)
{
	unsigned char answer[CONNECT_NAME_LEN];

	wire_hear(fd, answer, len);
	if (answer[1] != 0)
		step_fail("the relay refused a connection");
}

static void say_name(int fd, const char *hash)
{
	char request[CONNECT_NAME_LEN] = CONNECT_NAME;

	memcpy(request + 5, hash, HASH_LEN);
	wire_say(fd, request, sizeof(request));
}

static void say_sink(int fd)
{
	char request[CONNECT_IPV4_LEN] = CONNECT_IPV4;

	memcpy(request + 4, &options.sink.in.sin_addr, 4);
	memcpy(request + 8, &options.sink.in.sin_port, 2);
	wire_say(fd, request, sizeof(request));
}

/* The hash of the next stream: made up, or what the driver wants it to be. */
static void next_hash(char hash[HASH_ROOM])
{
	static unsigned serial;

	errno = 0;
	if (!options.hashes)
		snprintf(hash, HASH_LEN + 1, "%020d%020u", (int)getpid(), serial++);
	else
		step_read_line(hash, HASH_ROOM);
	if (strlen(hash) != HASH_LEN)
		step_fail("a hash has 40 digits");
}

/* Both halves of all, each step for all of them, so that the relay never waits for us. */
static void open_bytestreams(struct pair *pairs, unsigned count)
{
	char hashes[PAIRS_AT_ONCE][HASH_ROOM];
	int ends[2 * PAIRS_AT_ONCE];

	for (unsigned i = 0; i < 2 * count; i++) {
		ends[i] = wire_dial(&options.relay);
		say_greeting(ends[i]);
	}
	for (unsigned i = 0; i < 2 * count; i++) {
		if (i % 2 == 0)
			next_hash(hashes[i / 2]);
		hear_greeting(ends[i]);
		say_name(ends[i], hashes[i / 2]);
	}
	for (unsigned i = 0; i < 2 * count; i++)
		hear_grant(ends[i], CONNECT_NAME_LEN);
	if (options.control.sa.sa_family != 0)
		activate_streams(hashes, count);
	for (unsigned i = 0; i < count; i++)
		pairs[i] = (struct pair){ ends[2 * i], ends[2 * i + 1] };
}

/* One pair whose far end comes to the sink; the next waits for it, so that ends don't mix. */
static void open_to_sink(struct pair *pair, int listener)
{
	pair->near = wire_dial(options.route == ROUTE_DIRECT ? &options.sink : &options.relay);
	if (options.route == ROUTE_SOCKS) {
		say_greeting(pair->near);
		hear_greeting(pair->near);
		say_sink(pair->near);
		hear_grant(pair->near, CONNECT_IPV4_LEN);
	}
	pair->far = wire_accept(listener);
}

static void open_all_to_sink(struct pair *pairs, unsigned count)
{
	int listener = wire_listen(&options.sink);

	if (net_local(listener, &options.sink) != 0)
		step_fail("the sink's address");
	for (unsigned i = 0; i < count; i++)
		open_to_sink(&pairs[i], listener);
	close(listener);
}

void pairs_open(struct pair *pairs, unsigned count)
{
	/* Others have short backlogs, and a connection that overflows one takes seconds. */
	const unsigned at_once = options.control.sa.sa_family != 0 ? PAIRS_AT_ONCE : 1;

	if (options.route != ROUTE_BYTESTREAM) {
		open_all_to_sink(pairs, count);
		return;
	}
	for (unsigned done = 0, some; done < count; done += some) {
		some = count - done < at_once ? count - done : at_once;
		open_bytestreams(pairs + done, some);
	}
}

void pairs_close(const struct pair *pairs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		close(pairs[i].near);
		close(pairs[i].far);
	}
}
