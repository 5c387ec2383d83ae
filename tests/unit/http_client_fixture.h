/* Requests that remember what came of them. */
#ifndef OG_TESTS_UNIT_HTTP_CLIENT_FIXTURE_H
#define OG_TESTS_UNIT_HTTP_CLIENT_FIXTURE_H

#include "common/base/mem.h"
#include "common/http/http_client.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct http_pool *pool;

struct asked {
	struct http_call call;
	int done;
};

static inline void on_asked(struct http_call *call)
{
	container_of(call, struct asked, call)->done++;
}

static inline void ask(struct asked *asked, const char *method, const char *url)
{
	if (asked->call.done == NULL)
		asked->call.done = on_asked;
	asked->call.method = method;
	asked->call.url = url;
	if (asked->call.timeout_ms == 0)
		asked->call.timeout_ms = 60000;
	asked->done = 0;
	http_send(pool, &asked->call);
}

static inline void expect(struct asked *asked, enum http_failure failure, unsigned status)
{
	WAIT_UNTIL(asked->done > 0);
	ck_assert_int_eq(asked->done, 1);
	ck_assert_msg(asked->call.failure == failure, "%s: %s",
	              http_failure_name(asked->call.failure), asked->call.error);
	ck_assert_uint_eq(asked->call.status, status);
	ck_assert_int_eq(asked->call.error[0] != '\0', failure != HTTP_OK);
	ck_assert_uint_eq(strlen(asked->call.response), asked->call.response_len);
}

#endif
