#include "tests/fakes/refusals.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/mem.h"

static const struct {
	const char *name;
	int fault;
	bool closes;
} ways[] = {
	{ "bad", X509_V_ERR_CERT_UNTRUSTED },
	{ "expired", X509_V_ERR_CERT_HAS_EXPIRED },
	{ "revoked", X509_V_ERR_CERT_REVOKED },
	{ "unknown-ca", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "close", X509_V_ERR_CERT_REJECTED, true },
};

bool refusals_add(struct refusals *refusals, const char *topic, const char *how, long times)
{
	struct refusal *row = &refusals->rows[refusals->count];
	size_t way = 0;

	while (way < ARRAY_LEN(ways) && strcmp(ways[way].name, how) != 0)
		way++;
	if (way == ARRAY_LEN(ways) || refusals->count == REFUSALS_MAX)
		return false;
	snprintf(row->topic, sizeof(row->topic), "%s", topic);
	row->fault = ways[way].fault;
	row->closes = ways[way].closes;
	row->left = times;
	refusals->count++;
	return true;
}

/* The row for CERTIFICATE, which counts this handshake; NULL: it is taken. */
static const struct refusal *find(struct refusals *refusals, const X509 *certificate)
{
	char topic[REFUSALS_TOPIC_MAX] = "";

	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_userId, topic,
	                          sizeof(topic));
	for (size_t i = 0; i < refusals->count; i++) {
		struct refusal *row = &refusals->rows[i];

		if (strcmp(row->topic, topic) != 0 || row->left == 0)
			continue;
		if (row->left > 0)
			row->left--;
		return row;
	}
	return NULL;
}

/* What isn't good in another way is APNs's to refuse, by a reason. */
static int judge(X509_STORE_CTX *store, void *data)
{
	const struct refusal *refusal = find(data, X509_STORE_CTX_get0_cert(store));
	SSL *tls = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

	if (refusal == NULL) {
		X509_verify_cert(store);
		return 1;
	}
	/* Then the alert has no way out. */
	if (refusal->closes)
		shutdown(SSL_get_fd(tls), SHUT_RDWR);
	X509_STORE_CTX_set_error(store, refusal->fault);
	return 0;
}

void refusals_apply(struct refusals *refusals, SSL_CTX *tls)
{
	SSL_CTX_set_cert_verify_callback(tls, judge, refusals);
}
