/*
 * The control interface: HTTP/1.1 on loopback, JSON. options.c's help says what it takes.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_CONTROL_H
#define OG_TESTS_FAKES_XMPP_SERVER_CONTROL_H

#include "common/http/http_server.h"
#include "tests/fakes/xmpp_server/server.h"

/* Listens on ADDRESS, a text; NULL after logging why not. */
struct http_server *control_start(struct server *server, const char *address);

#endif
