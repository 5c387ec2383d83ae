#include "pushd/sender/job.h"

#include "common/base/backoff.h"
#include "common/base/mem.h"
#include "pushd/device/dialect.h"

#define RETRY_LEAST_MS 500
#define RETRY_MOST_MS 8000

/* A device that doesn't say how it came here is one that knows its owner by name. */
static const struct dialect *job_dialect(const struct job *job)
{
	static const struct dialect plain = { .name = "" };
	const struct dialect *dialect =
	        job->device->dialect != NULL ? dialect_find(job->device->dialect) : NULL;

	return dialect != NULL ? dialect : &plain;
}

int job_build(struct job *job, const struct provider_kind *kind,
              const struct provider_settings *settings, const char *bearer)
{
	const struct dialect *dialect = job_dialect(job);
	bool call = job->priority == PRIORITY_VOIP;
	struct provider_message message = {
		.settings = settings,
		.notification = job->notification,
		.priority = job->priority,
		.account = dialect->domain_owns ? NULL : job->device->account,
		.node = job->device->node,
		.terse = dialect->hides_owner || dialect->domain_owns,
		.token = call ? job->device->second_token : job->device->token,
		.bearer = bearer,
		.id = job->id,
		.now_s = loop_wall_ms() / 1000,
		.expires_s = job->expires_s,
		.cut = job->cut,
		.arena = &job->arena,
	};

	arena_reset(&job->arena);
	if (kind->build(&message, &job->request) == 0)
		return 0;
	if (!call)
		return -1;
	message.priority = job->priority = PRIORITY_HIGH;
	message.token = job->device->token;
	return kind->build(&message, &job->request);
}

void job_judge(struct job *job, enum verdict verdict, const char *reason)
{
	job->judgement = (struct judgement){ .verdict = verdict };
	mem_copy_word(job->judgement.reason, sizeof(job->judgement.reason), reason);
}

uint64_t job_retry_delay_ms(const struct job *job)
{
	struct backoff backoff = { .least_ms = RETRY_LEAST_MS, .most_ms = RETRY_MOST_MS };
	uint64_t delay_ms = 0;

	for (unsigned i = 0; i < job->attempts; i++)
		delay_ms = backoff_next(&backoff);
	if (delay_ms < (uint64_t)job->judgement.retry_after_ms)
		delay_ms = (uint64_t)job->judgement.retry_after_ms;
	return delay_ms;
}
