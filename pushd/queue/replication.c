#include "pushd/queue/replication.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#define WAIT_MS "500"

static void move_all(struct list *to, struct list *from)
{
	struct list_link *link;

	while ((link = list_take(from)) != NULL)
		list_append(to, link);
}

static void ask(struct replication *replication)
{
	if (redis_busy(&replication->wait) || list_empty(&replication->written))
		return;
	move_all(&replication->waiting, &replication->written);
	redis_command(replication->redis, &replication->wait, "WAIT %lld " WAIT_MS,
	              (long long)replication->wanted);
}

static void complain(struct replication *replication, int64_t acknowledged)
{
	if (!replication->short_of)
		log_error("replicas-missing acknowledged=%lld wanted=%lld", (long long)acknowledged,
		          (long long)replication->wanted);
	replication->short_of = true;
}

/* WAIT on a new connection would know nothing of what was written over the last one. */
static void on_answer(struct redis_call *wait, const struct redisReply *reply)
{
	struct replication *replication = container_of(wait, struct replication, wait);
	int64_t acknowledged = redis_reply_integer(reply, -1);
	bool enough = acknowledged >= replication->wanted;
	struct list_link *link;

	if (acknowledged < 0)
		move_all(&replication->waiting, &replication->written);
	if (enough)
		replication->short_of = false;
	else if (acknowledged >= 0)
		complain(replication, acknowledged);
	while ((link = list_take(&replication->waiting)) != NULL) {
		struct replicated_write *write = container_of(link, struct replicated_write, link);

		write->done(write, enough);
	}
	ask(replication);
}

void replication_init(struct replication *replication, struct redis *redis, int64_t wanted)
{
	replication->redis = redis;
	replication->wanted = wanted;
	replication->wait.done = on_answer;
	list_init(&replication->written);
	list_init(&replication->waiting);
}

void replication_await(struct replication *replication, struct replicated_write *write)
{
	list_append(&replication->written, &write->link);
	ask(replication);
}
