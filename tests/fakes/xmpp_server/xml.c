#include "tests/fakes/xmpp_server/xml.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>

#include "common/base/panic.h"

#define SEPARATOR '\1'

/* Appends LEN bytes to the string in FIELD, of SIZE bytes. */
static void append(char *field, size_t size, const char *text, size_t len)
{
	size_t had = strlen(field);

	if (len > size - 1 - had)
		len = size - 1 - had;
	memcpy(field + had, text, len);
	field[had + len] = '\0';
}

#define SET(field, text) snprintf(field, sizeof(field), "%s", text)

static const char *local_name(const char *name)
{
	const char *separator = strrchr(name, SEPARATOR);

	return separator == NULL ? name : separator + 1;
}

static void take_attribute(struct element *element, const char *name, const char *value)
{
	if (strcmp(name, "type") == 0) {
		SET(element->type, value);
	} else if (strcmp(name, "id") == 0) {
		SET(element->id, value);
	} else if (strcmp(name, "from") == 0) {
		SET(element->from, value);
		element->has_from = true;
	} else if (strcmp(name, "to") == 0) {
		SET(element->to, value);
		element->has_to = true;
	} else if (strcmp(name, "allowMultiple") == 0) {
		element->allows_multiple = true;
	}
}

/* The header and the elements at the top have the same fields. */
static void begin(struct element *element, const char *name, const char **attributes)
{
	/* Not the whole struct: it is large, and each reply under load comes by here. */
	element->type[0] = element->id[0] = element->from[0] = element->to[0] = '\0';
	element->payload_ns[0] = element->error_type[0] = element->condition[0] = '\0';
	element->error_text[0] = element->text[0] = '\0';
	element->has_from = element->has_to = element->allows_multiple = false;
	SET(element->name, local_name(name));
	for (; attributes[0] != NULL; attributes += 2)
		take_attribute(element, attributes[0], attributes[1]);
}

static void begin_child(struct xml *xml, const char *name, const char **attributes)
{
	struct element *element = &xml->element;

	if (element->payload_ns[0] == '\0')
		append(element->payload_ns, sizeof(element->payload_ns), name, strcspn(name, "\1"));
	xml->in_error = strcmp(local_name(name), "error") == 0;
	for (; xml->in_error && attributes[0] != NULL; attributes += 2)
		if (strcmp(attributes[0], "type") == 0)
			SET(element->error_type, attributes[1]);
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
	struct xml *xml = user;

	if (xml->depth <= 1)
		begin(&xml->element, name, attributes);
	else if (xml->depth == 2)
		begin_child(xml, name, attributes);
	else if (xml->depth == 3 && xml->in_error)
		xml->in_text = strcmp(local_name(name), "text") == 0;
	if (xml->depth == 3 && xml->in_error && !xml->in_text && xml->element.condition[0] == '\0')
		SET(xml->element.condition, local_name(name));
	if (xml->depth++ == 0)
		xml->began(xml, &xml->element);
}

static void XMLCALL on_end(void *user, const char *name)
{
	struct xml *xml = user;

	xml->depth--;
	if (xml->depth == 3)
		xml->in_text = false;
	else if (xml->depth == 2)
		xml->in_error = false;
	else if (xml->depth == 1)
		xml->came(xml, &xml->element);
	else if (xml->depth == 0)
		xml->ended = true;
}

static void XMLCALL on_text(void *user, const char *text, int len)
{
	struct xml *xml = user;
	struct element *element = &xml->element;

	if (xml->depth == 2)
		append(element->text, sizeof(element->text), text, (size_t)len);
	else if (xml->in_text)
		append(element->error_text, sizeof(element->error_text), text, (size_t)len);
}

static void XMLCALL on_comment(void *user, const char *data)
{
	((struct xml *)user)->comment = true;
}

void xml_start(struct xml *xml)
{
	XML_Parser parser = XML_ParserCreateNS("UTF-8", SEPARATOR);

	if (parser == NULL)
		panic("XML_ParserCreateNS");
	XML_SetUserData(parser, xml);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetCommentHandler(parser, on_comment);
	xml->parser = parser;
}

int xml_feed(struct xml *xml, const char *bytes, size_t len)
{
	return XML_Parse(xml->parser, bytes, (int)len, XML_FALSE) == XML_STATUS_OK ? 0 : -1;
}

void xml_stop(struct xml *xml)
{
	XML_ParserFree(xml->parser);
	xml->parser = NULL;
}
