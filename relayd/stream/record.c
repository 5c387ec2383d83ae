#include "relayd/stream/record.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/loop.h"
#include "relayd/fleet/store.h"
#include "relayd/io/half.h"
#include "relayd/quota/denial.h"
#include "relayd/quota/outbox.h"
#include "relayd/stream/stream.h"

static json_t *hash_of(const struct stream *stream)
{
	char hash[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, hash);
	return json_string(hash);
}

/* Takes BODY, and gives it as text to WRITE. */
static void write_json(json_t *body, void (*write)(const char *text))
{
	char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	write(text);
	free(text);
}

void record_transfer(const struct stream *stream, const char *reason)
{
	json_t *about;

	if (store_redis() == NULL)
		return;
	about = json_loads(stream->about, 0, NULL);
	write_json(json_pack("{s:o, s:O, s:O?, s:[I,I], s:I, s:I, s:s, s:s}", "hash",
	                     hash_of(stream), "parties", json_object_get(about, "parties"), "tag",
	                     json_object_get(about, "tag"), "bytes",
	                     (json_int_t)half_delivered(stream->halves[0]),
	                     (json_int_t)half_delivered(stream->halves[1]), "started_ms",
	                     (json_int_t)stream->started_ms, "ended_ms", (json_int_t)loop_wall_ms(),
	                     "relay", store_id(), "reason", reason),
	           outbox_record);
	json_decref(about);
}

void record_over_limit(const struct stream *stream, const struct denial *denial)
{
	json_t *about = json_loads(stream->about, 0, NULL);
	json_t *tag = json_object_get(about, "tag");
	const char *component = json_string_value(json_object_get(tag, "component"));
	const char *requester = json_string_value(json_object_get(tag, "requester"));
	const char *target = json_string_value(json_object_get(tag, "target"));
	char *text;

	if (component != NULL && requester != NULL && target != NULL) {
		text = denial_text(denial, "Stream closed");
		write_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "type", "over-limit",
		                     "component", component, "requester", requester, "target",
		                     target, "reason", text, "hash", hash_of(stream), "at_ms",
		                     (json_int_t)loop_wall_ms()),
		           outbox_event);
		free(text);
	}
	json_decref(about);
}
