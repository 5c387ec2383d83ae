#include "tests/fakes/answer.h"

#include <string.h>

const char *const fault_names[] = { "none", "rst", "goaway", "close", "silent", NULL };

void answer_release(struct answer *answer)
{
	buf_release(&answer->extra);
	buf_release(&answer->body);
	buf_release(&answer->debug);
	memset(answer, 0, sizeof(*answer));
}
