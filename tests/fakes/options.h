/*
 * The command line of the pretend providers.
 */
#ifndef OG_TESTS_FAKES_OPTIONS_H
#define OG_TESTS_FAKES_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/fakes/test_set.h"

struct options {
	const char *listen, *control;
	const char *sandbox; /* NULL: none */
	const char *set;     /* directory with a test set: stands for the files below */
	const char *cert, *key, *client_ca;
	const char *apns_key, *apns_key_id, *apns_team_id;
	const char **apns_topics; /* ended by NULL; heap */
	size_t apns_topic_count;
	const char *oauth_key;
	struct test_set_account account; /* token_uri may be NULL */
	json_t *account_file;            /* owned: where the set's texts of it are */
	const char *log_level;
	const char *generate; /* directory to make a test set in, and exit */
	bool no_alpn;
	bool tls12;
	bool help;
};

/* Reads the arguments over the defaults; 0, or -1 after saying on stderr what is wrong. */
int options_read(struct options *options, int argc, char **argv);

/* Prints the help text on stdout. */
void options_help(void);

/* Frees what options_read() has made. */
void options_release(struct options *options);

#endif
