#include "pushd/check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/net/net.h"
#include "common/net/networks.h"
#include "common/redis/redis_url.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/credential/sealed_store.h"
#include "pushd/provider/kinds.h"

/* 1 to 65535. */
static bool valid_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits > 0 && digits <= 5 ? strtoul(text, NULL, 10) : 0;

	return text[digits] == '\0' && port >= 1 && port <= UINT16_MAX;
}

/* "http://[USER:PASSWORD@]HOST:PORT". */
static bool valid_proxy(const char *proxy)
{
	static const char scheme[] = "http://";
	const char *rest, *host, *port;

	if (proxy == NULL)
		return true;
	if (strncmp(proxy, scheme, sizeof(scheme) - 1) != 0)
		return false;
	rest = proxy + sizeof(scheme) - 1;
	host = strrchr(rest, '@');
	host = host != NULL ? host + 1 : rest;
	port = strrchr(host, ':');
	/* Elsewhere in a URL these end its authority: in a password they are written %XX. */
	return port != NULL && port > host && strpbrk(rest, "/?# \t") == NULL &&
	       valid_port(port + 1);
}

/* What is wrong with PROVIDER's keys (heap), or NULL. */
static char *find_fault(const struct conf *conf, const struct conf_provider *provider)
{
	const struct provider_kind *kind = provider_kinds[provider->kind];
	struct credential_wanted wanted = { 0 };
	char *why = NULL;

	if (!conf_valid_endpoint(provider->endpoint))
		return mem_printf("endpoint must be https://HOST[:PORT], not %s",
		                  provider->endpoint);
	why = conf_foreign_key(provider);
	if (why != NULL)
		return why;
	if (!valid_proxy(provider->http_proxy))
		return mem_dup("http-proxy must be http://[USER:PASSWORD@]HOST:PORT");
	why = conf_check_commands(conf, provider);
	if (why != NULL)
		return why;
	why = kind->check(provider);
	if (why != NULL)
		return why;
	if (provider->ca_file != NULL && access(provider->ca_file, R_OK) != 0)
		return mem_printf("ca-file %s: %s", provider->ca_file, strerror(errno));
	kind->credential(provider, &wanted);
	if (credential_check(&wanted, conf->daemon.master_key_file != NULL, &why) != 0 ||
	    kind->call_credential == NULL)
		return why;
	kind->call_credential(provider, &wanted);
	if (wanted.file != NULL)
		credential_check(&wanted, false, &why);
	return why;
}

/* Appends WHY (freed), if there is anything wrong with PROVIDER. */
static int complain(const struct conf_provider *provider, char *why, struct buf *complaints)
{
	if (why == NULL)
		return 0;
	buf_printf(complaints, "[provider %s]: %s\n", provider->id, why);
	free(why);
	return -1;
}

static int check_readable(const char *key, const char *path, struct buf *complaints)
{
	if (path == NULL || access(path, R_OK) == 0)
		return 0;
	buf_printf(complaints, "%s %s: %s\n", key, path, strerror(errno));
	return -1;
}

static int check_public(const struct conf_daemon *daemon, struct buf *complaints)
{
	union net_address address;

	if (daemon->public_listen == NULL)
		return 0;
	if (net_parse(daemon->public_listen, &address) != 0) {
		buf_printf(complaints, "public-listen: %s is no numeric address with a port\n",
		           daemon->public_listen);
		return -1;
	}
	if ((daemon->cert_file == NULL) != (daemon->key_file == NULL)) {
		buf_text(complaints, "cert-file and key-file belong together\n");
		return -1;
	}
	if (check_readable("cert-file", daemon->cert_file, complaints) != 0 ||
	    check_readable("key-file", daemon->key_file, complaints) != 0)
		return -1;
	if (daemon->cert_file == NULL && !daemon->behind_proxy && !net_is_loopback(&address)) {
		buf_text(complaints, "public-listen: without cert-file it must be a loopback "
		                     "address, or behind-proxy must be yes\n");
		return -1;
	}
	return 0;
}

/* It is part of a key and of log lines. */
static int check_id(const char *id, struct buf *complaints)
{
	if (strlen(id) <= CONF_ID_MAX && conf_plain_name(id) && strchr(id, ':') == NULL)
		return 0;
	buf_printf(complaints, "id: 1 to %d letters, digits and -._\n", CONF_ID_MAX);
	return -1;
}

static int check_db(const struct conf_daemon *daemon, struct buf *complaints)
{
	if (!redis_url_is_none(daemon->redis))
		return 0;
	buf_text(complaints, "redis: devices are kept there, so it can't be none\n");
	return -1;
}

static int check_master_key(const char *key, const char *path, struct buf *complaints)
{
	char *why;

	if (path == NULL || sealed_store_check(path, &why) == 0)
		return 0;
	buf_printf(complaints, "%s %s\n", key, why);
	free(why);
	return -1;
}

static int check_master_keys(const struct conf_daemon *daemon, struct buf *complaints)
{
	int one = check_master_key("master-key-file", daemon->master_key_file, complaints);
	int also =
	        check_master_key("master-key-file-also", daemon->master_key_file_also, complaints);

	if (daemon->master_key_file != NULL || daemon->master_key_file_also == NULL)
		return one != 0 || also != 0 ? -1 : 0;
	buf_text(complaints, "master-key-file-also needs master-key-file\n");
	return -1;
}

static int check_addresses(const struct conf_daemon *daemon, struct buf *complaints)
{
	union net_address address;
	struct networks trusted = { 0 };
	const char *bad;

	if (net_parse(daemon->api_listen, &address) != 0) {
		buf_printf(complaints, "api-listen: %s is no numeric address with a port\n",
		           daemon->api_listen);
		return -1;
	}
	bad = networks_read(&trusted, (const char *const *)daemon->trusted_proxies);
	networks_release(&trusted);
	if (bad == NULL)
		return 0;
	buf_printf(complaints, "trusted-proxies: %s is no address or network\n", bad);
	return -1;
}

/* A module names one provider. */
static int check_modules(const struct conf *conf, struct buf *complaints)
{
	struct map seen = { 0 };
	int result = 0;

	for (size_t i = 0; i < conf->providers.count; i++) {
		char **module = conf_provider(conf, i)->push_modules;

		for (; module != NULL && *module != NULL; module++) {
			if (map_put(&seen, *module, strlen(*module), *module) == NULL)
				continue;
			buf_printf(complaints, "[provider %s]: push-modules: %s is named twice\n",
			           conf_provider(conf, i)->id, *module);
			result = -1;
		}
	}
	map_release(&seen);
	return result;
}

int check_config(const void *config, struct buf *complaints)
{
	const struct conf *conf = config;
	int result = check_modules(conf, complaints);

	if (check_id(daemon_id(conf->daemon.id), complaints) != 0)
		result = -1;
	if (check_db(&conf->daemon, complaints) != 0)
		result = -1;
	if (check_addresses(&conf->daemon, complaints) != 0)
		result = -1;
	if (check_public(&conf->daemon, complaints) != 0)
		result = -1;
	if (check_master_keys(&conf->daemon, complaints) != 0)
		result = -1;
	for (size_t i = 0; i < conf->providers.count; i++)
		if (complain(conf_provider(conf, i), find_fault(conf, conf_provider(conf, i)),
		             complaints) != 0)
			result = -1;
	return result;
}

/* Without this OpenSSL would ask the terminal for the password of a key. */
static int give_no_password(char *buf, int size, int writing, void *user)
{
	return -1;
}

/* OpenSSL has no text for errors of the system. */
static const char *tls_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text != NULL ? text : "it can't be read";
}

/* Why the two files can't be used together (heap), or NULL. */
static char *find_identity_fault(const char *cert_file, const char *key_file)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char *why = NULL;

	if (context == NULL)
		panic("SSL_CTX_new");
	SSL_CTX_set_default_passwd_cb(context, give_no_password);
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
		why = mem_printf("cert-file %s: %s", cert_file, tls_error());
	else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
		why = mem_printf("key-file %s, with cert-file %s: %s", key_file, cert_file,
		                 tls_error());
	ERR_clear_error();
	SSL_CTX_free(context);
	return why;
}

/* At the start the listener itself refuses what is wrong; later it keeps what it has. */
static int check_identity(const struct conf_daemon *daemon, struct buf *complaints)
{
	char *why;

	if (daemon->public_listen == NULL || daemon->cert_file == NULL)
		return 0;
	why = find_identity_fault(daemon->cert_file, daemon->key_file);
	if (why == NULL)
		return 0;
	buf_printf(complaints, "%s\n", why);
	free(why);
	return -1;
}

/* Why PROVIDER's files can't be used now (heap), or NULL. */
static char *find_file_fault(const struct conf_provider *provider)
{
	const struct provider_kind *kind = provider_kinds[provider->kind];
	struct credential_wanted wanted = { 0 };
	char *why;

	kind->credential(provider, &wanted);
	if (credential_check_file(&wanted, &why) != 0 || kind->call_credential == NULL)
		return why;
	kind->call_credential(provider, &wanted);
	credential_check_file(&wanted, &why);
	return why;
}

int check_usable(const void *config, struct buf *complaints)
{
	const struct conf *conf = config;
	int result = check_identity(&conf->daemon, complaints);

	for (size_t i = 0; i < conf->providers.count; i++) {
		const struct conf_provider *provider = conf_provider(conf, i);

		if (complain(provider, find_file_fault(provider), complaints) != 0)
			result = -1;
	}
	return result;
}
