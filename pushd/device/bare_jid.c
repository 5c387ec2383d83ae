#include "pushd/device/bare_jid.h"

#include <ctype.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/text/jid.h"

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

static bool is_ascii(const char *text)
{
	while (isascii((unsigned char)*text) && *text != '\0')
		text++;
	return *text == '\0';
}

char *bare_jid_prepare(const char *jid)
{
	char prepared[JID_TEXT_MAX], *copy;

	if (jid != NULL && !is_ascii(jid) && jid_parse_bare(jid, prepared) == 0 &&
	    bare_jid_valid(prepared))
		return mem_dup(prepared);
	copy = mem_dup(jid);
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
