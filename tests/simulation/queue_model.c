#include "tests/simulation/queue_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/redis/redis.h"
#include "tests/simulation/queue_look.lua.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/store.h"

#define SHIFT_MS 3000 /* for which a call to Redis may be under way, in the worst case */
#define LATE_MS 15000 /* for which what was sent on a connection that ended may be */
#define SETTLE_MS 20  /* after which an entry is settled, where Redis serves */
#define CALL_EXPIRY_MS 30000
#define HOURS_MS(n) (INT64_C(3600000) * (n))
#define MINUTES_MS(n) (INT64_C(60000) * (n))

struct model model;

/* Since when a token is known to be dead, by provider and token. */
static struct death {
	unsigned provider;
	char token[PUSHD_TOKEN_SIZE];
	int64_t since_ms;
} deaths[256];
static unsigned deaths_count;
static uint64_t last_look_ns;
static char look_sha1[41];

void model_reset(struct pushd *pushds, unsigned count, bool stormy)
{
	struct redisReply *reply;

	memset(&model, 0, sizeof(model));
	model.pushds = pushds;
	model.pushds_count = count;
	model.stormy = stormy;
	deaths_count = 0;
	last_look_ns = 0;
	reply = store_ask("SCRIPT LOAD %s", queue_look_lua);
	snprintf(look_sha1, sizeof(look_sha1), "%s", redis_reply_string(reply, NULL));
	store_free(reply);
}

static struct note *note_at(unsigned number)
{
	SIMULATION_HOLDS(number >= 1 && number <= model.notes_count, "there is no notification %u",
	                 number);
	return &model.notes[number];
}

static unsigned number_of(const struct note *note)
{
	return (unsigned)(note - model.notes);
}

static struct note *note_of_id(const char *id)
{
	for (unsigned i = 1; i <= model.notes_count; i++)
		if (strcmp(model.notes[i].id, id) == 0)
			return &model.notes[i];
	return NULL;
}

static struct node *node_of_name(const char *name)
{
	for (unsigned i = 0; i < model.nodes_count; i++)
		if (strcmp(model.nodes[i].name, name) == 0)
			return &model.nodes[i];
	return NULL;
}

/* True while Redis needn't know yet of what happened AT_NS. */
static bool is_new(uint64_t at_ns)
{
	return simulation_now_ns() < at_ns + SETTLE_MS * SIMULATION_MS;
}

static const struct conf_provider *provider_of(const struct node *node)
{
	return &model.pushds[0].providers[node->provider];
}

static int64_t interval_of(const struct node *node)
{
	const struct conf_provider *provider = provider_of(node);

	return provider->expiry_ms < provider->interval_ms ? 0 : provider->interval_ms;
}

/* ---- what the simulation does ---- */

static enum class class_of(enum content content) {
	if (content == CONTENT_MESSAGE || content == CONTENT_CALL) return CLASS_HIGH;
	return content == CONTENT_DISMISSAL ? CLASS_DISMISSAL : CLASS_LOW;
}

unsigned model_publish(struct pushd *pushd, struct node *node, enum content content, int64_t count,
                       uint64_t deadline_ms)
{
	struct note *note = &model.notes[++model.notes_count];

	SIMULATION_HOLDS(model.notes_count < NOTES_MAX, "too many notifications");
	note->node = node;
	note->pushd = pushd;
	note->content = content;
	note->class = class_of(content);
	note->count = content == CONTENT_CALL || content == CONTENT_REMOVAL ? -1 : count;
	note->created_ms = simulation_wall_ms();
	note->created_ns = simulation_now_ns();
	note->deadline_ns = note->created_ns + deadline_ms * SIMULATION_MS;
	note->expires_ms = note->created_ms + provider_of(node)->expiry_ms;
	/* It may go as an alert, which lives longer: that shows when it is sent or stored. */
	if (content == CONTENT_CALL && note->expires_ms > note->created_ms + CALL_EXPIRY_MS)
		note->expires_ms = note->created_ms + CALL_EXPIRY_MS;
	return model.notes_count;
}

struct node *model_register(unsigned phone, unsigned provider, const char *name, const char *secret,
                            const char *domain)
{
	struct node *node = node_of_name(name);

	if (node == NULL) {
		SIMULATION_HOLDS(model.nodes_count < NODES_MAX, "too many nodes");
		node = &model.nodes[model.nodes_count++];
		snprintf(node->name, sizeof(node->name), "%s", name);
		node->phone = phone;
		node->provider = provider;
	}
	snprintf(node->secret, sizeof(node->secret), "%s", secret);
	snprintf(node->domain, sizeof(node->domain), "%s", domain);
	return node;
}

static struct death *death_of(unsigned provider, const char *token)
{
	unsigned i = 0;

	while (i < deaths_count &&
	       (deaths[i].provider != provider || strcmp(deaths[i].token, token) != 0))
		i++;
	SIMULATION_HOLDS(i < sizeof(deaths) / sizeof(deaths[0]), "too many tokens");
	if (i == deaths_count) {
		deaths[deaths_count] = (struct death){ .provider = provider };
		snprintf(deaths[deaths_count++].token, PUSHD_TOKEN_SIZE, "%s", token);
	}
	return &deaths[i];
}

/* The provider says that the token of WORK is dead, since then if it says when. */
static void note_death(const struct work *work, int64_t since_ms)
{
	const struct provider_device *device = &work->job->device;
	const char *token = provider_device_token(device, work->job->priority);
	struct death *death = death_of(work->note->node->provider, token);

	if (since_ms <= 0)
		since_ms = work->registered_ms;
	if (death->since_ms < since_ms)
		death->since_ms = since_ms;
}

static void note_delay(struct note *note, int64_t least_ms, int64_t most_ms, int64_t retry_after_ms)
{
	int64_t delay_ms = least_ms > retry_after_ms ? least_ms : retry_after_ms;

	note->not_before_ms = simulation_wall_ms() + delay_ms;
	note->delay_ms = most_ms > delay_ms ? most_ms : delay_ms;
	note->judged_ns = simulation_now_ns();
	/* What has the provider's answer has been tried, unless it is our fault. */
	note->tries += least_ms > 0;
}

/* What the next attempt of a notification waits for, at least and at most, by its verdict. */
static void note_verdict(struct work *work, const struct judgement *judgement)
{
	const struct delivery *delivery = container_of(work->job, struct delivery, job);
	struct note *note = work->note;
	int64_t wait_ms = judgement->retry_after_ms;

	switch (judgement->verdict) {
	case VERDICT_THROTTLED:
		note_delay(note, 30000, MINUTES_MS(15), wait_ms);
		return;
	case VERDICT_TRANSIENT:
	case VERDICT_UNKNOWN:
	case VERDICT_EXPIRED:
		note_delay(note, 500, MINUTES_MS(5), wait_ms);
		return;
	case VERDICT_UNREACHABLE:
	case VERDICT_CREDENTIAL:
		note_delay(note, 0, 0, wait_ms);
		return;
	case VERDICT_REJECTED: /* what isn't stored yet isn't tried again */
		note_delay(note, delivery->in_queue ? 30000 : 0, HOURS_MS(6), wait_ms);
		return;
	case VERDICT_SUSPECT: /* a call goes to the other token at once */
		note->node->suspicions += work->job->priority != PRIORITY_VOIP;
		if (note->node->suspicions >= 3 && work->job->sender->trusted)
			note_death(work, judgement->timestamp_ms);
		note_delay(note, 0, HOURS_MS(6), wait_ms);
		return;
	case VERDICT_GONE:
		note_death(work, judgement->timestamp_ms);
		note_delay(note, 0, HOURS_MS(6), wait_ms);
		return;
	default:
		note_delay(note, 0, HOURS_MS(6), wait_ms);
	}
}

void model_judge(struct work *work, const struct judgement *judgement)
{
	struct note *note = work->note;

	if (judgement->verdict == VERDICT_SENT) {
		SIMULATION_HOLDS(!note->sent || note->excused || model.stormy,
		                 "%u is accepted twice", number_of(note));
		note->sent = note->over = true;
		note->sent_ns = simulation_now_ns();
		if (!model.stormy) /* else that may be lost, which is no promise */
			note->node->suspicions = 0;
		note->node->may_go |= note->content == CONTENT_REMOVAL;
		if (work->gated)
			note->node->sent_ns[work->pushd->index] = note->sent_ns;
	} else {
		note_verdict(work, judgement);
	}
	model_end_work(work);
}

void model_end_work(struct work *work)
{
	work->note->active--;
	work->pushd = NULL;
}

static void excuse(struct note *note)
{
	note->excused = true;
}

void model_excuse_all(void)
{
	for (unsigned i = 1; i <= model.notes_count; i++)
		excuse(&model.notes[i]);
}

void model_kill(struct pushd *pushd)
{
	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (model.works[i].pushd == pushd)
			model_end_work(&model.works[i]);
	for (unsigned i = 0; i < model.nodes_count; i++)
		model.nodes[i].sent_ns[pushd->index] = 0;
	/* Among them those that it has taken, and those whose settlement is under way. */
	model_excuse_all();
}

/* ---- what it sees ---- */

static bool may_be_stored(const char *reason)
{
	return strcmp(reason, "storage") == 0 || strcmp(reason, "stopping") == 0;
}

static void check_answer(struct note *note, const struct delivery *delivery)
{
	unsigned number = number_of(note);

	switch (delivery->outcome) {
	case OUTCOME_SENT:
		SIMULATION_HOLDS(note->sent, "%u is answered sent, and nobody accepted it", number);
		return;
	case OUTCOME_QUEUED:
		note->promised = true;
		return;
	case OUTCOME_MERGED:
		note->promised = note->never = true;
		return;
	case OUTCOME_GONE:
		note->gone = note->never = true;
		return;
	default:
		note->never |= !may_be_stored(delivery->reason);
	}
}

void model_settled(struct pushd *pushd, unsigned number, const struct delivery *delivery,
                   bool heard)
{
	struct note *note = note_at(number);

	simulation_note("%u is settled: %s %s%s", number, outcome_names[delivery->outcome],
	                delivery->reason, heard ? "" : " (nobody hears it)");
	SIMULATION_HOLDS(!note->settled, "%u is settled twice", number);
	note->settled = true;
	note->settled_ns = simulation_now_ns();
	memcpy(note->id, delivery->queue_id, sizeof(note->id));
	check_answer(note, delivery);
}

void model_ended(struct pushd *pushd, unsigned number)
{
	note_at(number)->left_ns = simulation_now_ns();
}

void model_hung_up(struct pushd *pushd, unsigned number, const struct delivery *delivery)
{
	struct note *note = note_at(number);

	simulation_note("the caller of %u goes, in phase %d", number, (int)delivery->phase);
	memcpy(note->id, delivery->queue_id, sizeof(note->id));
	if (delivery->phase == DELIVERY_LOOKING || delivery->phase == DELIVERY_WAITING ||
	    delivery->phase == DELIVERY_SENDING)
		note->never = true;
}

void model_resumed(struct pushd *pushd, const char *id)
{
	struct note *note = note_of_id(id);

	SIMULATION_HOLDS(note != NULL, "%s was taken from the queue, and nobody published it", id);
	simulation_note("%u is taken by %s", number_of(note), pushd->name);
}

void model_left(struct pushd *pushd, const char *id, const struct delivery *delivery)
{
	struct note *note = note_of_id(id);

	simulation_note("%u leaves %s: %s %s", number_of(note), pushd->name,
	                outcome_names[delivery->outcome], delivery->reason);
	note->left_ns = simulation_now_ns();
	if (delivery->outcome == OUTCOME_GONE)
		note->gone = true;
	if (delivery->outcome == OUTCOME_SENT)
		SIMULATION_HOLDS(note->sent, "%u ends as sent, and nobody accepted it",
		                 number_of(note));
	if (delivery->outcome == OUTCOME_UNAVAILABLE && strcmp(delivery->reason, "stopping") != 0)
		SIMULATION_HOLDS(strcmp(delivery->reason, "expired") == 0,
		                 "%u was promised and ends as unavailable: %s", number_of(note),
		                 delivery->reason);
}

/* ---- a sender gets one ---- */

/*
 * True if A was surely created before B. Redis knows that from the time at which they arrive there,
 * and how old they are then.
 */
static bool is_older(const struct note *a, const struct note *b)
{
	return a->created_ms + (model.stormy ? LATE_MS : 5) < b->created_ms;
}

static void check_gate(const struct pushd *pushd, const struct note *note)
{
	uint64_t interval_ns = (uint64_t)interval_of(note->node) * SIMULATION_MS;
	uint64_t sent_ns = note->node->sent_ns[pushd->index];

	for (unsigned i = 0; i < JOBS_MAX; i++) {
		const struct work *work = &model.works[i];

		if (work->pushd == pushd && work->gated && work->note->node == note->node)
			simulation_fail("%u and %u are on their way to one device",
			                number_of(work->note), number_of(note));
	}
	SIMULATION_HOLDS(sent_ns == 0 ||
	                         simulation_now_ns() + SIMULATION_MS >= sent_ns + interval_ns,
	                 "%u is sent before the interval has passed", number_of(note));
}

/* COUNT is what NOTE may show: its own, or a newer one's. */
static bool may_show(const struct note *note, int64_t count)
{
	for (unsigned i = 1; i <= model.notes_count; i++) {
		const struct note *other = &model.notes[i];

		if (other == note ||
		    (other->node == note->node && other->count != -1 && !is_older(other, note)))
			if (other->count == count)
				return true;
	}
	return false;
}

static bool may_submit(const struct sender *sender, const struct note *note)
{
	return sender->refusal == SENDER_TAKES ||
	       (sender->refusal == SENDER_PACED && note->content == CONTENT_CALL);
}

static void check_submission(const struct pushd *pushd, const struct note *note,
                             const struct job *job)
{
	const struct delivery *delivery = container_of(job, struct delivery, job);
	unsigned number = number_of(note);
	int64_t expires_ms = job->expires_s * 1000;

	SIMULATION_HOLDS(strcmp(note->node->name, job->device.node) == 0,
	                 "%u goes to another device", number);
	SIMULATION_HOLDS(expires_ms + 1000 + SHIFT_MS >= note->expires_ms,
	                 "%u expires too early, at %lld", number, (long long)expires_ms);
	SIMULATION_HOLDS(simulation_wall_ms() < expires_ms + SHIFT_MS || model.stormy,
	                 "%u is sent after its expiry", number);
	SIMULATION_HOLDS(may_submit(job->sender, note), "%u is sent where nothing may be", number);
	SIMULATION_HOLDS(may_show(note, job->notification->count), "%u has a count of %lld", number,
	                 (long long)job->notification->count);
	SIMULATION_HOLDS(!pushd->draining, "%u is sent while draining", number);
	SIMULATION_HOLDS(delivery->in_queue || !note->settled,
	                 "%u is sent after its answer, and isn't stored", number);
	/* What was sent on a lost connection may have arrived since. */
	if (note->excused || model.stormy)
		return;
	SIMULATION_HOLDS(!note->never, "%u is sent, against the answer", number);
	SIMULATION_HOLDS(!note->sent, "%u is sent twice", number);
	SIMULATION_HOLDS(note->active == 0, "%u is with two senders", number);
	SIMULATION_HOLDS(simulation_wall_ms() >= note->not_before_ms, "%u is sent %lld ms early",
	                 number, (long long)(note->not_before_ms - simulation_wall_ms()));
	SIMULATION_HOLDS(delivery->attempts >= note->stored_attempts || !delivery->in_queue,
	                 "%u has forgotten attempts", number);
}

static struct work *work_new(void)
{
	unsigned i = 0;

	while (i < JOBS_MAX && model.works[i].pushd != NULL)
		i++;
	SIMULATION_HOLDS(i < JOBS_MAX, "senders have too much");
	return &model.works[i];
}

struct work *model_submitted(struct pushd *pushd, struct job *job, unsigned number)
{
	const struct delivery *delivery = container_of(job, struct delivery, job);
	struct note *note = note_at(number);
	struct work *work;

	simulation_note("%u goes to the sender of %s%s", number, pushd->name,
	                delivery->in_queue ? " from the queue" : "");
	if (note->id[0] == '\0')
		memcpy(note->id, delivery->queue_id, sizeof(note->id));
	SIMULATION_HOLDS(strcmp(note->id, job->id) == 0, "%u has another id now", number);
	check_submission(pushd, note, job);
	if (delivery->gate != NULL)
		check_gate(pushd, note);
	note->active++;
	work = work_new();
	*work = (struct work){ .pushd = pushd,
		               .job = job,
		               .note = note,
		               .gated = delivery->gate != NULL,
		               .registered_ms = delivery->device.registered_ms,
		               .since_ns = simulation_now_ns() };
	return work;
}

void model_taken_back(struct pushd *pushd, const struct job *job)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct work *work = &model.works[i];

		if (work->pushd == pushd && work->job == job) {
			simulation_note("%u is taken back", number_of(work->note));
			model_end_work(work);
			return;
		}
	}
	simulation_fail("a job is taken back that its sender hasn't got");
}

/* ---- one that stands for another ---- */

/* The design's rule, not that of the code: may NEWER take the place of OLDER, which waits? */
static bool may_replace(const struct note *older, const struct note *newer)
{
	return older->class != CLASS_HIGH || newer->class != CLASS_LOW;
}

/* OTHER may have been in its device's slot since the last look. */
static bool was_in_slot(const struct note *other)
{
	if (other->slotted || other->was_slotted)
		return true;
	/* It came, or came back, and may have been taken. */
	return (other->stored && !other->was_stored) || other->left_ns >= last_look_ns ||
	       (other->promised && other->settled_ns >= last_look_ns) ||
	       (other->sent && other->sent_ns >= last_look_ns);
}

static bool stands_for(const struct note *other, const struct note *note)
{
	if (other == note || other->node != note->node || other->content == CONTENT_REMOVAL ||
	    other->voip || !was_in_slot(other))
		return false;
	return (!is_older(other, note) && may_replace(note, other)) ||
	       (!is_older(note, other) && !may_replace(other, note));
}

static void hand_over(const struct note *note, struct note *other)
{
	simulation_note("%u stands for %u", number_of(other), number_of(note));
	other->promised |= !other->sent;
	if (!other->stored)
		return;
	SIMULATION_HOLDS(other->stored_expires_ms + SHIFT_MS >= note->expires_ms,
	                 "%u stands for %u, and expires before it", number_of(other),
	                 number_of(note));
	SIMULATION_HOLDS(!is_older(other, note) || note->count == -1 ||
	                         may_show(note, other->stored_count),
	                 "%u stands for %u, and has a count of %lld", number_of(other),
	                 number_of(note), (long long)other->stored_count);
}

/* True if another one stands for NOTE. */
static bool is_superseded(const struct note *note)
{
	if (note->content == CONTENT_REMOVAL || note->voip)
		return false;
	for (unsigned i = model.notes_count; i >= 1; i--)
		if (stands_for(&model.notes[i], note)) {
			hand_over(note, &model.notes[i]);
			return true;
		}
	return false;
}

/* ---- what is in Redis ---- */

static int64_t longest_wait_ms(const struct note *note)
{
	int64_t wait_ms = interval_of(note->node) > 1000 ? interval_of(note->node) : 1000;

	return wait_ms > note->delay_ms ? wait_ms : note->delay_ms;
}

static void check_note(struct note *note)
{
	unsigned number = number_of(note);

	if (note->gone)
		SIMULATION_HOLDS(!note->node->there || note->node->absent_ns >= note->created_ns,
		                 "%u is answered gone, and its device is there", number);
	note->gone = false;
	if (note->stored && !model.stormy && !note->excused) {
		SIMULATION_HOLDS(!note->never, "%u is stored, against the answer", number);
		SIMULATION_HOLDS(!note->sent || is_new(note->sent_ns),
		                 "%u was accepted, and is still stored", number);
	}
	if (note->stored || !note->promised || note->over)
		return;
	if (simulation_wall_ms() + longest_wait_ms(note) >= note->expires_ms) {
		note->over = true;
		return;
	}
	if (!note->node->there || is_superseded(note)) {
		note->over = note->never = true;
		return;
	}
	simulation_fail("%u was promised, and is lost", number);
}

static void check_node(struct node *node, bool was_there)
{
	const char *tokens[] = { node->token, node->second_token };
	bool may_go = node->may_go;

	if (node->there || !was_there)
		return;
	node->absent_ns = simulation_now_ns();
	simulation_note("the device %.6s has gone", node->name);
	may_go |= node->expires_ms > 0 && node->expires_ms <= simulation_wall_ms();
	may_go |= death_of(node->provider, tokens[0])->since_ms >= node->registered_ms;
	SIMULATION_HOLDS(may_go, "the device %.6s was removed for nothing", node->name);
}

/* An entry of the queue as it stands in Redis. */
struct entry {
	char id[40], node[40], priority[8], slot[4];
	int class;
	long long created_ms, expires_ms, count;
	unsigned attempts;
	double due_ms;
};

static void check_entry(const struct note *note, const struct entry *entry)
{
	unsigned number = number_of(note);
	bool low = strcmp(entry->priority, "low") == 0;

	SIMULATION_HOLDS(strcmp(note->node->name, entry->node) == 0,
	                 "the entry of %u has another device", number);
	SIMULATION_HOLDS(low == (note->class != CLASS_HIGH), "the entry of %u has the priority %s",
	                 number, entry->priority);
	SIMULATION_HOLDS(entry->class == (int)note->class, "the entry of %u has the class %d",
	                 number, entry->class);
	SIMULATION_HOLDS(entry->expires_ms + SHIFT_MS >= note->expires_ms,
	                 "the entry of %u expires too early", number);
	SIMULATION_HOLDS(note->active > 0 || entry->attempts >= note->tries || note->excused ||
	                         model.stormy || is_new(note->judged_ns),
	                 "the entry of %u has forgotten attempts", number);
}

static void see_entry(const char *line)
{
	struct entry entry;
	struct note *note;

	SIMULATION_HOLDS(sscanf(line, "entry %39s %39s %7s %d %3s %u %lld %lld %lld %lf", entry.id,
	                        entry.node, entry.priority, &entry.class, entry.slot,
	                        &entry.attempts, &entry.count, &entry.created_ms, &entry.expires_ms,
	                        &entry.due_ms) == 10,
	                 "an entry has another form: %s", line);
	note = note_of_id(entry.id);
	SIMULATION_HOLDS(note != NULL, "there is an entry %s, which nobody published", entry.id);
	check_entry(note, &entry);
	note->stored = true;
	note->slotted = strcmp(entry.slot, "-") != 0;
	note->voip = strcmp(entry.priority, "voip") == 0;
	note->stored_attempts = entry.attempts;
	note->stored_count = entry.count;
	note->stored_expires_ms = entry.expires_ms;
	if (entry.expires_ms > note->expires_ms + SHIFT_MS)
		note->expires_ms = entry.expires_ms;
	if (model.stored++ == 0 || (int64_t)entry.due_ms < model.next_due_ms)
		model.next_due_ms = (int64_t)entry.due_ms;
}

static void see_device(const char *line)
{
	char name[40], token[PUSHD_TOKEN_SIZE], second[PUSHD_TOKEN_SIZE];
	long long registered_ms, expires_ms;
	struct node *node;

	SIMULATION_HOLDS(sscanf(line, "device %39s %15s %15s %lld %lld", name, token, second,
	                        &registered_ms, &expires_ms) == 5,
	                 "a device has another form: %s", line);
	node = node_of_name(name);
	if (node == NULL) /* its registration hasn't been answered yet */
		return;
	node->there = true;
	if (strcmp(node->token, token) != 0)
		node->suspicions = 0;
	memcpy(node->token, token, sizeof(token));
	memcpy(node->second_token, second, sizeof(second));
	node->registered_ms = registered_ms;
	node->expires_ms = expires_ms;
}

static void see(char *text)
{
	char *rest, *line;

	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "entry ", 6) == 0)
			see_entry(line);
		else if (strncmp(line, "device ", 7) == 0)
			see_device(line);
		else
			simulation_fail("in Redis: %s", line);
	}
}

void model_look(void)
{
	struct redisReply *reply = store_ask("EVALSHA %s 0", look_sha1);
	const char *text = redis_reply_string(reply, NULL);
	bool was_there[NODES_MAX];
	char *copy;

	SIMULATION_HOLDS(text != NULL, "the look fails: %s", redis_reply_error(reply));
	for (unsigned i = 0; i < model.nodes_count; i++) {
		was_there[i] = model.nodes[i].there;
		model.nodes[i].there = false;
	}
	for (unsigned i = 1; i <= model.notes_count; i++) {
		model.notes[i].was_stored = model.notes[i].stored;
		model.notes[i].was_slotted = model.notes[i].slotted;
		model.notes[i].stored = model.notes[i].slotted = false;
	}
	model.stored = 0;
	copy = strdup(text);
	see(copy);
	free(copy);
	SIMULATION_HOLDS((int64_t)model.stored <= model.pushds[0].conf.daemon.queue_max,
	                 "%zu are stored", model.stored);
	store_free(reply);
	for (unsigned i = 0; i < model.nodes_count; i++)
		check_node(&model.nodes[i], was_there[i]);
	for (unsigned i = 1; i <= model.notes_count; i++)
		check_note(&model.notes[i]);
	last_look_ns = simulation_now_ns();
}

/* ---- numbers, and the end ---- */

void model_count(struct pushd *pushd)
{
	size_t busy = pushd_deliveries(pushd);

	SIMULATION_HOLDS(pushd->received + pushd->taken == pushd->ended + pushd->left + busy,
	                 "%s has received %u, taken %u, ended %u, left %u and is busy with %zu",
	                 pushd->name, pushd->received, pushd->taken, pushd->ended, pushd->left,
	                 busy);
}

void model_end(void)
{
	for (unsigned i = 1; i <= model.notes_count; i++) {
		const struct note *note = &model.notes[i];

		SIMULATION_HOLDS(note->active == 0, "%u is still with a sender", i);
		SIMULATION_HOLDS(!note->stored, "%u is still stored", i);
		SIMULATION_HOLDS(!note->promised || note->over, "%u was promised, and is lost", i);
	}
}
