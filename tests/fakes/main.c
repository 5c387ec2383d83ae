/*
 * providers: plays APNs, FCM and Google's OAuth token endpoint in one process.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "tests/fakes/control.h"
#include "tests/fakes/key.h"
#include "tests/fakes/listener.h"
#include "tests/fakes/options.h"
#include "tests/fakes/test_set.h"

static struct options options;
static struct service service;
static struct listener listener = { .owner.service = &service };
static struct listener sandbox = {
	.owner = { .service = &service, .environment = ENVIRONMENT_SANDBOX },
};
static struct http_server *control;
static char why[256];

/* FILE if it was given, else NAME in the test set, if there is one. Lives as long as we do. */
static const char *file_of(const char *file, const char *name)
{
	static char paths[8][1024];
	static unsigned used;

	if (file != NULL || options.set == NULL)
		return file;
	snprintf(paths[used], sizeof(paths[0]), "%s/%s", options.set, name);
	return paths[used++];
}

static int start_service(void)
{
	struct provider_tokens *tokens = &service.apns.tokens;

	list_init(&service.delayed);
	tokens->key = key_read(file_of(options.apns_key, TEST_SET_APNS_PUBLIC), EVP_PKEY_EC, why,
	                       sizeof(why));
	if (tokens->key == NULL)
		return -1;
	tokens->key_id = options.apns_key_id;
	tokens->team_id = options.apns_team_id;
	service.apns.topics = options.apns_topics;
	service.apns.environments = &service.environments;
	service.fcm = (struct fcm){ .project = options.account.project, .access = &service.access };
	service.oauth = (struct oauth){
		.key = key_read(file_of(options.oauth_key, TEST_SET_OAUTH_PUBLIC), EVP_PKEY_RSA,
		                why, sizeof(why)),
		.email = options.account.email,
		.token_uri = options.account.token_uri,
		.access = &service.access,
	};
	return service.oauth.key == NULL ? -1 : 0;
}

/* Starts STARTED as WANTED on ADDRESS; in the log it is WHAT. */
static int start_listener(struct listener *started, struct listener_options *wanted,
                          const char *address, const char *what)
{
	char text[NET_TEXT_MAX];

	if (net_parse(address, &wanted->listen) < 0) {
		snprintf(why, sizeof(why), "%s: must be a numeric address and a port", address);
		return -1;
	}
	if (listener_start(started, wanted, why, sizeof(why)) < 0)
		return -1;
	log_info("listening what=%s address=%s", what, net_format(&started->address, text));
	return 0;
}

static int start_listeners(void)
{
	struct listener_options wanted = {
		.certificate = file_of(options.cert, TEST_SET_CERT),
		.key = file_of(options.key, TEST_SET_KEY),
		.client_ca = file_of(options.client_ca, TEST_SET_CA),
		.no_alpn = options.no_alpn,
		.tls12 = options.tls12,
	};

	if (start_listener(&listener, &wanted, options.listen, "fake") < 0)
		return -1;
	if (options.sandbox == NULL)
		return 0;
	return start_listener(&sandbox, &wanted, options.sandbox, "sandbox");
}

static int start_control(void)
{
	union net_address address;
	char text[NET_TEXT_MAX], *reason = NULL;

	if (net_parse(options.control, &address) < 0) {
		snprintf(why, sizeof(why), "--control: must be a numeric address and a port");
		return -1;
	}
	control = control_start(&service, &address, &reason);
	if (control == NULL) {
		snprintf(why, sizeof(why), "%s", reason);
		free(reason);
		return -1;
	}
	log_info("listening what=control address=%s",
	         net_format(http_server_address(control), text));
	return 0;
}

static void on_signal(int signal)
{
	loop_end();
}

static int serve(void)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	int result = -1;

	signal(SIGPIPE, SIG_IGN);
	loop_init();
	loop_signals(signals, on_signal);
	if (start_service() == 0 && start_listeners() == 0 && start_control() == 0) {
		log_info("ready");
		loop_run();
		result = 0;
	} else {
		log_error("start-failed reason=%s", why);
	}
	if (control != NULL)
		http_server_free(control);
	listener_stop(&listener);
	listener_stop(&sandbox);
	service_release(&service);
	EVP_PKEY_free(service.apns.tokens.key);
	EVP_PKEY_free(service.oauth.key);
	loop_release();
	return result;
}

static int generate(void)
{
	const char *topic = options.apns_topic_count > 0 ? options.apns_topics[0] : TEST_SET_TOPIC;

	if (test_set_make(options.generate, topic, &options.account, why, sizeof(why)) == 0)
		return 0;
	log_error("generate-failed reason=%s", why);
	return -1;
}

static int run(void)
{
	log_init("providers", (enum log_level)log_level_by_name(options.log_level));
	if (options.help) {
		options_help();
		return 0;
	}
	return options.generate != NULL ? generate() : serve();
}

int main(int argc, char **argv)
{
	int result = options_read(&options, argc, argv);

	if (result == 0)
		result = run();
	else
		fputs("providers --help says more.\n", stderr);
	options_release(&options);
	return result == 0 ? 0 : 1;
}
