#include "tests/fakes/http1.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"

#define LINE_MAX_BYTES 256 /* of a chunk's length and of a trailer */
#define IN_MAX (REQUEST_HEAD_MAX + REQUEST_BODY_MAX)
#define BODY_MAX (1u << 20)

static void end(struct http1 *http1, const char *reason, bool abrupt)
{
	if (http1->end != NULL)
		return;
	http1->end = reason;
	http1->abrupt = abrupt;
}

/* ---- the answer ---- */

static void add_field(struct http1 *http1, const char *name, const char *value)
{
	buf_printf(&http1->out, "%s: %s\r\n", name, value);
}

static void respond(struct http1 *http1)
{
	const struct answer *answer = &http1->answer;
	struct header header;
	size_t cursor = 0;

	buf_printf(&http1->out, "HTTP/1.1 %u %s\r\n", answer->status,
	           answer->status < 300 ? "OK" : "Error");
	if (answer->type != NULL && headers_find(&answer->extra, "content-type") == NULL)
		add_field(http1, "Content-Type", answer->type);
	while (headers_next(buf_data(&answer->extra), buf_len(&answer->extra), &cursor, &header))
		add_field(http1, header.name, header.value);
	if (http1->last)
		add_field(http1, "Connection", "close");
	buf_printf(&http1->out, "Content-Length: %zu\r\n\r\n", buf_len(&answer->body));
	buf_append(&http1->out, buf_data(&answer->body), buf_len(&answer->body));
	if (http1->last)
		end(http1, "client-asked", false);
	http1->state = HTTP1_HEAD;
}

static void cut(struct http1 *http1)
{
	end(http1, "scripted-close", true);
}

static void be_silent(struct http1 *http1)
{
}

/* There are no streams to refuse: what HTTP/2 has for that ends the connection. */
static void (*const acts[FAULTS])(struct http1 *http1) = {
	[FAULT_NONE] = respond, [FAULT_RST] = cut,          [FAULT_GOAWAY] = cut,
	[FAULT_CLOSE] = cut,    [FAULT_SILENT] = be_silent,
};

static void forget_request(struct http1 *http1)
{
	request_release(&http1->request);
	answer_release(&http1->answer);
}

static void act(struct http1 *http1)
{
	acts[http1->answer.fault](http1);
	if (http1->state == HTTP1_HEAD)
		forget_request(http1);
}

static void on_delay(struct timer *timer)
{
	struct http1 *http1 = container_of(timer, struct http1, delay.timer);

	list_remove(&http1->delay.link);
	act(http1);
	http1->wake(http1);
}

/* The request has come in full: answers it, or starts the delay that a script wants. */
static void complete(struct http1 *http1)
{
	struct request *request = &http1->request;

	http1->state = HTTP1_ANSWERING;
	http1->requests++;
	request_complete(request);
	if (request->provider == PROVIDER_APNS) {
		http1->service->stats.bytes_without_h2 +=
		        buf_len(&request->head) + request->body_total;
		end(http1, "apns-without-h2", true);
		return;
	}
	service_answer(http1->service, request, http1->connection, &http1->answer);
	if (http1->answer.delay_ms > 0)
		delay_begin(&http1->delay, &http1->service->delayed, http1->answer.delay_ms);
	else
		act(http1);
}

/* ---- the request ---- */

static void add_header(struct http1 *http1, const char *name, const char *value)
{
	const struct header header = { name, value };

	if (request_add_header(&http1->request, header, strlen(name), strlen(value)) < 0)
		end(http1, "head-too-long", true);
}

/* What a field means for the message itself; NAME is in lower case. */
static void heed(struct http1 *http1, const char *name, const char *value)
{
	if (strcmp(name, "content-length") == 0)
		http1->left = strtoul(value, NULL, 10);
	else if (strcmp(name, "transfer-encoding") == 0)
		http1->chunked = strcasecmp(value, "chunked") == 0;
	else if (strcmp(name, "connection") == 0)
		http1->last = strcasecmp(value, "close") == 0;
	else if (strcmp(name, "expect") == 0)
		http1->expects = strcasecmp(value, "100-continue") == 0;
	else if (strcmp(name, "host") == 0)
		add_header(http1, ":authority", value);
}

static void take_field(struct http1 *http1, char *line)
{
	char *value = strchr(line, ':');

	if (value == NULL) {
		end(http1, "bad-http1", true);
		return;
	}
	*value++ = '\0';
	value += strspn(value, " \t");
	for (char *c = line; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	heed(http1, line, value);
	add_header(http1, line, value);
}

/* "POST /token HTTP/1.1" */
static void take_request_line(struct http1 *http1, char *line)
{
	char *path = strchr(line, ' '), *version = path != NULL ? strchr(path + 1, ' ') : NULL;

	if (version == NULL || strcmp(version, " HTTP/1.1") != 0) {
		end(http1, "bad-http1", true);
		return;
	}
	*path++ = *version = '\0';
	add_header(http1, ":method", line);
	add_header(http1, ":path", path);
}

static void take_head(struct http1 *http1, char *head)
{
	char *rest = head, *line = strsep(&rest, "\n");

	http1->left = 0;
	http1->chunked = http1->last = http1->expects = false;
	for (bool first = true; line != NULL && http1->end == NULL; first = false) {
		line[strcspn(line, "\r")] = '\0';
		if (first)
			take_request_line(http1, line);
		else
			take_field(http1, line);
		line = strsep(&rest, "\n");
	}
	if (http1->left > BODY_MAX)
		end(http1, "body-too-long", true);
	if (http1->expects)
		buf_text(&http1->out, "HTTP/1.1 100 Continue\r\n\r\n");
	http1->state = http1->chunked ? HTTP1_CHUNK : HTTP1_BODY;
}

/*
 * The steps take from what came; false: more has to come first. A step that ends the connection
 * says false too.
 */

static bool step_head(struct http1 *http1)
{
	const char *in = buf_data(&http1->in);
	size_t len = buf_len(&http1->in);
	const char *tail = len > 0 ? memmem(in, len, "\r\n\r\n", 4) : NULL;
	char *head;

	if (tail == NULL && len > REQUEST_HEAD_MAX)
		end(http1, "head-too-long", true);
	if (tail == NULL)
		return false;
	head = mem_printf("%.*s", (int)(tail - in), in);
	buf_consume(&http1->in, (size_t)(tail - in) + 4);
	take_head(http1, head);
	free(head);
	return http1->end == NULL;
}

/* Moves what there is of the body, or of the chunk; true when all of it came. */
static bool move_body(struct http1 *http1)
{
	size_t len = buf_len(&http1->in);
	size_t count = len < http1->left ? len : http1->left;

	request_add_body(&http1->request, buf_data(&http1->in), count);
	buf_consume(&http1->in, count);
	http1->left -= count;
	return http1->left == 0;
}

static bool step_body(struct http1 *http1)
{
	if (!move_body(http1))
		return false;
	complete(http1);
	return true;
}

/* Takes a line (LINE_MAX_BYTES) without its end; false: it hasn't come yet. */
static bool take_line(struct http1 *http1, char *line)
{
	const char *in = buf_data(&http1->in);
	size_t len = buf_len(&http1->in);
	const char *tail = len > 0 ? memchr(in, '\n', len) : NULL;

	if ((tail == NULL ? len : (size_t)(tail - in)) >= LINE_MAX_BYTES)
		end(http1, "bad-http1", true);
	if (tail == NULL || http1->end != NULL)
		return false;
	memcpy(line, in, (size_t)(tail - in));
	line[tail - in] = '\0';
	line[strcspn(line, "\r")] = '\0';
	buf_consume(&http1->in, (size_t)(tail - in) + 1);
	return true;
}

static bool step_chunk(struct http1 *http1)
{
	char line[LINE_MAX_BYTES];

	if (!take_line(http1, line))
		return false;
	if (line[0] == '\0') /* behind the chunk before */
		return true;
	http1->left = strtoul(line, NULL, 16);
	if (http1->left > BODY_MAX || http1->request.body_total > BODY_MAX) {
		end(http1, "body-too-long", true);
		return false;
	}
	http1->state = http1->left > 0 ? HTTP1_DATA : HTTP1_TRAILER;
	return true;
}

static bool step_data(struct http1 *http1)
{
	if (!move_body(http1))
		return false;
	http1->state = HTTP1_CHUNK;
	return true;
}

static bool step_trailer(struct http1 *http1)
{
	char line[LINE_MAX_BYTES];

	if (!take_line(http1, line))
		return false;
	if (line[0] == '\0')
		complete(http1);
	return true;
}

static bool step_answering(struct http1 *http1)
{
	return false;
}

static bool (*const steps[])(struct http1 *http1) = {
	[HTTP1_HEAD] = step_head,       [HTTP1_BODY] = step_body,
	[HTTP1_CHUNK] = step_chunk,     [HTTP1_DATA] = step_data,
	[HTTP1_TRAILER] = step_trailer, [HTTP1_ANSWERING] = step_answering,
};

/* ---- the session ---- */

static void start_request(struct http1 *http1)
{
	http1->request.environment = http1->environment;
	http1->request.client = &http1->client;
}

static void progress(struct http1 *http1)
{
	do {
		start_request(http1);
	} while (http1->end == NULL && steps[http1->state](http1));
}

void http1_start(struct http1 *http1)
{
	http1->in.max = IN_MAX;
	http1->delay.timer.expired = on_delay;
	start_request(http1);
}

void http1_feed(struct http1 *http1, const void *data, size_t len)
{
	if (buf_append(&http1->in, data, len) < 0)
		end(http1, "too-much-at-once", true);
	progress(http1);
}

size_t http1_output(struct http1 *http1, char *out, size_t size)
{
	size_t count;

	progress(http1); /* what came while a delayed answer was due */
	count = buf_len(&http1->out);
	if (count > size)
		count = size;
	if (count > 0)
		memcpy(out, buf_data(&http1->out), count);
	buf_consume(&http1->out, count);
	return count;
}

void http1_stop(struct http1 *http1)
{
	delay_stop(&http1->delay);
	forget_request(http1);
	buf_release(&http1->in);
	buf_release(&http1->out);
	client_release(&http1->client);
}
