#include "xmppgw/xmpp/skip.h"

#include <stdbool.h>
#include <string.h>

#define CDATA_BEGINS "[CDATA["
#define CDATA_ENDS "]]>"

enum state {
	STATE_TEXT,
	STATE_OPEN, /* behind "<" */
	STATE_TAG,
	STATE_SLASH, /* behind a "/" in a start tag */
	STATE_QUOTED,
	STATE_END_TAG,
	STATE_BANG, /* behind "<!" */
	STATE_CDATA,
};

static enum skip_result enter(struct skip *skip, enum state state)
{
	skip->state = (int)state;
	skip->matched = 0;
	return SKIP_MORE;
}

static enum skip_result take_text(struct skip *skip, char byte)
{
	return byte == '<' ? enter(skip, STATE_OPEN) : SKIP_MORE;
}

static enum skip_result take_open(struct skip *skip, char byte)
{
	if (byte == '?')
		return SKIP_BAD;
	if (byte == '/')
		return skip->depth > 1 ? enter(skip, STATE_END_TAG) : SKIP_BAD;
	return enter(skip, byte == '!' ? STATE_BANG : STATE_TAG);
}

/* A tag has ended; there are as many open elements as DEPTH says now. */
static enum skip_result end_tag(struct skip *skip, uint64_t depth)
{
	skip->depth = depth;
	enter(skip, STATE_TEXT);
	return depth > 1 ? SKIP_MORE : SKIP_DONE;
}

static enum skip_result take_tag(struct skip *skip, char byte)
{
	bool after_slash = skip->state == STATE_SLASH;

	if (byte == '>')
		return end_tag(skip, skip->depth + (after_slash ? 0 : 1));
	if (byte != '\'' && byte != '"')
		return enter(skip, byte == '/' ? STATE_SLASH : STATE_TAG);
	skip->quote = byte;
	return enter(skip, STATE_QUOTED);
}

static enum skip_result take_quoted(struct skip *skip, char byte)
{
	return byte == skip->quote ? enter(skip, STATE_TAG) : SKIP_MORE;
}

static enum skip_result take_end_tag(struct skip *skip, char byte)
{
	return byte == '>' ? end_tag(skip, skip->depth - 1) : SKIP_MORE;
}

static enum skip_result take_bang(struct skip *skip, char byte)
{
	if (byte != CDATA_BEGINS[skip->matched++])
		return SKIP_BAD;
	return CDATA_BEGINS[skip->matched] == '\0' ? enter(skip, STATE_CDATA) : SKIP_MORE;
}

static enum skip_result take_cdata(struct skip *skip, char byte)
{
	if (byte == ']' && skip->matched == 2)
		return SKIP_MORE; /* of three brackets the last two count */
	skip->matched = byte == CDATA_ENDS[skip->matched] ? skip->matched + 1 : 0;
	return CDATA_ENDS[skip->matched] == '\0' ? enter(skip, STATE_TEXT) : SKIP_MORE;
}

/* What takes in one byte in each state; SKIP_MORE: the element goes on. */
static enum skip_result (*const takes[])(struct skip *skip, char byte) = {
	[STATE_TEXT] = take_text,       [STATE_OPEN] = take_open,     [STATE_TAG] = take_tag,
	[STATE_SLASH] = take_tag,       [STATE_QUOTED] = take_quoted, [STATE_BANG] = take_bang,
	[STATE_END_TAG] = take_end_tag, [STATE_CDATA] = take_cdata,
};

enum skip_result skip_feed(struct skip *skip, const char *bytes, size_t len, size_t *used)
{
	enum skip_result result = SKIP_MORE;

	for (*used = 0; *used < len && result == SKIP_MORE; ++*used)
		result = takes[skip->state](skip, bytes[*used]);
	return result;
}

size_t skip_whole(const char *tag, size_t len)
{
	struct skip skip = { .depth = 1 };
	size_t whole = 0;

	for (size_t i = 0; i < len; i++) {
		bool quoted = skip.state == STATE_QUOTED;

		if (skip.state == STATE_TAG && whole == 0 && strchr(" \t\r\n", tag[i]) != NULL)
			whole = i;
		if (takes[skip.state](&skip, tag[i]) != SKIP_MORE)
			return 0;
		if (quoted && skip.state != STATE_QUOTED)
			whole = i + 1;
	}
	return whole;
}
