/*
 * The part of the control API about streams: operators look at them, kill them and drain the relay.
 */
#ifndef OG_RELAYD_API_STREAMS_H
#define OG_RELAYD_API_STREAMS_H

struct http_request;
struct stream;

/* The stream that the path names; NULL after answering 404. */
struct stream *streams_named(struct http_request *request);

void streams_list(struct http_request *request);
void streams_get(struct http_request *request);
void streams_kill(struct http_request *request);
void streams_drain(struct http_request *request);

/* clang-format off */
#define STREAMS_ROUTES                                                                          \
	{ "GET",    "/v1/streams",        streams_list },                                       \
	{ "GET",    "/v1/streams/{hash}", streams_get },                                        \
	{ "DELETE", "/v1/streams/{hash}", streams_kill },                                       \
	{ "POST",   "/v1/drain",          streams_drain }
/* clang-format on */

#endif
