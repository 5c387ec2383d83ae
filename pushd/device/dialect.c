#include "pushd/device/dialect.h"

#include <stddef.h>
#include <string.h>

/*
 * Siskin's family registers once and never again, so its devices have no TTL; Conversations' family
 * never unregisters and renews, so its devices have one. Monal's doesn't register: whoever knows
 * the token can push, and the server's publishes are all that renews.
 */
static const struct dialect dialects[] = {
	{ .name = "tigase", .registers = true },
	{ .name = "p2",
	  .registers = true,
	  .by_device_id = true,
	  .has_secret = true,
	  .renews = true,
	  .hides_owner = true },
	{ .name = "fpush", .renews = true, .domain_owns = true },
};

const struct dialect *const dialect_fpush = &dialects[2];

const struct dialect *dialect_find(const char *name)
{
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
		if (name != NULL && strcmp(name, dialects[i].name) == 0)
			return &dialects[i];
	return NULL;
}
