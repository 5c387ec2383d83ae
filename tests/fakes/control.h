/*
 * The control listener, HTTP/1.1 on loopback: POST /script, POST /environments, GET /received,
 * GET /stats, POST /reset.
 */
#ifndef OG_TESTS_FAKES_CONTROL_H
#define OG_TESTS_FAKES_CONTROL_H

#include "common/http/http_server.h"
#include "tests/fakes/service.h"

/* Starts to listen on ADDRESS. NULL with *WHY (heap, the caller frees it) on failure. */
struct http_server *control_start(struct service *service, const union net_address *address,
                                  char **why);

#endif
