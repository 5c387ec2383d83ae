/*
 * xmppgw: the gateway between XMPP servers and the other daemons. It is a component of the servers
 * (XEP-0114), turns stanzas into JSON calls and their answers into stanzas, and keeps nothing.
 */
#include <stddef.h>

#include "common/daemon.h"
#include "common/http/http_client.h"
#include "common/net/resolve.h"
#include "common/redis/redis.h"
#include "common/text/jid.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/component/components.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/conf.h"
#include "xmppgw/db.h"
#include "xmppgw/events/events.h"
#include "xmppgw/ops.h"
#include "xmppgw/route.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/publish_send.h"
#include "xmppgw/xmpp/xml.h"

static const struct daemon_module *const modules[] = {
	&db_module,           &backend_module,    &api_call_module, &publish_send_module,
	&command_call_module, &activation_module, &route_module,    &components_module,
	&iq_module,           &events_module,     &ops_module,      NULL,
};

static const char *(*const versions[])(void) = {
	xml_version,     jid_version, http_client_version, http_server_version, redis_version,
	resolve_version, NULL,
};

static const struct daemon_spec spec = {
	.config = &conf_table,
	.common_offset = offsetof(struct conf, daemon.common),
	.health_offset = offsetof(struct conf, daemon.ops_listen),
	.modules = modules,
	.check = conf_check,
	.reloaded = components_reload,
	.dump = components_dump,
	.serving = components_all_up,
	.versions = versions,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &spec);
}
