/*
 * Software version (XEP-0092): a handler of the route table.
 */
#ifndef OG_XMPPGW_VERSION_H
#define OG_XMPPGW_VERSION_H

#include "xmppgw/answer.h"
#include "xmppgw/xml.h"

#define VERSION_NS "jabber:iq:version"

void version_answer(struct answer *answer, const struct xml *payload);

#endif
