/*
 * One request to a pretend provider as it came over HTTP/2 or HTTP/1.1: collected piece by piece,
 * then named (which provider, which path, which device token). Headers and body have caps; what is
 * over a body's cap is counted and dropped.
 */
#ifndef OG_TESTS_FAKES_REQUEST_H
#define OG_TESTS_FAKES_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fakes/headers.h"

#define REQUEST_HEAD_MAX 8000  /* what APNs announces as MAX_HEADER_LIST_SIZE */
#define REQUEST_BODY_MAX 65536 /* bytes of a body that are kept */

enum provider { PROVIDER_APNS, PROVIDER_FCM, PROVIDER_OAUTH, PROVIDERS };

/* "apns", "fcm", "oauth"; ended by NULL. */
extern const char *const provider_names[];

/* Apple's two; each has tokens of its own. */
enum environment { ENVIRONMENT_PRODUCTION, ENVIRONMENT_SANDBOX, ENVIRONMENTS };

/* "production", "sandbox"; ended by NULL. */
extern const char *const environment_names[];

struct apns_binding;
struct client;

struct request {
	struct buf head;   /* a block of headers, pseudo-headers among them */
	struct buf body;   /* its first REQUEST_BODY_MAX bytes */
	size_t body_total; /* how many came */

	/* Set by request_complete(); texts point into head or json. */
	enum provider provider;
	const char *method, *path, *authority; /* "" when absent */
	const char *token;                     /* of the device; NULL: none */
	json_t *json;                          /* the body, NULL: not JSON */

	/* The connection's; the owner sets them. */
	enum environment environment;
	struct apns_binding *binding; /* what it is bound to */
	const struct client *client;  /* the certificate it signed in with */
};

/* Collects one header field; -1 when the head's cap would be passed. */
int request_add_header(struct request *request, struct header header, size_t name_len,
                       size_t value_len);

/* Collects a piece of the body. */
void request_add_body(struct request *request, const void *data, size_t len);

/* All has come: names the request and reads its body. */
void request_complete(struct request *request);

/* Frees what it holds; it may be used again. */
void request_release(struct request *request);

#endif
