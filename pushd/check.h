/* What a start and -n check beyond the configuration's table: files open, credentials are good. */
#ifndef OG_PUSHD_CHECK_H
#define OG_PUSHD_CHECK_H

#include "common/base/buf.h"

/*
 * For daemon_spec: credentials are read and tried, files opened, addresses parsed. Returns 0, or -1
 * with COMPLAINTS appended.
 */
int check_config(const void *config, struct buf *complaints);

/*
 * Likewise, what only shows when it is used: credentials in files that are of no use now, and the
 * public listener's certificate.
 */
int check_usable(const void *config, struct buf *complaints);

#endif
