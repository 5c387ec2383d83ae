/*
 * xmppgw: the gateway between XMPP servers and the other daemons. It is a component of the servers
 * (XEP-0114), turns stanzas into JSON calls and their answers into stanzas, and keeps nothing.
 */
#include <stddef.h>

#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/http/http_client.h"
#include "common/net/resolve.h"
#include "common/redis/redis.h"
#include "xmppgw/access.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/backend/call.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/commands/survey.h"
#include "xmppgw/component/links.h"
#include "xmppgw/conf.h"
#include "xmppgw/events/events.h"
#include "xmppgw/ops.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/publish.h"
#include "xmppgw/xmpp/jid.h"
#include "xmppgw/xmpp/xml.h"

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
