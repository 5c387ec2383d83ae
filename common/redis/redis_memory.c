#include "common/redis/redis_memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/base/panic.h"
#include "common/redis/tell_once.lua.h"

#define LOOK_MS 10000
#define AGAIN_MS 1000 /* where Redis didn't answer */
#define WATCHES_MAX 4
#define FILLING 80
#define ROOM 75 /* percent below which it may be warned of again */
#define FULL 100
#define EVENTS_MAX "10000"
#define TOLD_LIFE_MS "86400000"

static struct redis_script tell_script = { tell_once_lua, "" };

static const char *servers[WATCHES_MAX];
static int64_t percents[WATCHES_MAX];
static struct metric percent_metric = {
	.name = "outrigger_redis_memory_percent",
	.help = "How full Redis is, of its maxmemory; 0 where that isn't set.",
	.kind = METRIC_GAUGE,
	.label = "server",
	.values = servers,
	.numbers = percents,
};

/* ---- telling ---- */

static char *make_event(const struct redis_memory *memory)
{
	char *text = mem_printf("Redis at %s is filled to %d percent of its maxmemory. Where it is "
	                        "full, new registrations, notifications that have to wait and new "
	                        "transfers are refused. Give it more memory.",
	                        redis_place(memory->redis), memory->percent);
	json_t *object =
	        json_pack("{s:s, s:i, s:I, s:s}", "type", "storage-filling", "percent",
	                  memory->percent, "at_ms", (json_int_t)loop_wall_ms(), "text", text);
	char *event = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	free(text);
	return event;
}

/* One that fails is made again at the next look. */
static void on_told(struct redis_call *call, const struct redisReply *reply)
{
	if (redis_reply_error(reply) != NULL)
		log_debug("storage-filling-untold error=\"%s\"", redis_reply_error(reply));
}

static void tell_admins(struct redis_memory *memory)
{
	const char *prefix = redis_prefix(memory->redis);
	char *told, *events, *event;

	if (redis_busy(&memory->tell))
		return;
	told = mem_printf("%swarned:memory", prefix);
	events = mem_printf("%sevents", prefix);
	event = make_event(memory);
	redis_eval(
	        memory->redis, &memory->tell, &tell_script,
	        &(struct redis_args){
	                2, 5, (const char *[]){ told, events, TOLD_LIFE_MS, EVENTS_MAX, event } });
	free(event);
	free(events);
	free(told);
}

static void judge(struct redis_memory *memory)
{
	int level = memory->percent >= FULL ? FULL : memory->percent >= FILLING ? FILLING : 0;
	const char *server = redis_place(memory->redis);

	if (level > memory->warned)
		log_warn("%s server=%s percent=%d",
		         level == FULL ? "storage-full" : "storage-filling", server,
		         memory->percent);
	if (memory->percent < ROOM && memory->warned > 0)
		log_info("storage-has-room server=%s percent=%d", server, memory->percent);
	if (level > memory->warned || memory->percent < ROOM)
		memory->warned = level;
	if (level > 0)
		tell_admins(memory);
}

/* ---- looking ---- */

/* The number behind NAME (with its colon) in what INFO said; 0: it isn't there. */
static unsigned long long find_number(const char *text, const char *name)
{
	const char *line = text;

	while (line != NULL && strncmp(line, name, strlen(name)) != 0) {
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return line != NULL ? strtoull(line + strlen(name), NULL, 10) : 0;
}

static int find_percent(const char *text)
{
	unsigned long long used = find_number(text, "used_memory:");
	unsigned long long most = find_number(text, "maxmemory:");

	if (most == 0)
		return 0;
	return used / most >= 10 ? 1000 : (int)((double)used / (double)most * 100);
}

static void on_info(struct redis_call *call, const struct redisReply *reply)
{
	struct redis_memory *memory = container_of(call, struct redis_memory, info);
	const char *text = redis_reply_string(reply, NULL);

	timer_start(&memory->look, reply != NULL ? LOOK_MS : AGAIN_MS);
	if (text == NULL)
		return;
	memory->percent = find_percent(text);
	percents[memory->place] = memory->percent;
	judge(memory);
}

static void on_look(struct timer *timer)
{
	struct redis_memory *memory = container_of(timer, struct redis_memory, look);

	redis_command(memory->redis, &memory->info, "INFO memory");
}

void redis_memory_start(struct redis_memory *memory, struct redis *redis)
{
	if (percent_metric.series == WATCHES_MAX)
		panic("too many servers");
	*memory = (struct redis_memory){ .redis = redis, .place = percent_metric.series++ };
	servers[memory->place] = redis_place(redis);
	percents[memory->place] = 0;
	metrics_add(&percent_metric);
	memory->info.done = on_info;
	memory->tell.done = on_told;
	memory->look.expired = on_look;
	timer_start(&memory->look, 0);
}

/* The watches of a process end together, so the series are given out anew after the last. */
void redis_memory_stop(struct redis_memory *memory)
{
	if (memory->redis == NULL)
		return;
	timer_stop(&memory->look);
	redis_cancel(&memory->info);
	redis_cancel(&memory->tell);
	memory->redis = NULL;
	percent_metric.series--;
}
