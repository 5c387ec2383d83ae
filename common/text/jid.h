/*
 * JIDs: split and prepared (RFC 6122: nodeprep, nameprep, resourceprep by libidn), so that two
 * spellings of one address compare equal as bytes. Pure.
 */
#ifndef OG_COMMON_TEXT_JID_H
#define OG_COMMON_TEXT_JID_H

#include <stdbool.h>

#define JID_PART_MAX 1023                   /* bytes of each part, RFC 6122 2.1 */
#define JID_TEXT_MAX (3 * JID_PART_MAX + 3) /* with "@", "/" and NUL */

struct jid {
	char local[JID_PART_MAX + 1]; /* "": none */
	char domain[JID_PART_MAX + 1];
	char resource[JID_PART_MAX + 1]; /* "": none */
};

/* Splits and prepares TEXT (UTF-8). 0, or -1 when it is no JID. */
int jid_parse(const char *text, struct jid *jid);

/* The same after trimming the blanks and line ends that people and clients leave around a JID. */
int jid_parse_trimmed(const char *text, struct jid *jid);

/* Prepares a domain into DOMAIN (JID_PART_MAX + 1 bytes). 0, or -1 when TEXT is none. */
int jid_domain(const char *text, char *domain);

/*
 * Prepares TEXT, trimmed, into BARE (JID_TEXT_MAX bytes): user@domain or a domain. 0, or -1 when it
 * is neither.
 */
int jid_parse_bare(const char *text, char *bare);

/* local@domain, or the domain alone; TEXT has JID_TEXT_MAX bytes and is returned. */
const char *jid_bare(const struct jid *jid, char *text);

/* The whole JID; TEXT has JID_TEXT_MAX bytes and is returned. */
const char *jid_full(const struct jid *jid, char *text);

/* The library's name and version (static). */
const char *jid_version(void);

#endif
