#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048    /* longest line, with its newline */
#define MESSAGE_BYTES 1536 /* longest message before escaping */
#define BACKLOG_BYTES (256 * 1024)
#define STOP_MS 1000 /* a reader that has stalled may delay the end of the process so long */

/* A line being put together; what doesn't fit is cut and the line ends in "...". */
struct line {
	char bytes[LINE_BYTES];
	size_t len;
	bool cut;
};

/* Where lines go. */
static struct output {
	int fd;
	bool is_socket;
	bool may_block;          /* it couldn't be made non-blocking */
	void (*stalled)(int fd); /* NULL: a write may wait, as before log_start() */
} output = { .fd = STDERR_FILENO };

/* Lines that the reader didn't take yet, the first perhaps without its beginning. */
static struct {
	size_t start, end;
	char bytes[BACKLOG_BYTES];
} backlog;
static int64_t dropped_lines, untold_lines;

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

static size_t room(const struct line *line)
{
	return sizeof(line->bytes) - strlen(ellipsis) - line->len;
}

/* Appends LEN bytes whole or not at all, so that neither an escape nor a character is split. */
static void put(struct line *line, const char *bytes, size_t len)
{
	if (line->cut || len > room(line)) {
		line->cut = true;
		return;
	}
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

/*
 * Code points that a terminal or a viewer obeys instead of showing: C1, marks that change the
 * direction of text or have no width, line and paragraph separators, invisible tags.
 */
static const struct {
	unsigned first, last;
} obeyed[] = {
	{ 0x80, 0x9f },     { 0xad, 0xad },       { 0x61c, 0x61c },   { 0x180e, 0x180e },
	{ 0x200b, 0x200f }, { 0x2028, 0x202e },   { 0x2060, 0x206f }, { 0xfeff, 0xfeff },
	{ 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

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

/* The code point of the LEN bytes at TEXT, which are what character_bytes() found. */
static unsigned code_point(const char *text, size_t len)
{
	unsigned code = (unsigned char)text[0];

	if (len == 1)
		return code < 0x80 ? code : 0xfffd;
	code &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	return code;
}

static bool is_obeyed(unsigned code)
{
	for (size_t i = 0; i < sizeof(obeyed) / sizeof(obeyed[0]); i++)
		if (code >= obeyed[i].first && code <= obeyed[i].last)
			return true;
	return code < 0x20 || code == 0x7f;
}

/* How many bytes at TEXT, at most MOST, are ASCII that is shown as it is: nearly all are. */
static size_t plain_bytes(const char *text, size_t most)
{
	size_t len = 0;

	while (len < most && text[len] >= 0x20 && text[len] < 0x7f)
		len++;
	return len;
}

/* Appends the character of STEP bytes at TEXT, or its bytes in hexadecimal if it is obeyed. */
static void put_character(struct line *line, const char *text, size_t step)
{
	char escape[4 * 4 + 1];
	size_t len = 0;

	if (!is_obeyed(code_point(text, step))) {
		put(line, text, step);
		return;
	}
	for (size_t i = 0; i < step; i++)
		len += (size_t)snprintf(escape + len, sizeof(escape) - len, "\\x%02x",
		                        (unsigned char)text[i]);
	put(line, escape, len);
}

static void put_escaped(struct line *line, const char *text)
{
	for (;;) {
		size_t plain = plain_bytes(text, room(line)), step;

		put(line, text, plain);
		text += plain;
		if (*text == '\0' || line->cut)
			return;
		step = character_bytes(text);
		put_character(line, text, step);
		text += step;
	}
}

/* ---- writing ---- */

/* Writes at once: how many bytes were taken; -1 with errno, EAGAIN if the reader has stalled. */
static ssize_t write_now(const char *bytes, size_t len)
{
	struct pollfd room = { .fd = output.fd, .events = POLLOUT };
	ssize_t n;

	if (output.is_socket)
		return send(output.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A pipe that is writable takes a line whole. */
	if (output.may_block && poll(&room, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	do
		n = write(output.fd, bytes, len);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Keeps LEN bytes until there is room; false: there is none for them here either. */
static bool keep(const char *bytes, size_t len)
{
	if (len > BACKLOG_BYTES - (backlog.end - backlog.start))
		return false;
	if (len > BACKLOG_BYTES - backlog.end) {
		memmove(backlog.bytes, backlog.bytes + backlog.start, backlog.end - backlog.start);
		backlog.end -= backlog.start;
		backlog.start = 0;
	}
	memcpy(backlog.bytes + backlog.end, bytes, len);
	backlog.end += len;
	return true;
}

static void count_dropped(void)
{
	dropped_lines++;
	untold_lines++;
}

/* A log that can't be written is no reason to stop serving, nor to wait. */
static void write_or_keep(const char *bytes, size_t len)
{
	ssize_t n = 0;

	if (backlog.start == backlog.end) {
		n = write_now(bytes, len);
		if (n == (ssize_t)len)
			return;
		if (n < 0 && (errno != EAGAIN || output.stalled == NULL)) {
			count_dropped();
			return;
		}
		n = n < 0 ? 0 : n;
		if (output.stalled != NULL)
			output.stalled(output.fd);
	}
	if (!keep(bytes + n, len - (size_t)n))
		count_dropped();
}

/* Says how many lines were dropped; called before each line and once the reader reads on. */
static void tell_dropped(void)
{
	struct line line = { .len = 0 };
	char text[64];
	int64_t count = untold_lines;

	if (count == 0 || BACKLOG_BYTES - (backlog.end - backlog.start) < 2 * LINE_BYTES)
		return;
	put_prefix(&line, LOG_WARN);
	snprintf(text, sizeof(text), "log-lines-dropped count=%lld\n", (long long)count);
	put(&line, text, strlen(text));
	untold_lines = 0;
	write_or_keep(line.bytes, line.len);
	if (untold_lines > 0) { /* this line itself was dropped, which doesn't count */
		dropped_lines--;
		untold_lines = count;
	}
}

/* How many of the bytes that wait are its first line. */
static size_t first_line(void)
{
	const char *start = backlog.bytes + backlog.start;
	size_t len = backlog.end - backlog.start;
	const char *newline = memchr(start, '\n', len);

	return newline == NULL ? len : (size_t)(newline - start) + 1;
}

bool log_flush(void)
{
	while (backlog.start < backlog.end) {
		size_t len = first_line();
		ssize_t n = write_now(backlog.bytes + backlog.start, len);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			count_dropped();
		backlog.start += n < 0 ? len : (size_t)n;
	}
	backlog.start = backlog.end = 0;
	tell_dropped();
	return backlog.end == 0;
}

/*
 * A pipe or terminal is opened anew, since O_NONBLOCK on the descriptor that was inherited would
 * hold for all who share it; where that isn't allowed, each write asks poll() first.
 */
void log_start(void (*stalled)(int fd))
{
	struct stat status;
	int fd;

	output.stalled = stalled;
	if (fstat(STDERR_FILENO, &status) != 0)
		return;
	output.is_socket = S_ISSOCK(status.st_mode);
	if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	output.may_block = fd < 0;
	if (fd >= 0)
		output.fd = fd;
}

void log_stop(void)
{
	struct pollfd room = { .fd = output.fd, .events = POLLOUT };
	int saved_errno = errno;

	while (!log_flush() && poll(&room, 1, STOP_MS) == 1)
		;
	if (output.fd != STDERR_FILENO)
		close(output.fd);
	output = (struct output){ .fd = STDERR_FILENO };
	errno = saved_errno;
}

int64_t log_dropped(void)
{
	return dropped_lines;
}

/* ---- lines ---- */

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
	tell_dropped();
	write_or_keep(line.bytes, line.len);
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
