#include "common/text/jid.h"

#include <stdio.h>
#include <string.h>
#include <stringprep.h>

/* ASCII that a part may not have. Nameprep forbids little, so the list for domains is our own. */
#define NOT_IN_LOCAL " \"&'/:<>@"
#define NOT_IN_DOMAIN " !\"#$%&'()*+,/;<=>?@\\^`{|}~"
#define NOT_IN_RESOURCE ""

#define BLANKS " \t\r\n"

/* How a part is prepared. */
struct preparation {
	const Stringprep_profile *profile;
	const char *forbidden; /* ASCII beside the control characters */
	bool folds;            /* upper case becomes lower case */
};

static const struct preparation local_part = { stringprep_xmpp_nodeprep, NOT_IN_LOCAL, true };
static const struct preparation domain_part = { stringprep_nameprep, NOT_IN_DOMAIN, true };
static const struct preparation resource_part = { stringprep_xmpp_resourceprep, NOT_IN_RESOURCE,
	                                          false };

/*
 * Prepares a part of ASCII alone without the library, which takes a hundred times as long; nearly
 * all parts are ASCII. 1: done; 0: not ASCII; -1: it has a forbidden character.
 */
static int prepare_ascii(const struct preparation *how, char *part)
{
	for (unsigned char *c = (unsigned char *)part; *c != '\0'; c++) {
		if (*c >= 0x80)
			return 0;
		if (*c < 0x20 || *c == 0x7f || strchr(how->forbidden, *c) != NULL)
			return -1;
		if (how->folds && *c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	}
	return 1;
}

static int prepare(const struct preparation *how, char *part)
{
	int ascii = prepare_ascii(how, part);

	if (ascii != 0)
		return ascii < 0 ? -1 : 0;
	if (stringprep(part, JID_PART_MAX + 1, 0, how->profile) != STRINGPREP_OK)
		return -1;
	for (const char *c = part; *c != '\0'; c++) /* it may have mapped to forbidden ASCII */
		if ((*c > 0 && *c < 0x20) || *c == 0x7f || strchr(how->forbidden, *c) != NULL)
			return -1;
	return part[0] == '\0' ? -1 : 0;
}

/* Copies a part of LEN bytes and prepares it. -1 if it is empty, too long or no such part. */
static int take_part(const struct preparation *how, const char *text, size_t len, char *part)
{
	if (len == 0 || len > JID_PART_MAX)
		return -1;
	memcpy(part, text, len);
	part[len] = '\0';
	return prepare(how, part);
}

/* False if a label is empty, as in "a..b". */
static bool has_whole_labels(const char *domain)
{
	size_t len = strlen(domain);

	return domain[0] != '.' && domain[len - 1] != '.' && strstr(domain, "..") == NULL;
}

static int take_domain(const char *text, size_t len, char *domain)
{
	if (len > 1 && text[len - 1] == '.') /* RFC 6122 2.2: a final dot is dropped */
		len--;
	if (take_part(&domain_part, text, len, domain) != 0)
		return -1;
	return has_whole_labels(domain) ? 0 : -1;
}

int jid_domain(const char *text, char *domain)
{
	return take_domain(text, strlen(text), domain);
}

int jid_parse(const char *text, struct jid *jid)
{
	const char *slash = strchr(text, '/');
	size_t bare_len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	const char *at = memchr(text, '@', bare_len);
	const char *domain = at == NULL ? text : at + 1;

	jid->local[0] = jid->resource[0] = '\0';
	if (at != NULL && take_part(&local_part, text, (size_t)(at - text), jid->local) != 0)
		return -1;
	if (slash != NULL &&
	    take_part(&resource_part, slash + 1, strlen(slash + 1), jid->resource) != 0)
		return -1;
	return take_domain(domain, bare_len - (size_t)(domain - text), jid->domain);
}

int jid_parse_trimmed(const char *text, struct jid *jid)
{
	char trimmed[JID_TEXT_MAX];
	size_t len;

	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		len--;
	if (len >= sizeof(trimmed))
		return -1;
	memcpy(trimmed, text, len);
	trimmed[len] = '\0';
	return jid_parse(trimmed, jid);
}

int jid_parse_bare(const char *text, char *bare)
{
	struct jid jid;

	if (jid_parse_trimmed(text, &jid) != 0 || jid.resource[0] != '\0')
		return -1;
	jid_bare(&jid, bare);
	return 0;
}

const char *jid_bare(const struct jid *jid, char *text)
{
	snprintf(text, JID_TEXT_MAX, "%s%s%s", jid->local, jid->local[0] != '\0' ? "@" : "",
	         jid->domain);
	return text;
}

const char *jid_full(const struct jid *jid, char *text)
{
	jid_bare(jid, text);
	if (jid->resource[0] != '\0') {
		size_t len = strlen(text);

		snprintf(text + len, JID_TEXT_MAX - len, "/%s", jid->resource);
	}
	return text;
}

const char *jid_version(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "libidn %s", stringprep_check_version(NULL));
	return text;
}
