#include "xmppgw/xmpp/markup.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/*
 * The text that is written for a byte; NULL: the byte itself. Tabs and line ends become references,
 * since a reader turns bare ones in attributes into spaces.
 */
static const char *const escapes[256] = {
	[0x01 ... 0x08] = REPLACEMENT,
	[0x0b ... 0x0c] = REPLACEMENT,
	[0x0e ... 0x1f] = REPLACEMENT,
	['\t'] = "&#9;",
	['\n'] = "&#10;",
	['\r'] = "&#13;",
	['"'] = "&quot;",
	['&'] = "&amp;",
	['\''] = "&apos;",
	['<'] = "&lt;",
	['>'] = "&gt;",
};

/* U+FFFE and U+FFFF: beside the control characters, the only ones that XML can't carry. */
static bool is_noncharacter(const unsigned char *text)
{
	return text[0] == 0xef && text[1] == 0xbf && (text[2] == 0xbe || text[2] == 0xbf);
}

static void add_escaped(struct buf *out, const char *text)
{
	const unsigned char *c = (const unsigned char *)text, *written = c;

	for (; *c != '\0'; c++) {
		const char *escape = escapes[*c];
		size_t width = 1;

		if (*c == 0xef && is_noncharacter(c)) {
			escape = REPLACEMENT;
			width = 3;
		}
		if (escape == NULL)
			continue;
		buf_append(out, written, (size_t)(c - written));
		buf_text(out, escape);
		c += width - 1;
		written = c + 1;
	}
	buf_append(out, written, (size_t)(c - written));
}

static void add_directive(struct buf *out, char directive, va_list *args)
{
	switch (directive) {
	case 's':
		add_escaped(out, va_arg(*args, const char *));
		break;
	case 'u':
		buf_printf(out, "%u", va_arg(*args, unsigned));
		break;
	default:
		assert(directive == '%');
		buf_append(out, "%", 1);
	}
}

void markup_add(struct buf *out, const char *format, ...)
{
	const char *percent;
	va_list args;

	va_start(args, format);
	while ((percent = strchr(format, '%')) != NULL) {
		buf_append(out, format, (size_t)(percent - format));
		add_directive(out, percent[1], &args);
		format = percent + 2;
	}
	va_end(args);
	buf_text(out, format);
}
