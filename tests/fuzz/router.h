/*
 * The gateway's handlers without sockets: what stanzas are routed to, by harnesses and unit tests.
 */
#ifndef OG_TESTS_FUZZ_ROUTER_H
#define OG_TESTS_FUZZ_ROUTER_H

#include <assert.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/conf.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/publish_send.h"

static char *router_roles[] = { (char *)"relay", (char *)"push", NULL };
static char *router_admins[] = { (char *)"admin@example.org", NULL };
static const struct conf_component router_component = {
	.domain = (char *)"both.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"s",
	.roles = router_roles,
	.name = (char *)"A \"name\"",
	.admins = router_admins,
};
static char *router_addresses[] = { (char *)"192.0.2.1:1080", NULL };
static struct conf_relay router_relay = { (char *)"r1", (char *)"http://127.0.0.1:1",
	                                  router_addresses };
static struct conf router_conf = {
	.daemon = { .redis = (char *)"none" },
	.relays = { &router_relay, 1 },
};

/* All that handlers call, as main.c has it. */
static const struct daemon_module *const router_modules[] = {
	&backend_module,      &api_call_module,   &publish_send_module,
	&command_call_module, &activation_module, &iq_module,
};

static inline void router_on_change(struct stream *stream)
{
}

/* A stream that is up, and all modules; nothing can be called by them. */
static inline struct stream *router_start(void)
{
	struct stream *stream = mem_alloc(1, sizeof(*stream));

	log_init("fuzz", LOG_ERROR);
	loop_init();
	stream_init(stream, &router_component);
	acl_init(&stream->acl, &router_component);
	stream->on_change = router_on_change;
	stream->state = STREAM_UP;
	for (size_t i = 0; i < ARRAY_LEN(router_modules); i++)
		assert(router_modules[i]->start(&router_conf) == 0);
	return stream;
}

static inline void router_stop(struct stream *stream)
{
	for (size_t i = ARRAY_LEN(router_modules); i > 0; i--)
		router_modules[i - 1]->stop();
	acl_release(&stream->acl);
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

#endif
