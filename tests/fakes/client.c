#include "tests/fakes/client.h"

#include <openssl/x509.h>
#include <stdlib.h>

#include "common/base/mem.h"

/* Apple's extensions that say what a certificate is for; their value doesn't matter. */
static const char *const marks[ENVIRONMENTS] = {
	[ENVIRONMENT_SANDBOX] = "1.2.840.113635.100.6.3.1",
	[ENVIRONMENT_PRODUCTION] = "1.2.840.113635.100.6.3.2",
};

static char *read_topic(const X509 *certificate)
{
	char topic[256] = "";

	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_userId, topic,
	                          sizeof(topic));
	return mem_dup(topic);
}

static bool has_mark(const X509 *certificate, const char *mark)
{
	ASN1_OBJECT *object = OBJ_txt2obj(mark, 1);
	bool found = X509_get_ext_by_OBJ(certificate, object, -1) >= 0;

	ASN1_OBJECT_free(object);
	return found;
}

void client_read(struct client *client, const SSL *tls)
{
	const X509 *certificate = SSL_get0_peer_certificate(tls);

	if (certificate == NULL)
		return;
	client->present = true;
	client->trusted = SSL_get_verify_result(tls) == X509_V_OK;
	for (size_t i = 0; i < ENVIRONMENTS; i++)
		client->marked[i] = has_mark(certificate, marks[i]);
	client->topic = read_topic(certificate);
}

bool client_fits(const struct client *client, enum environment environment)
{
	for (size_t i = 0; i < ENVIRONMENTS; i++) {
		if (client->marked[i])
			return client->marked[environment];
	}
	return true;
}

void client_release(struct client *client)
{
	free(client->topic);
	client->topic = NULL;
}
