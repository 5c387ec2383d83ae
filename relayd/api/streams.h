/*
 * The part of the control API about streams: operators look at them, kill them and drain the relay.
 */
#ifndef OG_RELAYD_API_STREAMS_H
#define OG_RELAYD_API_STREAMS_H

#include "common/http/http_route.h"

struct stream;

/* The stream that the path names; NULL after answering 404. */
struct stream *streams_named(struct http_request *request);

extern const struct http_route streams_routes[];

#endif
