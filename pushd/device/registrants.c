#include "pushd/device/registrants.h"

#include <strings.h>

#include "pushd/device/bare_jid.h"

bool registrants_allow(const struct conf *conf, const char *jid)
{
	char **domains = conf->daemon.registrants;

	if (domains == NULL || domains[0] == NULL)
		return true;
	for (; *domains != NULL; domains++)
		if (strcasecmp(*domains, bare_jid_domain(jid)) == 0)
			return true;
	return false;
}
