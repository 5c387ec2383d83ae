#include "relayd/stream/journal.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/loop.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/denial.h"
#include "relayd/quota/outbox.h"

static json_t *hash_json(const struct journal_transfer *transfer)
{
	char hash[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(transfer->hash, hash);
	return json_string(hash);
}

/* Gives BODY as text to WRITE, and frees it. */
static void write_json(json_t *body, void (*write)(const char *text))
{
	char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	write(text);
	free(text);
}

void journal_ended(const struct journal_transfer *transfer, const char *reason)
{
	json_t *about;

	if (fleet_redis() == NULL)
		return;
	about = json_loads(transfer->about, 0, NULL);
	write_json(json_pack("{s:o, s:O, s:O?, s:[I,I], s:I, s:I, s:s, s:s}", "hash",
	                     hash_json(transfer), "parties", json_object_get(about, "parties"),
	                     "tag", json_object_get(about, "tag"), "bytes",
	                     (json_int_t)transfer->bytes[0], (json_int_t)transfer->bytes[1],
	                     "started_ms", (json_int_t)transfer->started_ms, "ended_ms",
	                     (json_int_t)loop_wall_ms(), "relay", fleet_id(), "reason", reason),
	           outbox_record);
	json_decref(about);
}

void journal_over_limit(const struct journal_transfer *transfer, const struct denial *denial)
{
	json_t *about = json_loads(transfer->about, 0, NULL);
	json_t *tag = json_object_get(about, "tag");
	const char *component = json_string_value(json_object_get(tag, "component"));
	const char *requester = json_string_value(json_object_get(tag, "requester"));
	const char *target = json_string_value(json_object_get(tag, "target"));
	char *text;

	if (component != NULL && requester != NULL && target != NULL) {
		text = denial_text(denial, "Stream closed");
		write_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "type", "over-limit",
		                     "component", component, "requester", requester, "target",
		                     target, "reason", text, "hash", hash_json(transfer), "at_ms",
		                     (json_int_t)loop_wall_ms()),
		           outbox_event);
		free(text);
	}
	json_decref(about);
}
