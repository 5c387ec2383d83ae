/*
 * xmppgw: the gateway between XMPP servers and the other daemons. It is a component of the servers
 * (XEP-0114), turns stanzas into JSON calls and their answers into stanzas, and keeps nothing.
 */
#include <stddef.h>

#include "common/daemon.h"
#include "common/http_client.h"
#include "common/mem.h"
#include "common/redis.h"
#include "common/resolve.h"
#include "xmppgw/access.h"
#include "xmppgw/activation.h"
#include "xmppgw/adhoc_call.h"
#include "xmppgw/backend.h"
#include "xmppgw/call.h"
#include "xmppgw/conf.h"
#include "xmppgw/events.h"
#include "xmppgw/jid.h"
#include "xmppgw/links.h"
#include "xmppgw/ops.h"
#include "xmppgw/publish.h"
#include "xmppgw/survey.h"
#include "xmppgw/xml.h"

static const struct daemon_module modules[] = {
	{ "access", access_start, access_stop },
	{ "backends", backend_start, backend_stop },
	{ "calls", call_start, call_stop },
	{ "publish", publish_start, publish_stop },
	{ "commands", adhoc_call_start, adhoc_call_stop },
	{ "surveys", survey_start, survey_stop },
	{ "activation", activation_begin, activation_end },
	{ "links", links_start, links_stop },
	{ "events", events_start, events_stop },
	{ "ops", ops_start, ops_stop },
	{ NULL },
};

static char *health_url(const void *config)
{
	const struct conf *conf = config;

	return mem_printf("http://%s/healthz", conf->daemon.ops_listen);
}

static const char *(*const versions[])(void) = {
	xml_version,     jid_version, http_client_version, http_server_version, redis_version,
	resolve_version, NULL,
};

static const struct daemon_spec spec = {
	.config = &conf_table,
	.common_offset = offsetof(struct conf, daemon.common),
	.modules = modules,
	.check = conf_check,
	.drain = links_drain,
	.dump = links_dump,
	.health_url = health_url,
	.serving = links_all_up,
	.versions = versions,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &spec);
}
