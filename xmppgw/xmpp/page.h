/*
 * A page of a listing, and how relayd's API is asked for it. Pure.
 */
#ifndef OG_XMPPGW_XMPP_PAGE_H
#define OG_XMPPGW_XMPP_PAGE_H

#include "common/base/buf.h"
#include "xmppgw/xmpp/xml.h"

#define PAGE_ROWS 50 /* of a table that is shown at once: some 20 KB of stanza */

/* Appends the form's field by which a listing goes on. */
void page_add_field(struct buf *out);

/* Begins PATH, which is empty: "BASE?limit=ROWS", and where AFTER (NULL: the start) says. */
void page_begin(struct buf *path, const char *base, unsigned rows, const char *after);

/* Appends "&NAME=VALUE" unless VALUE is NULL or empty. */
void page_add(struct buf *path, const char *name, const char *value);

#endif
