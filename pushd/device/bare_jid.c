#include "pushd/device/bare_jid.h"

#include <ctype.h>
#include <string.h>

#include "common/base/mem.h"

bool bare_jid_valid(const char *jid)
{
	const char *at = strchr(jid, '@');

	for (const char *c = jid; *c != '\0'; c++)
		if (*c == '/' || (unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	if (at == NULL)
		return *jid != '\0';
	return at != jid && at[1] != '\0' && strchr(at + 1, '@') == NULL;
}

char *bare_jid_fold(const char *jid)
{
	char *copy = mem_dup(jid);

	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if (isascii((unsigned char)*c))
			*c = (char)tolower((unsigned char)*c);
	return copy;
}

const char *bare_jid_domain(const char *jid)
{
	const char *at = strchr(jid, '@');

	return at != NULL ? at + 1 : jid;
}
