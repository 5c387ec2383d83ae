/*
 * xmpp-server: plays an XMPP server that components connect to and that publishes pushes.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/fakes/xmpp_server/control.h"
#include "tests/fakes/xmpp_server/load.h"
#include "tests/fakes/xmpp_server/options.h"
#include "tests/fakes/xmpp_server/publish.h"

static struct options options;
static struct server server;

static void on_signal(int signal)
{
	loop_end();
}

static int start_listener(void)
{
	char text[NET_TEXT_MAX];

	if (net_parse(options.listen, &server.address) != 0) {
		log_error("start-failed reason=\"--listen: no address\"");
		return -1;
	}
	if (server_listen(&server) != 0) {
		log_error("start-failed reason=\"%s: %s\"", options.listen, strerror(errno));
		return -1;
	}
	log_info("listening what=component address=%s", net_format(&server.address, text));
	return 0;
}

static void start_server(void)
{
	server.kind = options.kind;
	server.domain = options.domain;
	server.kicks_old = options.kicks_old;
	server_init(&server);
	publish_start(&server);
	for (size_t i = 0; i < options.component_count; i++)
		server_add_component(&server, options.components[i].name,
		                     options.components[i].secret);
}

static int serve(void)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	struct http_server *control = NULL;
	int result = -1;

	loop_init();
	loop_signals(signals, on_signal);
	start_server();
	if (start_listener() == 0 && (control = control_start(&server, options.control)) != NULL) {
		log_info("ready");
		loop_run();
		result = 0;
	}
	if (control != NULL)
		http_server_free(control);
	load_release();
	publish_stop();
	server_release(&server);
	loop_release();
	return result;
}

int main(int argc, char **argv)
{
	log_init("xmpp-server", LOG_INFO);
	if (options_read(&options, argc, argv) != 0) {
		fputs("xmpp-server --help says more.\n", stderr);
		return 1;
	}
	log_set_level((enum log_level)options.log_level);
	if (options.help) {
		options_help();
		return 0;
	}
	return serve() == 0 ? 0 : 1;
}
