/*
 * APNs as Apple documents it: one request in, its answer out. Pure: it sees no socket and no clock.
 */
#ifndef OG_TESTS_FAKES_APNS_H
#define OG_TESTS_FAKES_APNS_H

#include <stdint.h>

#include "tests/fakes/answer.h"
#include "tests/fakes/environments.h"
#include "tests/fakes/provider_token.h"
#include "tests/fakes/request.h"

struct apns {
	struct provider_tokens tokens;
	const char *const *topics; /* without suffixes, ended by NULL; NULL: any topic; borrowed */
	const struct environments *environments; /* of device tokens; borrowed */
};

/* Judges REQUEST (whose binding and client are set) at NOW_MS into ANSWER, which is all zeros. */
void apns_answer(struct apns *apns, const struct request *request, int64_t now_ms,
                 struct answer *answer);

/*
 * Fills ANSWER with an error: either STATUS or REASON may be missing (0, NULL) and is then the
 * documented one for the other. 410 carries TIMESTAMP_MS. STATUS 200 is a good answer.
 */
void apns_refuse(struct answer *answer, unsigned status, const char *reason, int64_t timestamp_ms);

/* Sets the header apns-id: REQUEST's own, or a new one. */
void apns_identify(struct answer *answer, const struct request *request);

/* Frees the cache of provider tokens. */
void apns_release(struct apns *apns);

#endif
