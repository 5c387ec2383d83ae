#include "xmppgw/xmpp/xml.h"

#include <assert.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "xmppgw/xmpp/skip.h"

/*
 * What expat puts between namespace and name. It ends the stream if a namespace has this character
 * in it, so it is one that XML can't have.
 */
#define SEPARATOR '\1'

/*
 * A parser keeps every name of an element or attribute that it ever saw, up to 30 bytes for each
 * byte fed. So after this many bytes it is replaced by a new one between two stanzas.
 */
#define PARSER_BYTES (2 * 1024 * 1024)

/*
 * expat 2.6 has this function, and so has the 2.5.0 of a later Debian 12. It may be missing in the
 * header and in the library: then its address is NULL when the program runs.
 */
XML_Bool XML_SetReparseDeferralEnabled(XML_Parser parser, XML_Bool enabled) __attribute__((weak));

/*
 * expat 2.9 deprecates the functions that count bytes in an int or a long; older ones have no
 * others. No parser here lives long enough for an overflow.
 */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct xml_reader {
	XML_Parser parser;
	struct arena arena; /* of the stanza that is being read or was last given out */
	struct buf header;  /* the stream's start tag as it came, for the next parser */
	struct buf text;    /* since the last tag */
	struct xml *top;    /* the stanza; NULL when not even its attributes fitted */
	struct xml *open;   /* the innermost open element */
	unsigned depth;     /* open elements, the stream's included */
	XML_Index began;    /* where the stanza began in the stream */
	size_t quiet; /* bytes fed since expat's last callback: a token that isn't whole yet */
	size_t fed;   /* bytes in expat's buffer that it has not looked at */
	char *room;   /* where those that were fed last begin */
	enum xml_event event; /* what stopped the parser; XML_MORE: nothing */
	bool stopped;         /* the parser must be resumed */
	bool ended;           /* the stream's own end tag was seen */
	bool skipping;        /* the stanza has passed a limit */
	bool hands_over;      /* and one beyond which expat isn't to read on */
	bool counting;        /* so the stanza's tags are counted; the parser waits for the next */
	struct skip skip;
	const char *why;
};

/* ---- building the tree ---- */

/* Splits expat's "namespace SEPARATOR name" into copies; false when the arena is full. */
static bool take_name(struct arena *arena, const char *full, const char **ns, const char **name)
{
	char *copy = arena_dup(arena, full, strlen(full));
	char *separator;

	if (copy == NULL)
		return false;
	separator = strrchr(copy, SEPARATOR);
	*ns = separator == NULL ? "" : copy;
	*name = separator == NULL ? copy : separator + 1;
	if (separator != NULL)
		*separator = '\0';
	return true;
}

/* Copies the attributes, at most as many as are allowed. Returns false when the arena is full. */
static bool take_attributes(struct arena *arena, struct xml *element, const char **attributes,
                            size_t count)
{
	struct xml_attribute *copies;

	if (count == 0)
		return true;
	copies = arena_alloc(arena, count * sizeof(*copies));
	if (copies == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		const char *value = attributes[2 * i + 1];

		if (!take_name(arena, attributes[2 * i], &copies[i].ns, &copies[i].name))
			return false;
		copies[i].value = arena_dup(arena, value, strlen(value));
		if (copies[i].value == NULL)
			return false;
	}
	element->attributes = copies;
	element->attribute_count = count;
	return true;
}

/*
 * Makes an element of a start tag; NULL when it can't be held, and *EXCESS if it has too many
 * attributes.
 */
static struct xml *take_element(struct arena *arena, const char *name, const char **attributes,
                                bool *excess)
{
	struct xml *element = arena_alloc(arena, sizeof(*element));
	size_t count = 0;

	if (element == NULL || !take_name(arena, name, &element->ns, &element->name))
		return NULL;
	while (attributes[2 * count] != NULL)
		count++;
	*excess = count > XML_ATTRIBUTES_MAX;
	if (*excess)
		count = XML_ATTRIBUTES_MAX;
	element->text = "";
	return take_attributes(arena, element, attributes, count) ? element : NULL;
}

static void add_child(struct xml *parent, struct xml *child)
{
	child->parent = parent;
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

/* ---- expat's callbacks ---- */

static void stop(struct xml_reader *reader, enum xml_event event)
{
	reader->event = event;
	XML_StopParser(reader->parser, XML_TRUE);
}

/* Ends expat's part: the rest of the stanza is skipped, and its end is found by counting tags. */
static void stop_parsing(struct xml_reader *reader)
{
	reader->skipping = true;
	if (reader->hands_over)
		return;
	reader->hands_over = true;
	XML_StopParser(reader->parser, XML_TRUE);
}

/* Within a stanza: skips it if it is too large to be kept; ends expat's part if to be parsed. */
static void check_size(struct xml_reader *reader)
{
	XML_Index size = XML_GetCurrentByteIndex(reader->parser) - reader->began;

	if (size > XML_STANZA_MAX)
		reader->skipping = true;
	if (size > XML_PARSED_MAX)
		stop_parsing(reader);
}

/* The bytes in expat's buffer from the current event on. */
static const char *input(const struct xml_reader *reader, size_t *len)
{
	int offset, size;
	const char *bytes = XML_GetInputContext(reader->parser, &offset, &size);

	assert(bytes != NULL);
	*len = (size_t)(size - offset);
	return bytes + offset;
}

static void keep_header(struct xml_reader *reader)
{
	size_t len;
	const char *tag = input(reader, &len);

	buf_append(&reader->header, tag, (size_t)XML_GetCurrentByteCount(reader->parser));
}

/* The stanza's own start tag, or the stream's. */
static void begin_top(struct xml_reader *reader, const char *name, const char **attributes)
{
	arena_reset(&reader->arena);
	reader->began = XML_GetCurrentByteIndex(reader->parser);
	reader->skipping = false;
	reader->top = take_element(&reader->arena, name, attributes, &reader->skipping);
	if (reader->top == NULL)
		reader->skipping = true;
	reader->open = reader->top;
}

static void begin_child(struct xml_reader *reader, const char *name, const char **attributes)
{
	struct xml *element;
	bool excess = false;

	element = take_element(&reader->arena, name, attributes, &excess);
	if (element == NULL || excess) {
		reader->skipping = true;
		return;
	}
	add_child(reader->open, element);
	reader->open = element;
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
	struct xml_reader *reader = user;

	reader->quiet = 0;
	buf_clear(&reader->text);
	if (reader->depth <= 1)
		begin_top(reader, name, attributes);
	else
		check_size(reader);
	if (reader->depth > XML_DEPTH_MAX) /* expat keeps memory for each open element */
		stop_parsing(reader);
	if (reader->depth > 1 && !reader->skipping)
		begin_child(reader, name, attributes);
	if (reader->depth++ > 0)
		return;
	keep_header(reader);
	stop(reader, XML_HEADER);
}

/* Keeps the text of a leaf. The text beside children is white space in all that we read. */
static void take_text(struct xml_reader *reader)
{
	size_t len = buf_len(&reader->text);
	char *text;

	if (len == 0 || reader->skipping || reader->open->first != NULL)
		return;
	text = arena_dup(&reader->arena, buf_data(&reader->text), len);
	if (text == NULL)
		reader->skipping = true;
	else
		reader->open->text = text;
}

static void XMLCALL on_end(void *user, const char *name)
{
	struct xml_reader *reader = user;

	reader->quiet = 0;
	take_text(reader);
	buf_clear(&reader->text);
	if (reader->depth > 1)
		check_size(reader);
	if (--reader->depth == 0) {
		reader->ended = true;
		XML_StopParser(reader->parser, XML_TRUE);
	} else if (reader->depth == 1) {
		reader->hands_over = false;
		stop(reader, reader->skipping ? XML_SKIPPED : XML_STANZA);
	} else if (!reader->skipping) {
		reader->open = reader->open->parent;
	}
}

static void XMLCALL on_text(void *user, const char *text, int len)
{
	struct xml_reader *reader = user;

	reader->quiet = 0;
	if (reader->depth <= 1)
		return;
	check_size(reader);
	if (!reader->skipping && buf_append(&reader->text, text, (size_t)len) != 0)
		reader->skipping = true;
}

static void refuse(struct xml_reader *reader)
{
	reader->why = "restricted-xml";
	XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL on_doctype(void *user, const char *name, const char *system_id,
                               const char *public_id, int internal)
{
	refuse(user);
}

static void XMLCALL on_instruction(void *user, const char *target, const char *data)
{
	refuse(user);
}

static void XMLCALL on_comment(void *user, const char *data)
{
	refuse(user);
}

/* ---- the reader ---- */

static XML_Parser new_parser(void)
{
	XML_Parser parser = XML_ParserCreateNS("UTF-8", SEPARATOR);

	if (parser == NULL)
		panic("XML_ParserCreateNS");
	/*
	 * With deferral, a stanza that came in two pieces would wait for the bytes of the next one.
	 * An expat without the function defers nothing.
	 */
	if (XML_SetReparseDeferralEnabled != NULL)
		XML_SetReparseDeferralEnabled(parser, XML_FALSE);
	return parser;
}

static void use_parser(struct xml_reader *reader, XML_Parser parser)
{
	reader->parser = parser;
	XML_SetUserData(parser, reader);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetStartDoctypeDeclHandler(parser, on_doctype);
	XML_SetProcessingInstructionHandler(parser, on_instruction);
	XML_SetCommentHandler(parser, on_comment);
}

struct xml_reader *xml_reader_new(void)
{
	struct xml_reader *reader = mem_alloc(1, sizeof(*reader));

	reader->arena.max = XML_MEMORY_MAX;
	reader->text.max = XML_STANZA_MAX;
	use_parser(reader, new_parser());
	return reader;
}

void xml_reader_free(struct xml_reader *reader)
{
	if (reader == NULL)
		return;
	XML_ParserFree(reader->parser);
	arena_release(&reader->arena);
	buf_release(&reader->header);
	buf_release(&reader->text);
	free(reader);
}

void *xml_reader_room(struct xml_reader *reader, size_t size)
{
	void *room = XML_GetBuffer(reader->parser, (int)size);

	if (room == NULL)
		panic("XML_GetBuffer of %zu bytes", size);
	reader->room = room;
	return room;
}

void xml_reader_fed(struct xml_reader *reader, size_t len)
{
	reader->fed = len;
	reader->quiet += len;
}

static enum xml_event bad(struct xml_reader *reader, const char *why)
{
	if (reader->why == NULL)
		reader->why = why;
	return XML_BAD;
}

/* A parser that has read the stream's header. */
static XML_Parser parser_in_stream(const struct xml_reader *reader)
{
	XML_Parser parser = new_parser();

	if (XML_Parse(parser, buf_data(&reader->header), (int)buf_len(&reader->header),
	              XML_FALSE) != XML_STATUS_OK)
		panic("expat refused the header of its own stream");
	return parser;
}

/* Gives LEFT, LEN bytes in the parser's buffer, to a new parser in its place. */
static void start_anew(struct xml_reader *reader, const char *left, size_t len)
{
	XML_Parser parser = parser_in_stream(reader);

	reader->fed = reader->quiet = len;
	if (len > 0)
		memcpy(XML_GetBuffer(parser, (int)len), left, len);
	XML_ParserFree(reader->parser);
	use_parser(reader, parser);
	reader->stopped = false;
}

/* After an event: the bytes behind it. */
static const char *behind_event(const struct xml_reader *reader, size_t *len)
{
	size_t told = (size_t)XML_GetCurrentByteCount(reader->parser);
	const char *left = input(reader, len);

	*len -= told;
	return left + told;
}

static void renew(struct xml_reader *reader)
{
	size_t len;
	const char *left = behind_event(reader, &len);

	start_anew(reader, left, len);
}

static bool is_worn(const struct xml_reader *reader)
{
	return reader->depth == 1 && reader->event != XML_HEADER &&
	       XML_GetCurrentByteIndex(reader->parser) > PARSER_BYTES;
}

/* Lets expat work until it stops or has nothing left. */
static enum XML_Status work(struct xml_reader *reader)
{
	int fed = (int)reader->fed;

	reader->fed = 0;
	if (!reader->stopped)
		return XML_ParseBuffer(reader->parser, fed, XML_FALSE);
	reader->stopped = false;
	return XML_ResumeParser(reader->parser);
}

/*
 * The start tag of a stanza is too long: those of its attributes that are whole among its first LEN
 * bytes are kept, as far as they can be.
 */
static void keep_whole_attributes(struct xml_reader *reader, const char *tag, size_t len)
{
	XML_Parser parser = reader->parser;

	reader->top = NULL;
	use_parser(reader, parser_in_stream(reader));
	if (XML_Parse(reader->parser, tag, (int)skip_whole(tag, len), XML_FALSE) == XML_STATUS_OK)
		XML_Parse(reader->parser, "/>", 2, XML_FALSE);
	XML_ParserFree(reader->parser);
	reader->parser = parser;
}

/* What comes of the stanza whose tags are counted, with RESULT. */
static enum xml_event count_on(struct xml_reader *reader, enum skip_result result,
                               const struct xml **element)
{
	reader->counting = result == SKIP_MORE;
	if (result == SKIP_BAD)
		return bad(reader, "policy-violation");
	if (result == SKIP_MORE)
		return XML_MORE;
	reader->depth = 1;
	*element = reader->top;
	return XML_SKIPPED;
}

/* The tags are counted from here on: behind the event, or from the tag that is too long. */
static enum xml_event hand_over(struct xml_reader *reader, const struct xml **element)
{
	enum skip_result result;
	size_t len, used;
	const char *left = reader->stopped ? behind_event(reader, &len) : input(reader, &len);

	if (reader->depth == 1)
		keep_whole_attributes(reader, left, len);
	reader->hands_over = false;
	reader->skip = (struct skip){ .depth = reader->depth };
	result = skip_feed(&reader->skip, left, len, &used);
	start_anew(reader, left + used, len - used);
	return count_on(reader, result, element);
}

/* The bytes that were fed go by the count; those behind the stanza to the parser. */
static enum xml_event count_fed(struct xml_reader *reader, const struct xml **element)
{
	size_t used;
	enum skip_result result = skip_feed(&reader->skip, reader->room, reader->fed, &used);

	reader->fed -= used;
	reader->quiet = reader->fed;
	memmove(reader->room, reader->room + used, reader->fed);
	return count_on(reader, result, element);
}

enum xml_event xml_reader_next(struct xml_reader *reader, const struct xml **element)
{
	enum XML_Status status;

	*element = NULL;
	if (reader->ended)
		return XML_END;
	if (reader->counting)
		return count_fed(reader, element);
	if (reader->stopped && is_worn(reader))
		renew(reader);
	if (!reader->stopped && reader->fed == 0)
		return XML_MORE;
	reader->event = XML_MORE;
	status = work(reader);
	if (status == XML_STATUS_ERROR)
		return bad(reader, "not-well-formed");
	reader->stopped = status == XML_STATUS_SUSPENDED;
	if (reader->event != XML_MORE)
		*element = reader->top;
	else if (reader->ended)
		return XML_END;
	else if (reader->quiet > XML_TOKEN_MAX && reader->depth == 0)
		return bad(reader, "policy-violation");
	else if (reader->quiet > XML_TOKEN_MAX || reader->hands_over)
		return hand_over(reader, element);
	return reader->event;
}

const char *xml_reader_why(const struct xml_reader *reader)
{
	return reader->why;
}

/* ---- looking at elements ---- */

bool xml_is(const struct xml *element, const char *ns, const char *name)
{
	return element != NULL && strcmp(element->name, name) == 0 && strcmp(element->ns, ns) == 0;
}

const struct xml *xml_child(const struct xml *element, const char *ns, const char *name)
{
	const struct xml *child = element == NULL ? NULL : element->first;

	while (child != NULL && !xml_is(child, ns, name))
		child = child->next;
	return child;
}

const struct xml *xml_again(const struct xml *element)
{
	const struct xml *next = element->next;

	while (next != NULL && !xml_is(next, element->ns, element->name))
		next = next->next;
	return next;
}

const char *xml_attribute(const struct xml *element, const char *name)
{
	if (element == NULL)
		return NULL;
	for (size_t i = 0; i < element->attribute_count; i++) {
		const struct xml_attribute *attribute = &element->attributes[i];

		if (attribute->ns[0] == '\0' && strcmp(attribute->name, name) == 0)
			return attribute->value;
	}
	return NULL;
}

const char *xml_version(void)
{
	return XML_ExpatVersion();
}
