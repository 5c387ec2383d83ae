#include "tests/fakes/service.h"

#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"

/* What differs between providers. */
struct ways {
	void (*judge)(struct service *service, const struct request *request, int64_t now_ms,
	              struct answer *answer);
	/* The answer that a script asks for by STATUS or reason, or both. */
	void (*act)(struct service *service, const struct scripted *scripted, int64_t now_ms,
	            struct answer *answer);
};

static void judge_apns(struct service *service, const struct request *request, int64_t now_ms,
                       struct answer *answer)
{
	apns_answer(&service->apns, request, now_ms, answer);
}

static void act_apns(struct service *service, const struct scripted *scripted, int64_t now_ms,
                     struct answer *answer)
{
	apns_refuse(answer, scripted->status, scripted->reason,
	            scripted->timestamp_ms < 0 ? now_ms : scripted->timestamp_ms);
}

static void judge_fcm(struct service *service, const struct request *request, int64_t now_ms,
                      struct answer *answer)
{
	fcm_answer(&service->fcm, request, now_ms, answer);
}

static void act_fcm(struct service *service, const struct scripted *scripted, int64_t now_ms,
                    struct answer *answer)
{
	if (scripted->status == 200)
		fcm_accept(&service->fcm, now_ms, answer);
	else
		fcm_refuse(answer, scripted->status, scripted->reason);
}

static void judge_oauth(struct service *service, const struct request *request, int64_t now_ms,
                        struct answer *answer)
{
	oauth_answer(&service->oauth, request, now_ms, answer);
}

static void act_oauth(struct service *service, const struct scripted *scripted, int64_t now_ms,
                      struct answer *answer)
{
	int64_t life_s = scripted->expires_in_s == 0 ? OAUTH_LIFE_S : scripted->expires_in_s;

	if (scripted->status == 200)
		oauth_accept(&service->oauth, life_s, now_ms, answer);
	else
		oauth_refuse(answer, scripted->status, scripted->reason);
}

static const struct ways ways[PROVIDERS] = {
	[PROVIDER_APNS] = { judge_apns, act_apns },
	[PROVIDER_FCM] = { judge_fcm, act_fcm },
	[PROVIDER_OAUTH] = { judge_oauth, act_oauth },
};

/* Text as it is, JSON as JSON. */
static void put_json(struct buf *out, const json_t *value)
{
	char *text;

	if (json_is_string(value)) {
		buf_text(out, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	buf_text(out, text);
	free(text);
}

/* What a scripted answer has beyond status and reason. */
static void dress(const struct scripted *scripted, struct answer *answer)
{
	answer->delay_ms = scripted->delay_ms;
	answer->fault = scripted->fault;
	answer->error_code = scripted->error_code;
	answer->goaway_last = scripted->goaway_last;
	answer->goaway_silent = scripted->goaway_silent;
	buf_append(&answer->extra, buf_data(&scripted->headers), buf_len(&scripted->headers));
	if (scripted->debug != NULL)
		put_json(&answer->debug, scripted->debug);
	if (scripted->body == NULL)
		return;
	buf_release(&answer->body);
	put_json(&answer->body, scripted->body);
	answer->type = json_is_string(scripted->body) ? "text/html; charset=UTF-8"
	                                              : "application/json; charset=UTF-8";
}

static void find_answer(struct service *service, const struct request *request, int64_t now_ms,
                        struct answer *answer)
{
	const struct scripted *scripted = script_match(&service->script, request, now_ms);

	if (scripted == NULL) {
		ways[request->provider].judge(service, request, now_ms, answer);
		return;
	}
	if (scripted->status != 0 || scripted->reason != NULL)
		ways[request->provider].act(service, scripted, now_ms, answer);
	else if (scripted->fault == FAULT_NONE)
		ways[request->provider].judge(service, request, now_ms, answer);
	dress(scripted, answer);
}

void service_answer(struct service *service, const struct request *request, uint64_t connection,
                    struct answer *answer)
{
	int64_t now_ms = loop_wall_ms();

	find_answer(service, request, now_ms, answer);
	if (request->provider == PROVIDER_APNS)
		apns_identify(answer, request);
	stats_answered(&service->stats, request->provider, answer);
	record_add(&service->record, request, answer, connection, now_ms);
}

void service_reset(struct service *service)
{
	script_clear(&service->script);
	environments_clear(&service->environments);
	service->refusals.count = 0;
	record_clear(&service->record);
	stats_reset(&service->stats);
}

void service_release(struct service *service)
{
	script_clear(&service->script);
	environments_clear(&service->environments);
	record_clear(&service->record);
	apns_release(&service->apns);
}
