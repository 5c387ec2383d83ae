#include "tests/bench/relay_load/activate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/relay_load/options.h"
#include "tests/bench/relay_load/step.h"
#include "tests/bench/relay_load/wire.h"

/* Connections that carry activations; a gateway keeps about as many. */
#define CONNECTIONS 16

static int connections[CONNECTIONS]; /* all open, or the first is 0 */

static const char body[] = "{\"parties\":[{\"user\":\"a@b.example\",\"domain\":\"b.example\"},"
                           "{\"user\":\"c@d.example\",\"domain\":\"d.example\"}],"
                           "\"deadline_ms\":3000}";

static void ask(int fd, const char *hash)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
	                   "POST /v1/streams/%s/activate HTTP/1.1\r\nHost: relay\r\n"
	                   "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
	                   "Content-Length: %zu\r\n\r\n%s",
	                   hash, options.token, strlen(body), body);

	if (len >= (int)sizeof(text))
		step_fail("the token is too long");
	wire_say(fd, text, (size_t)len);
}

/* How long the answer that begins with TEXT is; 0 while that can't be told. */
static size_t answer_length(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "\r\nContent-Length:");

	if (end == NULL || length == NULL)
		return 0;
	return (size_t)(end + 4 - text) + strtoul(length + 17, NULL, 10);
}

static void hear_success(int fd)
{
	char text[2048];
	size_t len = 0, wanted = 0;

	errno = 0;
	while (wanted == 0 || len < wanted) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (n <= 0)
			step_fail("an answer of the control API");
		len += (size_t)n;
		text[len] = '\0';
		wanted = answer_length(text);
	}
	if (strncmp(text, "HTTP/1.1 200", 12) != 0)
		step_fail("the relay didn't activate a stream");
}

void activate_end(void)
{
	for (unsigned i = 0; i < CONNECTIONS && connections[0] != 0; i++)
		close(connections[i]);
	connections[0] = 0;
}

void activate_streams(char (*hashes)[HASH_ROOM], unsigned count)
{
	unsigned asked = 0;

	if (connections[0] == 0) {
		for (unsigned i = 0; i < CONNECTIONS; i++)
			connections[i] = wire_dial(&options.control);
	}
	for (unsigned heard = 0; heard < count; heard++) {
		for (; asked < count && asked < heard + CONNECTIONS; asked++)
			ask(connections[asked % CONNECTIONS], hashes[asked]);
		hear_success(connections[heard % CONNECTIONS]);
	}
}
