/*
 * The OAuth access tokens that the pretend token endpoint has issued, so that pretend FCM knows
 * them.
 */
#ifndef OG_TESTS_FAKES_ACCESS_H
#define OG_TESTS_FAKES_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_MAX 1024 /* tokens that are remembered; the oldest is forgotten first */
#define ACCESS_TEXT 56  /* bytes of one with its NUL */

struct access {
	struct access_token {
		char text[ACCESS_TEXT];
		int64_t expires_ms;
	} tokens[ACCESS_MAX];
	unsigned issued; /* how many ever; token N is at N % ACCESS_MAX */
};

/* A new token, good until EXPIRES_MS; borrowed until ACCESS_MAX more were issued. */
const char *access_issue(struct access *access, int64_t expires_ms);

enum access_verdict { ACCESS_GOOD, ACCESS_UNKNOWN, ACCESS_EXPIRED };

/* What is known of TEXT at NOW_MS. */
enum access_verdict access_check(const struct access *access, const char *text, int64_t now_ms);

#endif
