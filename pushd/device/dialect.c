#include "pushd/device/dialect.h"

#include <stddef.h>
#include <string.h>

/*
 * Apps of Siskin's family register once, so their devices have no TTL. Apps of Conversations'
 * family renew their registration and never unregister, so their devices have a TTL. Monal doesn't
 * register: anyone who knows the token can push, and only publishes renew the device.
 */
static const struct dialect dialects[] = {
	{ .name = "tigase", .registers = true, .content = CONF_CONTENT_FULL },
	{ .name = "p2",
	  .registers = true,
	  .by_device_id = true,
	  .has_secret = true,
	  .renews = true,
	  .hides_owner = true,
	  .content = CONF_CONTENT_NONE },
	{ .name = "fpush", .renews = true, .domain_owns = true, .content = CONF_CONTENT_NONE },
};

const struct dialect *const dialect_fpush = &dialects[2];

const struct dialect *dialect_find(const char *name)
{
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
		if (name != NULL && strcmp(name, dialects[i].name) == 0)
			return &dialects[i];
	return NULL;
}
