#include "xmppgw/services/ping.h"

void ping_answer(struct answer *answer, const struct xml *payload)
{
	answer_result(answer);
}
