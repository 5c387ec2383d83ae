/* Why a transfer may not begin or go on: a limit is reached, or it forbids transfers. Pure. */
#ifndef OG_RELAYD_QUOTA_DENIAL_H
#define OG_RELAYD_QUOTA_DENIAL_H

#include <stdint.h>

#define DENIAL_FILE "file" /* in place of a ledger: the limit of one transfer */

struct denial {
	const char *ledger; /* "user:a@b", "domain:b", "instance:ID", "global" or DENIAL_FILE */
	int64_t limit;      /* bytes; -1: forbidden */
};

/*
 * The kind of the ledger NAME ("user", "domain", "instance", "global" or "file", static). *ACCOUNT
 * becomes the part of NAME that says whose it is; for the last two kinds, NAME itself.
 */
const char *ledger_split(const char *name, const char **account);

/*
 * The text that clients of Tigase's proxy know, such as "WHAT due to exceeded transfer quota for
 * user a@b" (heap).
 */
char *denial_text(const struct denial *denial, const char *what);

/*
 * The same as sentences for the parties (heap): whose limit it is, how much, and until when.
 * UNTIL_S is the end of the month, in seconds since 1970.
 */
char *denial_explanation(const struct denial *denial, int64_t until_s);

#endif
