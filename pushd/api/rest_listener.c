#include "pushd/api/rest_listener.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "pushd/api/rest.h"
#include "pushd/conf.h"
#include "pushd/credential/identity.h"

#define BODY_MAX 8192
/* Far more than are served at once: it takes so many slow ones to be in anybody's way. */
#define CONNECTIONS_MAX 10000

static struct {
	const struct conf_daemon *daemon;
	struct http_server *server;
} self;

/* Descriptors must be left for providers, Redis and gateways. */
static unsigned choose_connection_max(void)
{
	struct rlimit limit;

	/* There may be so many that are silent besides those that speak. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 4 > CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return (unsigned)limit.rlim_cur / 4 + 1;
}

static int listen_on(const struct identity *identity)
{
	struct http_server_options options = {
		.routes = rest_routes,
		.body_max = BODY_MAX,
		.connection_max = choose_connection_max(),
		.certificate = identity->certificate,
		.key = identity->key,
	};

	self.server = http_server_listen(&options, "public", self.daemon->public_listen);
	return self.server != NULL ? 0 : -1;
}

static int start_listening(void)
{
	struct identity identity;
	int result = identity_read(&identity, self.daemon->cert_file, self.daemon->key_file)
	                     ? listen_on(&identity)
	                     : -1;

	identity_release(&identity);
	return result;
}

static int start(void *config)
{
	self.daemon = &((const struct conf *)config)->daemon;
	if (self.daemon->public_listen == NULL)
		return 0;
	rest_start(self.daemon);
	return start_listening();
}

void rest_listener_reload(void)
{
	struct identity identity;
	char *why = NULL;

	if (self.server == NULL || self.daemon->cert_file == NULL)
		return;
	if (!identity_read(&identity, self.daemon->cert_file, self.daemon->key_file)) {
		log_error("certificate-kept reason=unreadable");
	} else if (http_server_renew(self.server, identity.certificate, identity.key, &why) != 0) {
		log_error("certificate-kept file=%s reason=\"%s\"", self.daemon->cert_file, why);
		free(why);
	} else {
		log_info("certificate-renewed file=%s", self.daemon->cert_file);
	}
	identity_release(&identity);
}

static void stop(void)
{
	if (self.server == NULL)
		return;
	http_server_free(self.server);
	self.server = NULL;
	rest_stop();
}

const union net_address *rest_listener_address(void)
{
	return self.server != NULL ? http_server_address(self.server) : NULL;
}

const struct daemon_module rest_listener_module = { "rest_listener", start, stop };
