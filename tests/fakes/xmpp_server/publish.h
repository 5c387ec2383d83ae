/*
 * Publishes: sent to a component, and kept until a reply, the end of the connection or the server's
 * patience ends them. What a reply does to the registration is done here. Everything is counted.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_PUBLISH_H
#define OG_TESTS_FAKES_XMPP_SERVER_PUBLISH_H

#include <jansson.h>

#include "tests/fakes/xmpp_server/server.h"
#include "tests/fakes/xmpp_server/xml.h"

/* How a publish ended. */
enum ending {
	ENDING_RESULT,
	ENDING_ERROR,
	ENDING_LOST,    /* the connection ended before a reply came */
	ENDING_TIMEOUT, /* the server gave up; a reply that comes later is counted as late */
	ENDINGS,
};
extern const char *const ending_names[ENDINGS];

struct publish {
	struct list_link of_link, of_time;
	char *id;
	struct registration *registration;
	struct link *link; /* NULL: it is gone */
	uint64_t sent_ns;
	bool late; /* it has ended without a reply */
	/* Called once, when it ends; ELEMENT is the reply, or NULL. It lives until this returns. */
	void (*done)(struct publish *publish, enum ending ending, const struct element *element);
	void *owner;
};

/* Begins to listen for replies and ends of SERVER's connections. */
void publish_start(struct server *server);

/*
 * Sends TEXT (a form's, or a stanza with {id} and so on) for REGISTRATION; NULL if its component is
 * not connected. The caller may set done and owner at once.
 */
struct publish *publish_send(struct server *server, struct registration *registration,
                             const char *text);

/* What was counted, as an object. */
json_t *publish_stats(void);

/* How many have not ended. */
size_t publish_in_flight(void);

/* Forgets all that has not ended, without calling done. */
void publish_stop(void);

#endif
