/*
 * Writing XML: the one place where text is escaped on its way out. Pure.
 */
#ifndef OG_XMPPGW_XMPP_MARKUP_H
#define OG_XMPPGW_XMPP_MARKUP_H

#include "common/base/buf.h"

/*
 * Appends FORMAT, which is markup, to OUT (a buffer without a cap). Each %s in it is text (UTF-8):
 * it is escaped so that a reader gets the same bytes back, in content and in an attribute with
 * either kind of quotes; a character that XML can't carry becomes U+FFFD. %u is a number, %% a
 * percent sign; there is nothing else.
 */
void markup_add(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
