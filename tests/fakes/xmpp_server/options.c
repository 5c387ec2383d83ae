#include "tests/fakes/xmpp_server/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"

static const char help[] =
        "xmpp-server plays an XMPP server's side of components (XEP-0114) and push (XEP-0357), "
        "with\n"
        "what is peculiar to one, so that gateways can be tested and loaded without it.\n"
        "\n"
        "  xmpp-server --as tigase --component push.example.org=SECRET --listen 127.0.0.1:5347\n"
        "\n"
        "  --as KIND             prosody, ejabberd, mongooseim, openfire or tigase\n"
        "  --listen ADDRESS      where components connect (default: 127.0.0.1:0)\n"
        "  --control ADDRESS     where the controls are served (HTTP/1.1, loopback only;\n"
        "                        default: 127.0.0.1:0)\n"
        "  --domain NAME         the server's own, which it publishes as (default: example.org)\n"
        "  --component NAME=SECRET   a component that may connect; repeat for more\n"
        "  --kick-old            where a second connection of a name isn't allowed, end the first\n"
        "  --log-level LEVEL     debug, info, warn or error (default: info)\n"
        "\n"
        "Controls:\n"
        "  POST /registrations   {\"registrations\": [{\"jid\": …, \"node\": …, \"secret\": …}, "
        "…]}:\n"
        "                        what users enable; the domain of each JID is a component\n"
        "  GET /registrations    all, each with its errors in a row, and if an app server's reply\n"
        "                        made the server forget it: lost, by (type/condition)\n"
        "  POST /publish         {\"jid\": …, \"node\": …} and \"form\" (the name of one of the "
        "kind's\n"
        "                        publishes) or \"stanza\" (an IQ, with {id} {from} {to} {node}\n"
        "                        {options}); answered when it ends: ending (result, error, lost,\n"
        "                        timeout), lost, and of an error type, condition and text\n"
        "  POST /load            {\"count\": …, \"in_flight\": …, \"rate\": …, \"form\": …}: "
        "publishes for\n"
        "                        all registrations in turn; rate is per second, 0: as fast as\n"
        "                        replies come\n"
        "  GET /load             how far it is, and its latencies once it is over\n"
        "  POST /load/stop       sends no more\n"
        "  POST /restart         {\"down_ms\": …}: cuts all connections and comes back then\n"
        "  GET /stats            what was counted\n"
        "\n"
        "The log says \"listening what=component address=…\", the same with what=control, then\n"
        "\"ready\"; and \"registration-lost jid=… node=… by=…\" for each that is lost.\n";

void options_help(void)
{
	fputs(help, stdout);
}

static int complain(const char *text)
{
	fprintf(stderr, "xmpp-server: %s\n", text);
	return -1;
}

static int add_component(struct options *options, char *text)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || options->component_count == COMPONENTS_MAX)
		return complain("--component: NAME=SECRET, at most 16 of them");
	*equals = '\0';
	options->components[options->component_count].name = text;
	options->components[options->component_count++].secret = equals + 1;
	return 0;
}

enum { AS, LISTEN, CONTROL, DOMAIN, COMPONENT, KICK_OLD, LEVEL, HELP };
static const struct option table[] = {
	{ "as", required_argument, NULL, AS },
	{ "listen", required_argument, NULL, LISTEN },
	{ "control", required_argument, NULL, CONTROL },
	{ "domain", required_argument, NULL, DOMAIN },
	{ "component", required_argument, NULL, COMPONENT },
	{ "kick-old", no_argument, NULL, KICK_OLD },
	{ "log-level", required_argument, NULL, LEVEL },
	{ "help", no_argument, NULL, HELP },
	{ NULL },
};

static int take(struct options *options, int option)
{
	switch (option) {
	case AS:
		options->kind = kind_by_name(optarg);
		return options->kind == NULL ? complain("--as: no such kind of server") : 0;
	case LISTEN:
		options->listen = optarg;
		return 0;
	case CONTROL:
		options->control = optarg;
		return 0;
	case DOMAIN:
		options->domain = optarg;
		return 0;
	case COMPONENT:
		return add_component(options, optarg);
	case KICK_OLD:
		options->kicks_old = true;
		return 0;
	case LEVEL:
		options->log_level = log_level_by_name(optarg);
		return options->log_level < 0 ? complain("--log-level: no such level") : 0;
	case HELP:
		options->help = true;
		return 0;
	default:
		return -1;
	}
}

int options_read(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){ .listen = "127.0.0.1:0",
		                     .control = "127.0.0.1:0",
		                     .domain = "example.org",
		                     .log_level = LOG_INFO };
	while ((option = getopt_long(argc, argv, "", table, NULL)) >= 0)
		if (take(options, option) != 0)
			return -1;
	if (optind < argc)
		return complain("there is an argument too many");
	if (options->kind == NULL && !options->help)
		return complain("--as is missing");
	return 0;
}
