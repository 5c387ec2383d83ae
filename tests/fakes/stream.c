#include "tests/fakes/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define FIELDS_MAX 40 /* more than a rule may have */

struct stream *stream_new(struct session *session, int32_t id)
{
	struct stream *stream = mem_alloc(1, sizeof(*stream));

	stream->session = session;
	stream->id = id;
	stream->request.environment = session->environment;
	stream->request.binding = &session->binding;
	stream->request.client = &session->client;
	list_append(&session->streams, &stream->link);
	return stream;
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *out, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream *stream = source->ptr;
	size_t rest = buf_len(&stream->answer.body) - stream->body_sent;
	size_t count = rest < size ? rest : size;

	memcpy(out, buf_data(&stream->answer.body) + stream->body_sent, count);
	stream->body_sent += count;
	if (count == rest)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)count;
}

static nghttp2_nv make_field(const char *name, const char *value, uint8_t flags)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
		             flags };
}

/* The answer's header fields; how many. STATUS holds the text of the first. */
static size_t make_fields(const struct answer *answer, const char *status, nghttp2_nv *fields)
{
	const struct buf *extra = &answer->extra;
	struct header header;
	size_t count = 0, cursor = 0;

	fields[count++] = make_field(":status", status, NGHTTP2_NV_FLAG_NONE);
	if (answer->id[0] != '\0') /* each is used once: not worth a place in the table */
		fields[count++] = make_field("apns-id", answer->id, NGHTTP2_NV_FLAG_NO_INDEX);
	if (answer->type != NULL && headers_find(extra, "content-type") == NULL)
		fields[count++] = make_field("content-type", answer->type, NGHTTP2_NV_FLAG_NONE);
	while (count < FIELDS_MAX &&
	       headers_next(buf_data(extra), buf_len(extra), &cursor, &header))
		fields[count++] = make_field(header.name, header.value, NGHTTP2_NV_FLAG_NONE);
	return count;
}

static void respond(struct stream *stream)
{
	struct session *session = stream->session;
	struct answer *answer = &stream->answer;
	nghttp2_data_provider body = { { .ptr = stream }, read_body };
	nghttp2_nv fields[FIELDS_MAX];
	char status[16];
	size_t count;

	snprintf(status, sizeof(status), "%u", answer->status);
	count = make_fields(answer, status, fields);
	nghttp2_submit_response(session->h2, stream->id, fields, count,
	                        buf_len(&answer->body) > 0 ? &body : NULL);
	if (stream->request.provider == PROVIDER_APNS)
		session_limit(session, answer->status == 200 ? SESSION_STREAMS_APNS : 1);
}

static void reset(struct stream *stream)
{
	nghttp2_submit_rst_stream(stream->session->h2, NGHTTP2_FLAG_NONE, stream->id,
	                          stream->answer.error_code);
}

/* A stream's number that a peer may have opened: odd, or 0 for none. */
static int32_t peers_stream(int32_t id)
{
	if (id <= 0)
		return 0;
	return id % 2 == 0 ? id - 1 : id;
}

/*
 * A stream up to the last one is still answered, if the script says with what. None is promised
 * that hasn't come: nghttp2 would leave it without an answer.
 */
static void go_away(struct stream *stream)
{
	struct answer *answer = &stream->answer;
	int32_t last =
	        answer->goaway_last == ANSWER_LAST_BEFORE ? stream->id - 2 : answer->goaway_last;

	if (last > stream->session->last_stream)
		last = stream->session->last_stream;
	stream->session->goaway = true;
	nghttp2_submit_goaway(stream->session->h2, NGHTTP2_FLAG_NONE, peers_stream(last),
	                      answer->error_code, (const uint8_t *)buf_data(&answer->debug),
	                      buf_len(&answer->debug));
	stream->session->silent = answer->goaway_silent;
	if (answer->status != 0 && last >= stream->id && !answer->goaway_silent)
		respond(stream);
}

static void cut(struct stream *stream)
{
	session_end(stream->session, "scripted-close", true);
}

static void be_silent(struct stream *stream)
{
}

static void (*const acts[FAULTS])(struct stream *stream) = {
	[FAULT_NONE] = respond, [FAULT_RST] = reset,        [FAULT_GOAWAY] = go_away,
	[FAULT_CLOSE] = cut,    [FAULT_SILENT] = be_silent,
};

static void act(struct stream *stream)
{
	if (!stream->session->silent)
		acts[stream->answer.fault](stream);
}

static void on_delay(struct timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, delay.timer);

	list_remove(&stream->delay.link);
	act(stream);
	stream->session->wake(stream->session);
}

void stream_complete(struct stream *stream)
{
	struct session *session = stream->session;
	struct answer *answer = &stream->answer;

	request_complete(&stream->request);
	if (stream->request.provider != PROVIDER_APNS) {
		session->google = true;
		session_limit(session, SESSION_STREAMS_GOOGLE);
	}
	service_answer(session->service, &stream->request, session->connection, answer);
	stream->delay.timer.expired = on_delay;
	if (answer->delay_ms > 0)
		delay_begin(&stream->delay, &session->service->delayed, answer->delay_ms);
	else
		act(stream);
}

void stream_free(struct stream *stream)
{
	delay_stop(&stream->delay);
	list_remove(&stream->link);
	request_release(&stream->request);
	answer_release(&stream->answer);
	free(stream);
}
