#include "xmppgw/commands/amount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/config_value.h"

static const struct config_key limit = { "limit", CONFIG_LIMIT };
static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };

char *amount_parse(const char *text, int64_t *bytes)
{
	*bytes = 0;
	return config_value_parse(&limit, bytes, text);
}

const char *amount_format(int64_t bytes, char *text)
{
	struct buf out = { 0 };
	char *printed;

	config_value_print(&limit, &bytes, &out);
	printed = buf_take(&out);
	snprintf(text, AMOUNT_TEXT_MAX, "%s", printed);
	free(printed);
	return text;
}

const char *amount_round(int64_t bytes, char *text)
{
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
		value /= 1024;
	snprintf(text, AMOUNT_TEXT_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return text;
}
