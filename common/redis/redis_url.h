/*
 * The address of a Redis: redis://[user:password@]host[:port][/db] or unix:///path[?db=n]. Any
 * other form is refused. User and password are percent-decoded. Pure.
 */
#ifndef OG_COMMON_REDIS_REDIS_URL_H
#define OG_COMMON_REDIS_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#define REDIS_PORT 6379

struct redis_url {
	char *user;     /* NULL: none; all strings are heap, owned */
	char *password; /* NULL: none */
	char *host;     /* name or numeric address, without brackets; NULL: a unix socket */
	char *path;     /* of the unix socket; NULL: TCP */
	uint16_t port;
	unsigned db;
};

/* Reads TEXT into URL. NULL, or what is wrong (static text; URL is then empty). */
const char *redis_url_parse(struct redis_url *url, const char *text);

/* True if TEXT is "none", by which a configuration says that there is no Redis. */
bool redis_url_is_none(const char *text);

/* Frees what URL holds and wipes the password. */
void redis_url_release(struct redis_url *url);

#endif
