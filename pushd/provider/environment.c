#include "pushd/provider/environment.h"

#include <stddef.h>
#include <string.h>

const char *const environment_names[] = { "", "production", "sandbox", NULL };

enum environment environment_find(const char *name)
{
	if (name == NULL)
		return ENVIRONMENT_UNKNOWN;
	for (int i = ENVIRONMENT_PRODUCTION; i <= ENVIRONMENT_SANDBOX; i++)
		if (strcmp(environment_names[i], name) == 0)
			return (enum environment)i;
	return ENVIRONMENT_UNKNOWN;
}
