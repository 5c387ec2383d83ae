/*
 * What becomes of a notification, and why nothing was sent, as the API and the log say it.
 */
#ifndef OG_PUSHD_PROVIDER_OUTCOME_H
#define OG_PUSHD_PROVIDER_OUTCOME_H

enum outcome {
	OUTCOME_SENT,
	OUTCOME_QUEUED, /* stored: it will be sent, by whoever serves the queue */
	OUTCOME_MERGED, /* a newer one for its device is sent or stored in its place */
	OUTCOME_GONE,
	OUTCOME_UNAVAILABLE,
	OUTCOME_COUNT
};

/* Ended by NULL, as a metric's values are. */
extern const char *const outcome_names[OUTCOME_COUNT + 1];

/*
 * The reasons of our own for OUTCOME_UNAVAILABLE and for an attempt that failed without an answer.
 * Beside them there are the provider's, and those of http_failure_name().
 */
enum reason {
	REASON_FULL,              /* more notifications than in-flight-max, or than queue-max */
	REASON_DOMAIN_LIMIT,      /* the publisher's domain sends more than domain-rate */
	REASON_DEVICE_LIMIT,      /* its first publish would register one device too many */
	REASON_CREDENTIAL,        /* the provider doesn't take our credential, or there is none */
	REASON_EXPIRED,           /* it would be sent after its expiry */
	REASON_DEADLINE,          /* its caller gave up before there was an outcome */
	REASON_STOPPING,          /* this process ends */
	REASON_STORAGE,           /* Redis can't be reached, or refused */
	REASON_PROVIDER_UNKNOWN,  /* the device's provider isn't configured here */
	REASON_MALFORMED,         /* what is in the queue can't be read */
	REASON_REGISTERED_SINCE,  /* the dead token's device was registered again meanwhile */
	REASON_SECOND_TOKEN_GONE, /* a call whose token is dead, and nobody waits any more */
	REASON_PAYLOAD_TOO_LARGE, /* no form of it fits the provider's limit */
	REASON_PROVIDER_OPEN,     /* the breaker keeps it from the provider */
	REASON_NO_BEARER_TOKEN,   /* the token endpoint gives none */
	REASON_NO_CREDENTIAL,     /* none is configured, and none was set */
	REASON_CREDENTIAL_NOT_VALID, /* the certificate has expired, or isn't valid yet */
	REASON_COUNT
};

extern const char *const reason_names[REASON_COUNT];

#endif
