#include "xmppgw/xmpp/page.h"

#include <stdlib.h>

#include "common/text/percent.h"
#include "xmppgw/xmpp/form.h"

void page_add_field(struct buf *out)
{
	form_add_field(out, &(struct form_field){ .var = "after",
	                                          .type = "text-single",
	                                          .label = "Continue after" });
}

void page_begin(struct buf *path, const char *base, unsigned rows, const char *after)
{
	buf_printf(path, "%s?limit=%u", base, rows);
	page_add(path, "after", after);
}

void page_add(struct buf *path, const char *name, const char *value)
{
	char *encoded;

	if (value == NULL || value[0] == '\0')
		return;
	encoded = percent_encode(value);
	buf_printf(path, "&%s=%s", name, encoded);
	free(encoded);
}
