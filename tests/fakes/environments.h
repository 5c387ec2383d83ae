/*
 * Which device tokens belong to which of Apple's environments: a token of one is a bad one to the
 * other. Tokens that nobody has named are good in both.
 */
#ifndef OG_TESTS_FAKES_ENVIRONMENTS_H
#define OG_TESTS_FAKES_ENVIRONMENTS_H

#include <stdbool.h>

#include "common/base/map.h"
#include "tests/fakes/request.h"

/* All zeros: none named. */
struct environments {
	struct map by_token;
};

/* TOKEN belongs to ENVIRONMENT from now on. */
void environments_put(struct environments *environments, const char *token,
                      enum environment environment);

/* True unless TOKEN belongs to another one. */
bool environments_fit(const struct environments *environments, const char *token,
                      enum environment environment);

/* Forgets all. */
void environments_clear(struct environments *environments);

#endif
