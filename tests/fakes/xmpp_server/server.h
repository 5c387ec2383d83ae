/*
 * The pretend XMPP server: its components, their connections and the push registrations that its
 * users have enabled. It owns them all.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_SERVER_H
#define OG_TESTS_FAKES_XMPP_SERVER_SERVER_H

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/base/map.h"
#include "common/net/acceptor.h"
#include "tests/fakes/xmpp_server/kind.h"

struct element;
struct link;

/* A component that is configured. */
struct component {
	struct list_link link; /* in server->components */
	const char *name;
	const char *secret;
	struct list links; /* that are up, by link->of_component */
	bool listed;       /* it has answered the server's disco#info */
};

/* What a user has enabled (XEP-0357, section 5). */
struct registration {
	struct list_link link; /* in server->registrations, in the order they came */
	char *key;             /* JID "<" NODE */
	char *jid, *bare, *node;
	char *options; /* markup; "" without a secret */
	struct component *component;
	unsigned errors; /* in a row, as far as the server counts them */
	bool lost;
	char by[100]; /* the type and condition that it was lost by */
};

/* What happened on the streams. */
enum stream_count {
	STREAM_ACCEPTED,
	STREAM_UP,
	STREAM_CONFLICTS,
	STREAM_REFUSED,  /* host-unknown or not-authorized */
	STREAM_FAULTS,   /* stanzas and bytes that a server takes amiss */
	STREAM_REQUESTS, /* IQs of components, which get no answer */
	STREAM_MESSAGES,
	STREAM_COUNTS,
};
extern const char *const stream_count_names[STREAM_COUNTS];

struct server {
	const struct kind *kind;
	const char *domain; /* that it publishes as */
	bool kicks_old;     /* where a second connection isn't allowed, the first goes */
	struct list components;
	struct list links;         /* all connections, by link->of_server */
	struct list registrations; /* in the order that they came in */
	struct map by_key;
	union net_address address;
	struct acceptor acceptor;
	struct timer again; /* while it plays a restart */
	uint64_t counts[STREAM_COUNTS];
	uint64_t next_id;
	/* What is called when an IQ result or error came, and when a connection ends. */
	void (*replied)(struct link *link, const struct element *element);
	void (*left)(struct link *link);
};

void server_init(struct server *server);

/* Listens on server->address, which gets the port; 0, or -1 with errno. */
int server_listen(struct server *server);

/* All connections are cut, and for DOWN_MS nothing listens: a restart. Registrations stay. */
void server_restart(struct server *server, uint32_t down_ms);

/* Cuts all, and frees the components and registrations. */
void server_release(struct server *server);

/* A component to be; the texts are borrowed. */
struct component *server_add_component(struct server *server, const char *name, const char *secret);

/* The component of that name, or NULL. */
struct component *server_component(const struct server *server, const char *name);

/*
 * Adds a registration, or gives one that is there (lost or not) new options; SECRET may be NULL.
 * NULL if the domain of JID is no component.
 */
struct registration *server_register(struct server *server, const char *jid, const char *node,
                                     const char *secret);

/* The registration, lost or not, or NULL. */
struct registration *server_registration(const struct server *server, const char *jid,
                                         const char *node);

#endif
