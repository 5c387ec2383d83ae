/*
 * The record of requests that came and how each was answered: a ring with a cap on entries and on
 * bytes, from which the oldest fall. An entry is the raw request; JSON is made when someone asks.
 */
#ifndef OG_TESTS_FAKES_RECORD_H
#define OG_TESTS_FAKES_RECORD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fakes/answer.h"
#include "tests/fakes/request.h"

#define RECORD_ENTRIES 131072 /* a power of two */
#define RECORD_BYTES (64u << 20)

/* All zeros is an empty record. */
struct record {
	struct record_entry *entries[RECORD_ENTRIES]; /* entry N is at N % RECORD_ENTRIES */
	uint64_t first, end; /* numbers of the oldest entry and of the next; 1 is the first ever */
	size_t bytes;
};

/* Keeps REQUEST, which came on CONNECTION at NOW_MS and gets ANSWER. */
void record_add(struct record *record, const struct request *request, const struct answer *answer,
                uint64_t connection, int64_t now_ms);

/*
 * Entries as JSON, from number FROM on, at most LIMIT; the caller owns the array. "answered" is
 * the status or the name of a fault.
 */
json_t *record_list(const struct record *record, uint64_t from, size_t limit);

/* Forgets all; numbers start at 1 again. */
void record_clear(struct record *record);

#endif
