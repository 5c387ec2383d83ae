#include "common/redis/redis_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/mem.h"
#include "common/net/net.h"
#include "common/text/percent.h"

#define DB_MOST 9999

static const char tcp_scheme[] = "redis://";
static const char unix_scheme[] = "unix://";

/* A decimal from LEAST to MOST, and nothing else. */
static bool read_number(const char *text, unsigned least, unsigned most, unsigned *number)
{
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 5 || text[len] != '\0')
		return false;
	*number = (unsigned)strtoul(text, NULL, 10);
	return *number >= least && *number <= most;
}

/* "user:password" or ":password". */
static const char *read_login(struct redis_url *url, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t user_len = colon != NULL ? (size_t)(colon - text) : 0;

	if (colon == NULL || user_len + 1 == len)
		return "before the @ there must be user:password or :password";
	url->password = percent_decode(colon + 1, len - user_len - 1);
	if (user_len > 0)
		url->user = percent_decode(text, user_len);
	if (url->password == NULL || (user_len > 0 && url->user == NULL))
		return "the user or password has a malformed %-escape";
	return NULL;
}

static bool host_ok(const char *host, bool bracketed)
{
	const char *others = bracketed ? ":." : "-._";
	size_t len = strlen(host);

	if (len == 0 || len > NET_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) && strchr(others, host[i]) == NULL)
			return false;
	return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port"; PLACE is cut up. */
static const char *read_place(struct redis_url *url, char *place)
{
	bool bracketed = place[0] == '[';
	char *host = place + bracketed, *end = host + strcspn(host, bracketed ? "]" : ":");
	char *rest = end;
	union net_address address;
	unsigned port = REDIS_PORT;

	if (bracketed && *rest++ == '\0')
		return "a [ has no ]";
	if (*rest != '\0' && (*rest != ':' || !read_number(rest + 1, 1, 65535, &port)))
		return "the port must be a number from 1 to 65535";
	*end = '\0';
	if (!host_ok(host, bracketed))
		return "the host is neither a name nor an address";
	if (bracketed &&
	    (net_numeric(host, (uint16_t)port, &address) < 0 || address.sa.sa_family != AF_INET6))
		return "between [ and ] there must be an IPv6 address";
	url->host = mem_dup(host);
	url->port = (uint16_t)port;
	return NULL;
}

/* What follows redis:// */
static const char *parse_tcp(struct redis_url *url, char *text)
{
	char *slash = strchr(text, '/'), *at;
	const char *why;

	if (slash != NULL) {
		*slash = '\0';
		if (slash[1] != '\0' && !read_number(slash + 1, 0, DB_MOST, &url->db))
			return "after the / there must be the number of a database";
	}
	at = strrchr(text, '@');
	if (at == NULL)
		return read_place(url, text);
	why = read_login(url, text, (size_t)(at - text));
	return why != NULL ? why : read_place(url, at + 1);
}

/* What follows unix:// */
static const char *parse_unix(struct redis_url *url, char *text)
{
	struct sockaddr_un address;
	char *query = strchr(text, '?');

	if (query != NULL) {
		*query = '\0';
		if (strncmp(query + 1, "db=", 3) != 0 ||
		    !read_number(query + 4, 0, DB_MOST, &url->db))
			return "after the ? there must be db= and the number of a database";
	}
	if (text[0] != '/' || text[1] == '\0')
		return "after unix:// there must be an absolute path";
	if (strlen(text) >= sizeof(address.sun_path))
		return "the path is too long for a unix socket";
	url->path = mem_dup(text);
	return NULL;
}

const char *redis_url_parse(struct redis_url *url, const char *text)
{
	const char *why = "it must begin with redis:// or unix://";
	char *copy = mem_dup(text);

	*url = (struct redis_url){ 0 };
	if (strncmp(text, tcp_scheme, sizeof(tcp_scheme) - 1) == 0)
		why = parse_tcp(url, copy + sizeof(tcp_scheme) - 1);
	else if (strncmp(text, unix_scheme, sizeof(unix_scheme) - 1) == 0)
		why = parse_unix(url, copy + sizeof(unix_scheme) - 1);
	mem_wipe(copy, strlen(text));
	free(copy);
	if (why != NULL)
		redis_url_release(url);
	return why;
}

bool redis_url_is_none(const char *text)
{
	return strcmp(text, "none") == 0;
}

void redis_url_release(struct redis_url *url)
{
	free(url->user);
	mem_free_secret(url->password);
	free(url->host);
	free(url->path);
	*url = (struct redis_url){ 0 };
}
