#include "relayd/quota/active.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"

struct active_domain {
	size_t streams;
	size_t users; /* that point here */
	char name[];
};

static const struct relay_conf *conf; /* borrowed: its caps may change */
static struct map users, domains;

static struct active_domain *domain_for(const char *name)
{
	size_t len = strlen(name);
	struct active_domain *domain = map_get(&domains, name, len);

	if (domain != NULL)
		return domain;
	domain = mem_alloc(1, sizeof(*domain) + len + 1);
	memcpy(domain->name, name, len + 1);
	(void)map_put(&domains, domain->name, len, domain);
	return domain;
}

static struct active_user *user_for(const struct party *party)
{
	char *key = mem_printf("%s%c%s", party->user, '\0', party->domain);
	size_t len = strlen(party->user) + 1 + strlen(party->domain);
	struct active_user *user = map_get(&users, key, len);

	if (user == NULL) {
		user = mem_alloc(1, sizeof(*user) + len);
		user->domain = domain_for(party->domain);
		user->domain->users++;
		user->key_len = len;
		memcpy(user->key, key, len);
		(void)map_put(&users, user->key, len, user);
	}
	free(key);
	return user;
}

static void free_if_unused(struct active_user *user)
{
	struct active_domain *domain = user->domain;

	if (user->streams > 0)
		return;
	(void)map_remove(&users, user->key, user->key_len);
	free(user->bucket);
	free(user);
	if (--domain->users > 0)
		return;
	(void)map_remove(&domains, domain->name, strlen(domain->name));
	free(domain);
}

/* Two users of one domain count once for it. */
static bool counts_for_domain(const struct active *active, int place)
{
	return place == 0 || active->users[0]->domain != active->users[1]->domain;
}

static bool is_reached(size_t streams, int64_t most)
{
	return most > 0 && streams >= (size_t)most;
}

static bool is_over(const struct active_user *user, const struct party *party,
                    struct active_excess *excess)
{
	if (is_reached(user->streams, conf->streams_per_user_max))
		*excess = (struct active_excess){ party->user, true, conf->streams_per_user_max };
	else if (is_reached(user->domain->streams, conf->streams_per_domain_max))
		*excess = (struct active_excess){ party->domain, false,
			                          conf->streams_per_domain_max };
	else
		return false;
	return true;
}

static void count(struct active *active, int by)
{
	for (int i = 0; i < 2 && active->users[i] != NULL; i++) {
		active->users[i]->streams += (size_t)by;
		if (counts_for_domain(active, i))
			active->users[i]->domain->streams += (size_t)by;
	}
}

static void forget(struct active *active)
{
	for (int i = 0; i < 2 && active->users[i] != NULL; i++)
		free_if_unused(active->users[i]);
	*active = (struct active){ 0 };
}

bool active_take(struct active *active, const struct party parties[2], struct active_excess *excess)
{
	bool over = false;
	int n = 0;

	for (int i = 0; i < 2; i++) {
		struct active_user *user;

		if (!parties[i].charged)
			continue;
		user = user_for(&parties[i]);
		over = over || is_over(user, &parties[i], excess);
		if (n == 0 || active->users[0] != user)
			active->users[n++] = user;
	}
	if (over)
		forget(active);
	else
		count(active, 1);
	return !over;
}

void active_release(struct active *active)
{
	count(active, -1);
	forget(active);
}

static int start(void *config)
{
	conf = config;
	return 0;
}

/* No stream is counted any more. */
static void stop(void)
{
	map_release(&users);
	map_release(&domains);
}

const struct daemon_module active_module = { "active streams", start, stop };
