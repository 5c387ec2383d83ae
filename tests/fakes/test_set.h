/*
 * A complete set of test credentials in a directory: a CA, a server certificate for this machine,
 * Apple's and Google's hosts and the host of the account's token_uri, an APNs signing key, an APNs
 * certificate and a Google service account, each with what the pretend providers need to check it.
 */
#ifndef OG_TESTS_FAKES_TEST_SET_H
#define OG_TESTS_FAKES_TEST_SET_H

#include <jansson.h>
#include <stddef.h>

#define TEST_SET_KEY_ID "FAKEKEY001"
#define TEST_SET_TEAM_ID "FAKETEAM01"
#define TEST_SET_PROJECT "fake-project"
#define TEST_SET_TOPIC "org.example.chat"
#define TEST_SET_EMAIL "fake@fake-project.iam.gserviceaccount.com"

#define TEST_SET_CA "ca.pem"
#define TEST_SET_CERT "server.pem"
#define TEST_SET_KEY "server.key"
#define TEST_SET_APNS_PRIVATE "apns.p8"
#define TEST_SET_APNS_CERT "apns-certificate.pem"
#define TEST_SET_APNS_PUBLIC "apns.pub.pem"
#define TEST_SET_ACCOUNT "service-account.json"
#define TEST_SET_OAUTH_PUBLIC "oauth.pub.pem"

struct test_set_account {
	const char *project, *email, *token_uri;
};

/*
 * Makes the set in DIR, which is created if need be, with an APNs certificate for TOPIC. Existing
 * files are never overwritten. 0, or -1 with the reason in WHY (SIZE bytes).
 */
int test_set_make(const char *dir, const char *topic, const struct test_set_account *account,
                  char *why, size_t size);

/*
 * Reads DIR's account into the members of ACCOUNT that are NULL. They point into the answer, which
 * the caller owns; NULL when there is no such file or it isn't JSON.
 */
json_t *test_set_read_account(const char *dir, struct test_set_account *account);

/* Fills the members of ACCOUNT that are NULL from USUAL. */
void test_set_complete(struct test_set_account *account, const struct test_set_account *usual);

#endif
