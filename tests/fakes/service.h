/*
 * What the process does about a request: the script's answer, else the judgement of the provider
 * it is for; recorded and counted. It owns all that providers know.
 */
#ifndef OG_TESTS_FAKES_SERVICE_H
#define OG_TESTS_FAKES_SERVICE_H

#include <stdint.h>

#include "common/base/list.h"
#include "tests/fakes/access.h"
#include "tests/fakes/apns.h"
#include "tests/fakes/delay.h"
#include "tests/fakes/environments.h"
#include "tests/fakes/fcm.h"
#include "tests/fakes/oauth.h"
#include "tests/fakes/record.h"
#include "tests/fakes/refusals.h"
#include "tests/fakes/script.h"
#include "tests/fakes/stats.h"

struct service {
	struct apns apns;
	struct fcm fcm;
	struct oauth oauth;
	struct access access;
	struct environments environments;
	struct refusals refusals; /* of clients' certificates */
	struct script script;
	struct record record;
	struct stats stats;
	struct list delayed; /* struct delay: answers that are to come later */
};

/* Fills ANSWER (all zeros) for REQUEST, which is complete and came on CONNECTION. */
void service_answer(struct service *service, const struct request *request, uint64_t connection,
                    struct answer *answer);

/* Clears the script, environments, refused certificates, the record and what was counted. */
void service_reset(struct service *service);

/* Frees what the service holds, not the service. */
void service_release(struct service *service);

#endif
