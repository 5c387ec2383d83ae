/* Why a transfer may not go on or begin: a limit that is reached, or one that forbids. Pure. */
#ifndef OG_RELAYD_QUOTA_DENIAL_H
#define OG_RELAYD_QUOTA_DENIAL_H

#include <stdint.h>

#define DENIAL_FILE "file" /* in the place of a ledger: the limit of one transfer */

struct denial {
	const char *ledger; /* "user:a@b", "domain:b", "instance:ID", "global" or DENIAL_FILE */
	int64_t limit;      /* bytes; -1: forbidden */
};

/*
 * The kind of the ledger NAME ("user", "domain", "instance", "global" or "file", static); whom it
 * counts goes to *ACCOUNT, a part of NAME: for the last two that is NAME itself.
 */
const char *ledger_split(const char *name, const char **account);

/* What is told to people: "WHAT due to exceeded transfer quota for user a@b" or so (heap). */
char *denial_text(const struct denial *denial, const char *what);

#endif
