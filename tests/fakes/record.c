#include "tests/fakes/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/client.h"
#include "tests/fakes/form.h"
#include "tests/fakes/headers.h"

struct record_entry {
	uint64_t connection;
	int64_t at_ms;
	uint32_t head_len, body_len;
	uint32_t delay_ms;
	uint16_t status;
	uint8_t provider;
	uint8_t fault;
	uint8_t environment;
	bool certificate; /* signed in with one */
	char reason[sizeof(((struct answer *)0)->reason)];
	char bytes[]; /* the block of headers, then the body */
};

static size_t entry_size(const struct record_entry *entry)
{
	return sizeof(*entry) + entry->head_len + entry->body_len;
}

static void drop_oldest(struct record *record)
{
	struct record_entry **slot = &record->entries[record->first++ % RECORD_ENTRIES];

	record->bytes -= entry_size(*slot);
	free(*slot);
	*slot = NULL;
}

static struct record_entry *entry_new(const struct request *request, const struct answer *answer)
{
	size_t head_len = buf_len(&request->head), body_len = buf_len(&request->body);
	struct record_entry *entry =
	        mem_resize(NULL, sizeof(*entry) + head_len + body_len, 1); /* not zeroed */

	entry->head_len = (uint32_t)head_len;
	entry->body_len = (uint32_t)body_len;
	entry->delay_ms = answer->delay_ms;
	entry->status = (uint16_t)answer->status;
	entry->provider = (uint8_t)request->provider;
	entry->fault = (uint8_t)answer->fault;
	entry->environment = (uint8_t)request->environment;
	entry->certificate = request->client != NULL && request->client->present;
	memcpy(entry->reason, answer->reason, sizeof(entry->reason));
	if (head_len > 0)
		memcpy(entry->bytes, buf_data(&request->head), head_len);
	if (body_len > 0)
		memcpy(entry->bytes + head_len, buf_data(&request->body), body_len);
	return entry;
}

void record_add(struct record *record, const struct request *request, const struct answer *answer,
                uint64_t connection, int64_t now_ms)
{
	struct record_entry *entry = entry_new(request, answer);

	if (record->end == 0)
		record->first = record->end = 1;
	entry->connection = connection;
	entry->at_ms = now_ms;
	while (record->first < record->end && (record->end - record->first >= RECORD_ENTRIES ||
	                                       record->bytes + entry_size(entry) > RECORD_BYTES))
		drop_oldest(record);
	record->bytes += entry_size(entry);
	record->entries[record->end++ % RECORD_ENTRIES] = entry;
}

/* TEXT as a JSON string; what isn't UTF-8 shows as "?". */
static json_t *make_text(const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	char *plain;

	if (value != NULL)
		return value;
	plain = mem_dup_bytes(text, len);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)plain[i] >= 0x80)
			plain[i] = '?';
	}
	value = json_stringn(plain, len);
	free(plain);
	return value;
}

/* JSON as it is, a form as an object, anything else as text; null when there was none. */
static json_t *make_body(const struct record_entry *entry)
{
	const char *body = entry->bytes + entry->head_len;
	json_t *value;

	if (entry->body_len == 0)
		return json_null();
	if (entry->provider == PROVIDER_OAUTH)
		value = form_read(body, entry->body_len);
	else
		value = json_loadb(body, entry->body_len, JSON_DECODE_ANY, NULL);
	return value != NULL ? value : make_text(body, entry->body_len);
}

/* The headers without pseudo-headers, of which ":path" goes to *PATH. */
static json_t *make_headers(const struct record_entry *entry, const char **path)
{
	json_t *headers = json_object();
	struct header header;
	size_t cursor = 0;

	*path = "";
	while (headers_next(entry->bytes, entry->head_len, &cursor, &header)) {
		if (header.name[0] != ':')
			json_object_set_new(headers, header.name,
			                    make_text(header.value, strlen(header.value)));
		else if (strcmp(header.name, ":path") == 0)
			*path = header.value;
	}
	return headers;
}

static json_t *make_entry(const struct record_entry *entry, uint64_t n)
{
	const char *path;
	json_t *headers = make_headers(entry, &path);
	json_t *value = json_object();

	json_object_set_new(value, "n", json_integer((json_int_t)n));
	json_object_set_new(value, "provider", json_string(provider_names[entry->provider]));
	if (entry->provider == PROVIDER_APNS)
		json_object_set_new(value, "environment",
		                    json_string(environment_names[entry->environment]));
	if (entry->certificate)
		json_object_set_new(value, "certificate", json_true());
	json_object_set_new(value, "connection", json_integer((json_int_t)entry->connection));
	json_object_set_new(value, "at_ms", json_integer(entry->at_ms));
	json_object_set_new(value, "path", make_text(path, strlen(path)));
	json_object_set_new(value, "headers", headers);
	json_object_set_new(value, "body", make_body(entry));
	json_object_set_new(value, "answered",
	                    entry->fault == FAULT_NONE ? json_integer(entry->status)
	                                               : json_string(fault_names[entry->fault]));
	if (entry->reason[0] != '\0')
		json_object_set_new(value, "reason", json_string(entry->reason));
	if (entry->delay_ms != 0)
		json_object_set_new(value, "delay_ms", json_integer(entry->delay_ms));
	return value;
}

json_t *record_list(const struct record *record, uint64_t from, size_t limit)
{
	json_t *list = json_array();

	if (from < record->first)
		from = record->first;
	for (; from < record->end && limit > 0; from++, limit--)
		json_array_append_new(list,
		                      make_entry(record->entries[from % RECORD_ENTRIES], from));
	return list;
}

void record_clear(struct record *record)
{
	while (record->first < record->end)
		drop_oldest(record);
	record->first = record->end = 0;
}
