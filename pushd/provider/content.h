/*
 * What an app is told of a notification, as keys and values that all providers send in their own
 * form. The names are those that Tigase's clients read. Pure.
 */
#ifndef OG_PUSHD_PROVIDER_CONTENT_H
#define OG_PUSHD_PROVIDER_CONTENT_H

#include "pushd/provider/provider.h"

#define CONTENT_MAX 13 /* all that one notification can say */

struct content_item {
	const char *key;
	const char *text; /* NULL: the value is NUMBER */
	int64_t number;
};

/*
 * Lists what to send of MESSAGE when CUT is left out; returns how many items. With an encrypted
 * payload nothing in clear goes beside it but the account; a terse message has nothing else. Texts
 * are borrowed or in the message's arena.
 */
size_t content_list(const struct provider_message *message, enum provider_cut cut,
                    struct content_item items[CONTENT_MAX]);

#endif
