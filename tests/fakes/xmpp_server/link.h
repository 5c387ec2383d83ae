/*
 * A component's connection: header, handshake, then stanzas. It answers what a server of the played
 * kind takes amiss as that server does.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_LINK_H
#define OG_TESTS_FAKES_XMPP_SERVER_LINK_H

#include "common/base/buf.h"
#include "common/base/loop.h"
#include "tests/fakes/xmpp_server/server.h"
#include "tests/fakes/xmpp_server/xml.h"

enum link_state { LINK_OPENING, LINK_AUTHENTICATING, LINK_UP, LINK_OVER };

struct link {
	struct server *server;
	struct component *component; /* NULL: not known (yet) */
	struct list_link of_server;
	struct list_link of_component; /* while it is up */
	struct list owed;              /* publishes that have no reply: publish.c's */
	enum link_state state;
	bool multiple; /* its header has allowMultiple */
	char *name;    /* that its header asks for */
	char *id;      /* of the stream */
	int fd;
	struct io io;
	struct task flush;
	struct buf output;
	struct xml xml;
};

/* Serves the connection FD, which becomes the link's. */
void link_open(struct server *server, int fd);

/* The connection that KIND gives COMPONENT's next stanza to; NULL when none is up. */
struct link *link_for(const struct server *server, struct component *component, const char *to);

/* What is appended to it is sent at the end of the loop's turn. */
struct buf *link_output(struct link *link);

/* Closes the connection, without a word, and frees LINK; not inside xml_feed(). */
void link_cut(struct link *link);

#endif
