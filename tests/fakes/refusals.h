/*
 * Certificates of clients that are refused within TLS, as Apple refuses revoked ones: by an alert,
 * or by the end of the connection and no word. A certificate is named by its topic.
 */
#ifndef OG_TESTS_FAKES_REFUSALS_H
#define OG_TESTS_FAKES_REFUSALS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#define REFUSALS_MAX 16
#define REFUSALS_TOPIC_MAX 256 /* with its NUL */

/* All zeros: none. */
struct refusals {
	struct refusal {
		char topic[REFUSALS_TOPIC_MAX];
		int fault;   /* X509_V_ERR_…, which the alert comes from */
		bool closes; /* the connection ends before an alert can be sent */
		long left;   /* so many handshakes; -1: all */
	} rows[REFUSALS_MAX];
	size_t count;
};

/*
 * Refuses certificates for TOPIC in the next TIMES handshakes (-1: all), HOW: "bad", "expired",
 * "revoked", "unknown-ca", or "close" without an alert. False: there are too many, or HOW is none
 * of these.
 */
bool refusals_add(struct refusals *refusals, const char *topic, const char *how, long times);

/* Makes TLS look here (borrowed) when a client shows a certificate. */
void refusals_apply(struct refusals *refusals, SSL_CTX *tls);

#endif
