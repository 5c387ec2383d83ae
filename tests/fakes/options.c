#include "tests/fakes/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/fakes/test_set.h"

enum kind { OPTION_TEXT, OPTION_FLAG, OPTION_TEXTS };

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *argument; /* NULL for flags */
	const char *fallback;
	const char *help;
};

/* clang-format off */
#define AT(member) offsetof(struct options, member)
static const struct row rows[] = {
	{ "listen", OPTION_TEXT, AT(listen), "ADDRESS", "127.0.0.1:0",
	  "where APNs (HTTP/2), FCM and the token endpoint (HTTP/1.1 too) are served by TLS" },
	{ "sandbox-listen", OPTION_TEXT, AT(sandbox), "ADDRESS", NULL,
	  "where the same is served once more, with APNs as its sandbox" },
	{ "control", OPTION_TEXT, AT(control), "ADDRESS", "127.0.0.1:0",
	  "where the controls are served (HTTP/1.1, loopback only)" },
	{ "set", OPTION_TEXT, AT(set), "DIR", NULL,
	  "take the files below and the service account from DIR, as --generate has made them" },
	{ "cert", OPTION_TEXT, AT(cert), "FILE", NULL, "server certificate and chain, PEM" },
	{ "key", OPTION_TEXT, AT(key), "FILE", NULL, "its private key, PEM" },
	{ "client-ca", OPTION_TEXT, AT(client_ca), "FILE", NULL,
	  "the CA of certificates with which senders sign in to APNs, PEM (default: the set's)" },
	{ "apns-key", OPTION_TEXT, AT(apns_key), "FILE", NULL,
	  "public key that APNs provider tokens are checked with, PEM" },
	{ "apns-key-id", OPTION_TEXT, AT(apns_key_id), "ID", TEST_SET_KEY_ID, "its key id (kid)" },
	{ "apns-team-id", OPTION_TEXT, AT(apns_team_id), "ID", TEST_SET_TEAM_ID,
	  "its team id (iss)" },
	{ "apns-topic", OPTION_TEXTS, AT(apns_topics), "TOPIC", NULL,
	  "a topic that is served, without .voip; repeat for more (default: any); with --generate "
	  "the first is the certificate's (default: " TEST_SET_TOPIC ")" },
	{ "oauth-key", OPTION_TEXT, AT(oauth_key), "FILE", NULL,
	  "public key that grants are checked with, PEM" },
	{ "oauth-email", OPTION_TEXT, AT(account.email), "EMAIL", NULL,
	  "the service account's client_email (iss) (default: the set's, or " TEST_SET_EMAIL ")" },
	{ "token-uri", OPTION_TEXT, AT(account.token_uri), "URL", NULL,
	  "the service account's token_uri (aud); Google's and the URL that a request came to are "
	  "always good" },
	{ "project", OPTION_TEXT, AT(account.project), "ID", NULL,
	  "the FCM project (default: the set's, or " TEST_SET_PROJECT ")" },
	{ "no-alpn", OPTION_FLAG, AT(no_alpn), NULL, NULL,
	  "serve TLS without ALPN and no HTTP at all, as a server that lacks h2" },
	{ "tls12", OPTION_FLAG, AT(tls12), NULL, NULL, "serve TLS 1.2 alone, not 1.3" },
	{ "log-level", OPTION_TEXT, AT(log_level), "LEVEL", "info", "debug, info, warn or error" },
	{ "generate", OPTION_TEXT, AT(generate), "DIR", NULL,
	  "make a test set in DIR (needs --token-uri) and exit" },
	{ "help", OPTION_FLAG, AT(help), NULL, NULL, "print this and exit" },
};
/* clang-format on */

static const char usage[] =
        "providers plays Apple's APNs, Google's FCM and Google's OAuth token endpoint, by their\n"
        "documents, so that senders can be tested and loaded without them.\n"
        "\n"
        "  providers --generate DIR --token-uri https://127.0.0.1:2197/token\n"
        "  providers --set DIR --listen 127.0.0.1:2197 --control 127.0.0.1:2198\n"
        "\n";

static const char details[] =
        "\n"
        "A test set is: ca.pem (trust this), server.pem and server.key (for localhost,\n"
        "127.0.0.1, ::1, Apple's and Google's hosts and the host of --token-uri), apns.p8\n"
        "(the sender's key) and apns.pub.pem,\n"
        "apns-certificate.pem (in place of apns.p8: a sender's certificate, whose UID is\n"
        "the topic, with its key), service-account.json (the sender's account) and\n"
        "oauth.pub.pem. The CA's key is not kept. No file of a set is overwritten.\n"
        "\n"
        "Controls:\n"
        "  POST /script    adds rules, of which the latest win: [{\"match\": {…},\n"
        "                  \"answer\": {…}}, …]\n"
        "                  match: provider (apns, fcm, oauth), environment (production,\n"
        "                  sandbox), token (or fid), path (may end in *); of what fits:\n"
        "                  nth (from that request on), every (each so-manieth), share\n"
        "                  (0.01: one of a hundred, by chance) with its seed, times (so\n"
        "                  many), for_ms (so long)\n"
        "                  answer: status, reason (APNs's reason, FCM's or OAuth's\n"
        "                  error code), timestamp, expires_in (of an access token),\n"
        "                  delay_ms, headers, body; or goaway {last, debug, code,\n"
        "                  silent (true: all that is open stays so, unanswered)}, rst\n"
        "                  (the error's name), close (true), silent (true)\n"
        "                  A GOAWAY at every 2000th request: {\"match\": {\"every\":\n"
        "                  2000}, \"answer\": {\"goaway\": {}}}; 30 s of silence for all:\n"
        "                  {\"match\": {\"for_ms\": 30000}, \"answer\": {\"silent\": true}}\n"
        "  POST /environments\n"
        "                  {\"production\": [token, …], \"sandbox\": [token, …]}: these\n"
        "                  are bad device tokens to the other one; all others are good\n"
        "                  in both\n"
        "  POST /certificates\n"
        "                  {\"refused\": [{\"topic\": …, \"how\": …, \"times\": …}]}:\n"
        "                  clients' certificates for these topics are refused within\n"
        "                  TLS, so many times or until the next POST: bad, expired,\n"
        "                  revoked, unknown-ca (alerts), or close\n"
        "  GET /received?from=N&limit=1000\n"
        "                  the requests that came, each with how it was answered\n"
        "  GET /stats      what was counted\n"
        "  POST /hasten    answers now what delay_ms holds back\n"
        "  POST /reset     forgets script, environments, record and counts\n"
        "\n"
        "The log says \"listening what=fake address=…\", the same with what=sandbox and\n"
        "what=control, then \"ready\".\n";

void options_help(void)
{
	char name[64];

	fputs(usage, stdout);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		snprintf(name, sizeof(name), "--%s%s%s", row->name, row->argument ? " " : "",
		         row->argument ? row->argument : "");
		printf("  %-22s %s", name, row->help);
		if (row->fallback != NULL)
			printf(" (default: %s)", row->fallback);
		printf("\n");
	}
	fputs(details, stdout);
}

static const char **text_at(struct options *options, const struct row *row)
{
	return (const char **)((char *)options + row->offset);
}

static void add_topic(struct options *options, const char *topic)
{
	options->apns_topics = mem_resize(options->apns_topics, options->apns_topic_count + 2,
	                                  sizeof(*options->apns_topics));
	options->apns_topics[options->apns_topic_count++] = topic;
	options->apns_topics[options->apns_topic_count] = NULL;
}

static void take(struct options *options, const struct row *row, const char *argument)
{
	switch (row->kind) {
	case OPTION_TEXT:
		*text_at(options, row) = argument;
		break;
	case OPTION_FLAG:
		*(bool *)((char *)options + row->offset) = true;
		break;
	case OPTION_TEXTS:
		add_topic(options, argument);
		break;
	}
}

/* What was not given comes from the set's account, then from what --generate puts there. */
static void complete_account(struct options *options)
{
	const struct test_set_account usual = { TEST_SET_PROJECT, TEST_SET_EMAIL, NULL };

	if (options->set != NULL)
		options->account_file = test_set_read_account(options->set, &options->account);
	test_set_complete(&options->account, &usual);
}

static int complain(const char *text)
{
	fprintf(stderr, "providers: %s\n", text);
	return -1;
}

static int check(const struct options *options)
{
	if (options->help)
		return 0;
	if (log_level_by_name(options->log_level) < 0)
		return complain("--log-level must be debug, info, warn or error");
	if (options->generate != NULL && options->account.token_uri == NULL)
		return complain("--generate needs --token-uri");
	if (options->generate != NULL || options->set != NULL)
		return 0;
	if (options->cert == NULL || options->key == NULL || options->apns_key == NULL ||
	    options->oauth_key == NULL)
		return complain("needs --set, or --cert, --key, --apns-key and --oauth-key");
	return 0;
}

int options_read(struct options *options, int argc, char **argv)
{
	struct option table[ARRAY_LEN(rows) + 1] = { 0 };
	int index;

	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		table[i].name = rows[i].name;
		table[i].has_arg = rows[i].kind == OPTION_FLAG ? no_argument : required_argument;
		if (rows[i].fallback != NULL)
			*text_at(options, &rows[i]) = rows[i].fallback;
	}
	for (;;) {
		int found = getopt_long(argc, argv, "", table, &index);

		if (found < 0)
			break;
		if (found != 0)
			return -1;
		take(options, &rows[index], optarg);
	}
	if (optind < argc) {
		fprintf(stderr, "providers: what is \"%s\"?\n", argv[optind]);
		return -1;
	}
	complete_account(options);
	return check(options);
}

void options_release(struct options *options)
{
	json_decref(options->account_file);
	free(options->apns_topics);
	options->apns_topics = NULL;
}
