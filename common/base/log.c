#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048    /* longest line, with its newline */
#define MESSAGE_BYTES 1536 /* longest message before escaping */

/* A line being put together; what doesn't fit is cut and the line ends in "...". */
struct line {
	char bytes[LINE_BYTES];
	size_t len;
	bool cut;
};

static const char ellipsis[] = "...\n";
static const char *const level_names[] = { "debug", "info", "warn", "error" };
static const char *process_name;
static enum log_level least_level = LOG_INFO;

void log_init(const char *name, enum log_level least)
{
	process_name = name;
	least_level = least;
}

void log_set_level(enum log_level least)
{
	least_level = least;
}

int log_level_by_name(const char *name)
{
	for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
		if (strcmp(name, level_names[level]) == 0)
			return level;
	}
	return -1;
}

bool log_debugging(void)
{
	return least_level == LOG_DEBUG;
}

static void put_prefix(struct line *line, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	char date[32];
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	len = snprintf(line->bytes, 128, "%s.%03ldZ %s %.64s: ", date, now.tv_nsec / 1000000,
	               level_names[level],
	               process_name != NULL ? process_name : program_invocation_short_name);
	line->len = len < 128 ? (size_t)len : 127;
}

/* Appends LEN bytes whole or not at all, so that neither an escape nor a character is split. */
static void put(struct line *line, const char *bytes, size_t len)
{
	if (line->cut || line->len + len > sizeof(line->bytes) - strlen(ellipsis)) {
		line->cut = true;
		return;
	}
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

/*
 * How many bytes at TEXT are a terminal's control code: C0 and DEL, or C1 in UTF-8 (C2 80 to C2
 * 9F).
 */
static size_t control_bytes(const char *text)
{
	unsigned char first = (unsigned char)text[0];
	unsigned char second = (unsigned char)text[1];

	if (first < 0x20 || first == 0x7f)
		return 1;
	return first == 0xc2 && second >= 0x80 && second <= 0x9f ? 2 : 0;
}

/* The length of the UTF-8 character at TEXT; 1 for what isn't UTF-8. */
static size_t character_bytes(const char *text)
{
	size_t len = 1;

	if (((unsigned char)text[0] & 0xc0) != 0xc0)
		return 1;
	while (((unsigned char)text[len] & 0xc0) == 0x80 && len < 4)
		len++;
	return len;
}

static void put_escaped(struct line *line, const char *text)
{
	while (*text != '\0' && !line->cut) {
		size_t controls = control_bytes(text);
		size_t step = controls > 0 ? controls : character_bytes(text);
		char escape[9];
		size_t len = 0;

		for (size_t i = 0; i < controls; i++)
			len += (size_t)snprintf(escape + len, sizeof(escape) - len, "\\x%02x",
			                        (unsigned char)text[i]);
		put(line, controls > 0 ? escape : text, controls > 0 ? len : step);
		text += step;
	}
}

/* Drops the last character of LEN bytes, which a cut at a fixed length may have split. */
static void trim_character(char *message, size_t len)
{
	size_t least = len - 4;

	while (len > least && ((unsigned char)message[len - 1] & 0xc0) == 0x80)
		len--;
	message[len - 1] = '\0';
}

static void write_line(enum log_level level, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

static void write_line(enum log_level level, const char *format, va_list args)
{
	int saved_errno = errno;
	struct line line = { .len = 0 };
	char message[MESSAGE_BYTES];
	int len;
	const char *end;

	if (level < least_level)
		return;
	put_prefix(&line, level);
	len = vsnprintf(message, sizeof(message), format, args);
	if (len >= (int)sizeof(message))
		trim_character(message, sizeof(message) - 1);
	put_escaped(&line, len < 0 ? "log-format-failed" : message);
	end = line.cut || len >= (int)sizeof(message) ? ellipsis : "\n";
	memcpy(line.bytes + line.len, end, strlen(end));
	line.len += strlen(end);
	/* A log that can't be written is no reason to stop serving. */
	(void)!write(STDERR_FILENO, line.bytes, line.len);
	errno = saved_errno;
}

void log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(LOG_DEBUG, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(LOG_INFO, format, args);
	va_end(args);
}

void log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(LOG_WARN, format, args);
	va_end(args);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(LOG_ERROR, format, args);
	va_end(args);
}
