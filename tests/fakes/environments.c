#include "tests/fakes/environments.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

struct place {
	enum environment environment;
	char token[];
};

void environments_put(struct environments *environments, const char *token,
                      enum environment environment)
{
	size_t len = strlen(token);
	struct place *place = map_get(&environments->by_token, token, len);

	if (place == NULL) {
		place = mem_alloc(1, sizeof(*place) + len + 1);
		memcpy(place->token, token, len);
		map_put(&environments->by_token, place->token, len, place);
	}
	place->environment = environment;
}

bool environments_fit(const struct environments *environments, const char *token,
                      enum environment environment)
{
	const struct place *place = map_get(&environments->by_token, token, strlen(token));

	return place == NULL || place->environment == environment;
}

void environments_clear(struct environments *environments)
{
	struct place *place;
	size_t cursor = 0;

	while ((place = map_next(&environments->by_token, &cursor)) != NULL)
		free(place);
	map_release(&environments->by_token);
}
