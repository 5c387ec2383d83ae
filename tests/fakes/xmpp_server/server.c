#include "tests/fakes/xmpp_server/server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/fakes/xmpp_server/link.h"
#include "tests/fakes/xmpp_server/text.h"

#define SILENT_MAX 100

const char *const stream_count_names[STREAM_COUNTS] = {
	"accepted", "up", "conflicts", "refused", "faults", "requests", "messages",
};

static void on_connection(struct acceptor *acceptor, int fd, const union net_address *address)
{
	struct server *server = container_of(acceptor, struct server, acceptor);

	server->counts[STREAM_ACCEPTED]++;
	link_open(server, fd);
}

static void on_again(struct timer *timer)
{
	struct server *server = container_of(timer, struct server, again);

	if (server_listen(server) != 0)
		timer_start(timer, 100);
	else
		log_info("restarted");
}

void server_init(struct server *server)
{
	list_init(&server->components);
	list_init(&server->links);
	list_init(&server->registrations);
	server->acceptor.spoke = on_connection;
	server->acceptor.silent_max = SILENT_MAX;
	server->again.expired = on_again;
}

int server_listen(struct server *server)
{
	if (acceptor_start(&server->acceptor, &server->address) != 0)
		return -1;
	return net_local(server->acceptor.io.fd, &server->address);
}

static void cut_all(struct server *server)
{
	struct list_link *first;

	while ((first = list_first(&server->links)) != NULL)
		link_cut(container_of(first, struct link, of_server));
}

void server_restart(struct server *server, uint32_t down_ms)
{
	log_info("restarting down-ms=%u", down_ms);
	acceptor_stop(&server->acceptor);
	cut_all(server);
	timer_start(&server->again, down_ms);
}

static void free_registration(struct registration *registration)
{
	free(registration->key);
	free(registration->jid);
	free(registration->bare);
	free(registration->node);
	free(registration->options);
	free(registration);
}

void server_release(struct server *server)
{
	struct list_link *first;

	timer_stop(&server->again);
	acceptor_stop(&server->acceptor);
	cut_all(server);
	while ((first = list_take(&server->registrations)) != NULL)
		free_registration(container_of(first, struct registration, link));
	while ((first = list_take(&server->components)) != NULL)
		free(container_of(first, struct component, link));
	map_release(&server->by_key);
}

struct component *server_add_component(struct server *server, const char *name, const char *secret)
{
	struct component *component = mem_alloc(1, sizeof(*component));

	component->name = name;
	component->secret = secret;
	list_init(&component->links);
	list_append(&server->components, &component->link);
	return component;
}

struct component *server_component(const struct server *server, const char *name)
{
	list_for_each (link, &server->components) {
		struct component *component = container_of(link, struct component, link);

		if (strcmp(component->name, name) == 0)
			return component;
	}
	return NULL;
}

/* The domain of a JID with or without a localpart, of a bare one; heap. */
static char *domain_of(const char *bare)
{
	const char *at = strchr(bare, '@');

	return mem_dup(at == NULL ? bare : at + 1);
}

struct registration *server_registration(const struct server *server, const char *jid,
                                         const char *node)
{
	char *key = mem_printf("%s<%s", jid, node);
	struct registration *registration = map_get(&server->by_key, key, strlen(key));

	free(key);
	return registration;
}

static struct registration *new_registration(struct server *server, struct component *component,
                                             const char *jid, const char *node)
{
	struct registration *registration = mem_alloc(1, sizeof(*registration));

	registration->key = mem_printf("%s<%s", jid, node);
	registration->jid = mem_dup(jid);
	registration->bare = mem_dup_bytes(jid, strcspn(jid, "/"));
	registration->node = mem_dup(node);
	registration->component = component;
	list_append(&server->registrations, &registration->link);
	map_put(&server->by_key, registration->key, strlen(registration->key), registration);
	return registration;
}

static char *make_options(const struct kind *kind, const char *secret)
{
	struct buf out = { 0 };

	if (secret == NULL)
		return mem_dup("");
	text_fill(&out, kind->option_form,
	          (const struct text_value[]){ { "secret", secret, 0 }, { NULL } });
	return buf_take(&out);
}

struct registration *server_register(struct server *server, const char *jid, const char *node,
                                     const char *secret)
{
	char *bare = mem_dup_bytes(jid, strcspn(jid, "/")), *domain = domain_of(bare);
	struct component *component = server_component(server, domain);
	struct registration *registration = server_registration(server, jid, node);

	free(bare);
	free(domain);
	if (component == NULL)
		return NULL;
	if (registration == NULL)
		registration = new_registration(server, component, jid, node);
	free(registration->options);
	registration->options = make_options(server->kind, secret);
	registration->lost = false;
	registration->errors = 0;
	return registration;
}
