#include "xmppgw/services/ping.h"

void ping_answer(struct iq *iq, const struct xml *payload)
{
	iq_result(iq);
}
