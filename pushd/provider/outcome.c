#include "pushd/provider/outcome.h"

const char *const outcome_names[OUTCOME_COUNT + 1] = {
	[OUTCOME_SENT] = "sent", [OUTCOME_QUEUED] = "queued",           [OUTCOME_MERGED] = "merged",
	[OUTCOME_GONE] = "gone", [OUTCOME_UNAVAILABLE] = "unavailable",
};

const char *const reason_names[REASON_COUNT] = {
	[REASON_FULL] = "full",
	[REASON_DOMAIN_LIMIT] = "domain-limit",
	[REASON_DEVICE_LIMIT] = "device-limit",
	[REASON_CREDENTIAL] = "credential",
	[REASON_EXPIRED] = "expired",
	[REASON_DEADLINE] = "deadline",
	[REASON_STOPPING] = "stopping",
	[REASON_STORAGE] = "storage",
	[REASON_PROVIDER_UNKNOWN] = "provider-unknown",
	[REASON_MALFORMED] = "malformed",
	[REASON_REGISTERED_SINCE] = "registered-since",
	[REASON_SECOND_TOKEN_GONE] = "second-token-gone",
	[REASON_PAYLOAD_TOO_LARGE] = "payload-too-large",
	[REASON_PROVIDER_OPEN] = "provider-open",
	[REASON_NO_BEARER_TOKEN] = "no-bearer-token",
	[REASON_NO_CREDENTIAL] = "no-credential",
	[REASON_CREDENTIAL_NOT_VALID] = "credential-not-valid",
};
