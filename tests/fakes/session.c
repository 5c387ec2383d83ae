#include "tests/fakes/session.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/stream.h"

/*
 * nghttp2 refuses streams that race with a lower limit before the peer has acknowledged it; the
 * real ones don't. So nghttp2 is told a number that is never reached, and ours goes on the wire.
 */
#define LIMIT_TOLD 4000

/*
 * nghttp2 1.57 brought this function, and a security update of Debian 12 its 1.52. Neither the
 * header nor the library need have it: where it is missing there is no such limit, and its address
 * is NULL.
 */
void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst,
                                                uint64_t rate) __attribute__((weak));

#define FRAME_HEAD 9 /* RFC 9113 section 4.1 */
#define SETTING 6    /* section 6.5.1 */
#define PINGS_MAX 2  /* Google takes no more in a row */

static void submit_limit(struct session *session)
{
	const nghttp2_settings_entry entry = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		                               LIMIT_TOLD };

	if (session->limit_pending || session->limit_sent == session->limit_wanted)
		return;
	nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, &entry, 1);
	session->limit_sent = session->limit_wanted;
	session->limit_pending = true;
}

void session_limit(struct session *session, unsigned streams)
{
	session->limit_wanted = streams;
}

void session_end(struct session *session, const char *reason, bool abrupt)
{
	if (session->end != NULL)
		return;
	session->end = reason;
	session->abrupt = abrupt;
}

static void go_away(struct session *session, const char *debug)
{
	nghttp2_submit_goaway(session->h2, NGHTTP2_FLAG_NONE, session->last_stream,
	                      NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)debug, strlen(debug));
	session_end(session, "enhance-your-calm", false);
}

/* A stream over the limit that the peer knows of ends the connection, in each provider's words. */
static int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *head, void *user)
{
	struct session *session = user;

	if (head->type != NGHTTP2_HEADERS || head->stream_id <= session->last_stream)
		return 0;
	if (session->open >= session->limit_acked) {
		go_away(session, session->google
		                         ? "exceeded_max_concurrent_streams"
		                         : "Maximum active streams violated for this endpoint.");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	session->last_stream = head->stream_id;
	return 0;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct session *session = user;
	struct stream *stream;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	stream = stream_new(session, frame->hd.stream_id);
	nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, stream);
	session->requests++;
	session->pings = 0;
	stats_stream_opened(&session->service->stats, ++session->open);
	return 0;
}

/* A malformed request is an error of its stream (RFC 9113, section 8.1.1). */
static int refuse(nghttp2_session *h2, int32_t id)
{
	nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	struct header header = { (const char *)name, (const char *)value };

	if (stream == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (!h2_request_field(&stream->form, header.name, name_len, header.value, value_len))
		return refuse(h2, frame->hd.stream_id);
	if (request_add_header(&stream->request, header, name_len, value_len) < 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, id);

	if (stream != NULL)
		request_add_body(&stream->request, data, len);
	return 0;
}

static void on_settings(struct session *session, const nghttp2_frame *frame)
{
	if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
		return;
	session->limit_acked = session->limit_sent;
	session->limit_pending = false;
}

/* FCM: never PING. */
static void on_ping(struct session *session, const nghttp2_frame *frame)
{
	if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
		return;
	session->service->stats.pings++;
	if (session->google && ++session->pings > PINGS_MAX)
		go_away(session, "too_many_pings");
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct session *session = user;
	bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	struct stream *stream;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		on_settings(session, frame);
	else if (frame->hd.type == NGHTTP2_PING)
		on_ping(session, frame);
	if (!may_end || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	stream = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (stream != NULL && h2_request_whole(&stream->form, stream->request.body_total))
		stream_complete(stream);
	else if (stream != NULL)
		refuse(h2, frame->hd.stream_id);
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user)
{
	struct session *session = user;
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, id);

	if (stream == NULL)
		return 0;
	stream_free(stream);
	session->open--;
	stats_stream_closed(&session->service->stats);
	return 0;
}

/* The callbacks and options are the same for all sessions. */
static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *made;

	if (nghttp2_session_callbacks_new(&made) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_frame_callback(made, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(made, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
	return made;
}

static nghttp2_option *make_options(void)
{
	nghttp2_option *made;

	if (nghttp2_option_new(&made) != 0)
		abort();
	/* libcurl 7.88 resets every stream that is done: that must not look like an attack. */
	if (nghttp2_option_set_stream_reset_rate_limit != NULL)
		nghttp2_option_set_stream_reset_rate_limit(made, UINT64_MAX, UINT64_MAX);
	nghttp2_option_set_no_closed_streams(made, 1);
	nghttp2_option_set_no_http_messaging(made, 1); /* h2_request.h does that */
	return made;
}

/* What APNs announces first. */
static void submit_first_settings(struct session *session)
{
	const nghttp2_settings_entry entries[] = {
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 4096 },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, LIMIT_TOLD },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535 },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16384 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, REQUEST_HEAD_MAX },
	};

	nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, entries, ARRAY_LEN(entries));
	session->limit_wanted = session->limit_sent =
	        session->client.present ? SESSION_STREAMS_APNS : 1;
	session->limit_acked = UINT_MAX;
	session->limit_pending = true;
}

void session_start(struct session *session)
{
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *options = make_options();

	list_init(&session->streams);
	if (nghttp2_session_server_new2(&session->h2, callbacks, session, options) != 0)
		abort();
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(options);
	submit_first_settings(session);
}

/* True when nghttp2 has nothing more to say or to hear: a protocol error, or the peer has left. */
static bool session_over(const struct session *session)
{
	return !session->goaway && !nghttp2_session_want_read(session->h2) &&
	       !nghttp2_session_want_write(session->h2);
}

void session_feed(struct session *session, const void *data, size_t len)
{
	ssize_t taken = nghttp2_session_mem_recv(session->h2, data, len);

	if (taken < 0)
		session_end(session, "bad-http2", false);
}

/* Puts the limit that we want on the wire in place of the one that nghttp2 was told. */
static void patch_settings(struct session *session)
{
	uint8_t *copy = session->settings;

	assert(session->frame_len <= sizeof(session->settings));
	memcpy(copy, session->frame, session->frame_len);
	session->frame = copy;
	for (size_t at = FRAME_HEAD; at + SETTING <= session->frame_len; at += SETTING) {
		if ((copy[at] << 8 | copy[at + 1]) != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
			continue;
		copy[at + 2] = copy[at + 3] = 0;
		copy[at + 4] = (uint8_t)(session->limit_sent >> 8);
		copy[at + 5] = (uint8_t)session->limit_sent;
	}
}

/* Fetches the next frame's bytes; false when there is none. */
static bool next_frame(struct session *session)
{
	ssize_t len = nghttp2_session_mem_send(session->h2, &session->frame);

	if (len < 0)
		session_end(session, "out-of-memory", true);
	if (len <= 0)
		return false;
	session->frame_len = (size_t)len;
	if (len > FRAME_HEAD && session->frame[3] == NGHTTP2_SETTINGS)
		patch_settings(session);
	return true;
}

size_t session_output(struct session *session, char *out, size_t size)
{
	size_t used = 0;

	submit_limit(session);
	while (used < size && (session->frame_len > 0 || next_frame(session))) {
		size_t room = size - used;
		size_t count = session->frame_len < room ? session->frame_len : room;

		memcpy(out + used, session->frame, count);
		session->frame += count;
		session->frame_len -= count;
		used += count;
	}
	if (used == 0 && session_over(session))
		session_end(session, "done", false);
	return used;
}

void session_stop(struct session *session)
{
	list_for_each (link, &session->streams) {
		stream_free(container_of(link, struct stream, link));
		stats_stream_closed(&session->service->stats);
	}
	nghttp2_session_del(session->h2);
	session->h2 = NULL;
	apns_binding_release(&session->binding);
	client_release(&session->client);
}
