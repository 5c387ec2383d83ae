#include "xmppgw/acl.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/text/jid.h"

static void add(struct map *set, char *text)
{
	free(map_put(set, text, strlen(text), text));
}

static bool has(const struct map *set, const char *text)
{
	return map_get(set, text, strlen(text)) != NULL;
}

/* TEXTS (NULL: none) are domains or bare JIDs. */
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

void acl_init(struct acl *acl, const struct conf_component *conf)
{
	fill(&acl->served, conf->served_domains);
	fill(&acl->admins, conf->admins);
	acl->serve = (enum serve)conf->serve;
	acl->charge = (enum charge)conf->charge;
}

void acl_release(struct acl *acl)
{
	clear(&acl->served);
	clear(&acl->admins);
}

bool acl_serves(const struct acl *acl, const char *domain)
{
	return acl->served.count == 0 || has(&acl->served, domain);
}

bool acl_is_admin(const struct acl *acl, const char *jid)
{
	struct jid parsed;
	char bare[JID_TEXT_MAX];

	return acl->admins.count > 0 && jid_parse(jid, &parsed) == 0 &&
	       has(&acl->admins, jid_bare(&parsed, bare));
}

void acl_each_admin(const struct acl *acl, void (*each)(const char *admin, void *state),
                    void *state)
{
	size_t cursor = 0;
	const char *admin;

	while ((admin = map_next(&acl->admins, &cursor)) != NULL)
		each(admin, state);
}
