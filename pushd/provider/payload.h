/*
 * What kinds of providers build their requests from: the keys and values that an app is told of a
 * notification, which all kinds send in their own form (the names are those that Tigase's clients
 * read), and the request's texts, in an arena. Pure.
 */
#ifndef OG_PUSHD_PROVIDER_PAYLOAD_H
#define OG_PUSHD_PROVIDER_PAYLOAD_H

#include "common/base/json_text.h"
#include "pushd/provider/provider.h"

#define PAYLOAD_ITEMS_MAX 14 /* all that one notification can say */

struct payload_item {
	const char *key;
	const char *text; /* NULL: the value is NUMBER */
	int64_t number;
};

/*
 * Lists what to send of MESSAGE when CUT is left out; returns how many items. With an encrypted
 * payload nothing in clear goes beside it but the account and the channel; else MESSAGE's content
 * says what does. Texts are borrowed or in the message's arena.
 */
size_t payload_list(const struct provider_message *message, enum provider_cut cut,
                    struct payload_item items[PAYLOAD_ITEMS_MAX]);

#define PAYLOAD_COLLAPSE_TEXT 33

/*
 * The name under which the newer of two notifications for the same node replaces the older one that
 * a device has not got yet: 32 hex digits, from which the node can't be told. False where both must
 * come: MESSAGE is of high priority, or says something of its own.
 */
bool payload_collapse(const struct provider_message *message, char text[PAYLOAD_COLLAPSE_TEXT]);

/* Formats a text into ARENA, which must have no cap. */
char *payload_print(struct arena *arena, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Appends the body of the request for MESSAGE without what CUT leaves out. */
typedef void payload_writer(struct json_text *out, const struct provider_message *message,
                            enum provider_cut cut);

/* Gives REQUEST the body that WRITE (called once or twice) makes for its cut, in the arena. */
void payload_write(struct provider_request *request, const struct provider_message *message,
                   payload_writer *write);

#endif
