/* A relay's control API on a real Redis, and a client that asks it. */
#ifndef OG_TESTS_UNIT_RELAY_API_H
#define OG_TESTS_UNIT_RELAY_API_H

#include "relayd/api/server.h"
#include "tests/unit/http_client_fixture.h"
#include "tests/unit/relay_store.h"

static inline void relay_api_setup(void)
{
	relay_store_setup();
	relay_conf.control_listen = (char *)"127.0.0.1:0";
	relay_conf.api_token = (char *)"token";
	ck_assert_int_eq(server_module.start(&relay_conf), 0);
	pool = http_pool_new(&(struct http_pool_options){ .connections = 1 });
}

static inline void relay_api_teardown(void)
{
	http_pool_free(pool);
	server_module.stop();
	relay_store_teardown();
}

/* PART is in what the API answers, with STATUS, to METHOD and BODY (NULL: none) at /v1/PATH. */
static inline void relay_api_expect(const char *method, const char *path, const char *body,
                                    unsigned status, const char *part)
{
	static const char *const headers[] = { "Authorization: Bearer token", NULL };
	struct asked asked = { 0 };
	char address[NET_TEXT_MAX];
	char *url = mem_printf("http://%s/v1/%s", net_format(server_address(), address), path);

	asked.call.headers = headers;
	asked.call.body = body;
	asked.call.body_len = body != NULL ? strlen(body) : 0;
	ask(&asked, method, url);
	expect(&asked, HTTP_OK, status);
	ck_assert_msg(strstr(asked.call.response, part) != NULL, "%s", asked.call.response);
	http_release(&asked.call);
	free(url);
}

#endif
