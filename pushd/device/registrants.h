/* Whose users may have devices here (`registrants`). */
#ifndef OG_PUSHD_DEVICE_REGISTRANTS_H
#define OG_PUSHD_DEVICE_REGISTRANTS_H

#include <stdbool.h>

#include "pushd/conf.h"

/* True for any bare JID or domain, unless CONF names domains: then for those of one of them. */
bool registrants_allow(const struct conf *conf, const char *jid);

#endif
