/*
 * The error bodies of Google's APIs (google.rpc.Status in JSON), with the details that FCM adds.
 */
#ifndef OG_TESTS_FAKES_FCM_ERROR_H
#define OG_TESTS_FAKES_FCM_ERROR_H

#include <stdbool.h>

#include "tests/fakes/answer.h"

struct fcm_error {
	const char *code;    /* FCM's errorCode or, without FcmError, Google's canonical status */
	const char *message; /* NULL: the code's own */
	const char *field;   /* adds a google.rpc.BadRequest that blames this field; NULL: none */
	const char *info;  /* adds a google.rpc.ErrorInfo with this reason; NULL: the code's own */
	bool no_fcm_error; /* leaves FcmError out, as the JSON layer before FCM does */
};

/* Fills ANSWER with ERROR under STATUS (0: the code's own). */
void fcm_error_answer(struct answer *answer, unsigned status, const struct fcm_error *error);

/* The usual code for STATUS. */
const char *fcm_error_code(unsigned status);

/* What Google's front end says to a path that nobody serves: 404 with HTML. */
void fcm_error_not_served(struct answer *answer);

#endif
