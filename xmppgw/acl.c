#include "xmppgw/acl.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/text/jid.h"
#include "xmppgw/conf.h"

/* Sets of prepared texts: each is its own key. */
static struct map served, admins;

static void add(struct map *set, char *text)
{
	free(map_put(set, text, strlen(text), text));
}

static bool has(const struct map *set, const char *text)
{
	return map_get(set, text, strlen(text)) != NULL;
}

/* TEXTS (NULL: none) are domains or bare JIDs; conf_check() has made sure of that. */
static void fill(struct map *set, char *const *texts)
{
	char bare[JID_TEXT_MAX];

	for (; texts != NULL && *texts != NULL; texts++)
		if (jid_parse_bare(*texts, bare) == 0)
			add(set, mem_dup(bare));
}

static void clear(struct map *set)
{
	size_t cursor = 0;
	char *text;

	while ((text = map_next(set, &cursor)) != NULL)
		free(text);
	map_release(set);
}

bool acl_serves(const char *domain)
{
	return served.count == 0 || has(&served, domain);
}

bool acl_is_admin(const char *jid)
{
	struct jid parsed;
	char bare[JID_TEXT_MAX];

	return admins.count > 0 && jid_parse(jid, &parsed) == 0 &&
	       has(&admins, jid_bare(&parsed, bare));
}

void acl_each_admin(void (*each)(const char *admin, void *state), void *state)
{
	size_t cursor = 0;
	const char *admin;

	while ((admin = map_next(&admins, &cursor)) != NULL)
		each(admin, state);
}

static int start(void *config)
{
	const struct conf *conf = config;

	fill(&served, conf->daemon.served_domains);
	fill(&admins, conf->daemon.admins);
	return 0;
}

static void stop(void)
{
	clear(&served);
	clear(&admins);
}

const struct daemon_module acl_module = { "access", start, stop };
