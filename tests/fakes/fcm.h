/*
 * FCM's HTTP v1 API as Google documents it: one request in, its answer out. Pure: it sees no
 * socket and no clock.
 */
#ifndef OG_TESTS_FAKES_FCM_H
#define OG_TESTS_FAKES_FCM_H

#include <stdint.h>

#include "tests/fakes/access.h"
#include "tests/fakes/answer.h"
#include "tests/fakes/request.h"

struct fcm {
	const char *project;         /* the one that is served; borrowed */
	const struct access *access; /* the access tokens that are good */
	uint64_t sent;               /* counts messages, for their names */
};

/* Judges REQUEST at NOW_MS into ANSWER, which is all zeros. */
void fcm_answer(struct fcm *fcm, const struct request *request, int64_t now_ms,
                struct answer *answer);

/* The answer to a message that was accepted; also for a script that says 200. */
void fcm_accept(struct fcm *fcm, int64_t now_ms, struct answer *answer);

/*
 * Fills ANSWER with an error by its code: FCM's ("UNREGISTERED") or Google's
 * ("PERMISSION_DENIED"); STATUS 0 is the code's own, CODE NULL the usual one for STATUS.
 */
void fcm_refuse(struct answer *answer, unsigned status, const char *code);

#endif
