#include "tests/fuzz/stream.h"

static void write_element(struct buf *out, const struct xml *element, unsigned depth)
{
	assert(depth <= XML_DEPTH_MAX && element->attribute_count <= XML_ATTRIBUTES_MAX);
	buf_printf(out, "<{%s}%s", element->ns, element->name);
	for (size_t i = 0; i < element->attribute_count; i++) {
		const struct xml_attribute *attribute = &element->attributes[i];

		buf_printf(out, " {%s}%s=%s", attribute->ns, attribute->name, attribute->value);
	}
	buf_printf(out, ">%s", element->text);
	for (const struct xml *child = element->first; child != NULL; child = child->next) {
		assert(child->parent == element);
		write_element(out, child, depth + 1);
	}
}

/* Reads on until more is needed; false when the stream is over. */
static bool note_events(struct xml_reader *reader, struct buf *out)
{
	const struct xml *element;

	for (;;) {
		enum xml_event event = xml_reader_next(reader, &element);

		if (event == XML_MORE)
			return true;
		buf_printf(out, "%d ", event);
		if (element != NULL)
			write_element(out, element, 1);
		if (event == XML_BAD)
			buf_text(out, xml_reader_why(reader));
		if (event == XML_BAD || event == XML_END)
			return false;
	}
}

/* All that is told of DATA when it comes in pieces of STEP bytes; heap. */
static char *read_in_pieces(const uint8_t *data, size_t size, size_t step)
{
	struct xml_reader *reader = xml_reader_new();
	struct buf out = { 0 };
	bool open = true;

	for (size_t at = 0; open && at < size; at += step) {
		stream_feed(reader, data + at, size - at < step ? size - at : step);
		open = note_events(reader, &out);
	}
	xml_reader_free(reader);
	return buf_take(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 7 };
	char *whole;

	if (size == 0 || data[0] != '<')
		return 0; /* by the first two bytes expat guesses at UTF-16, so it waits for both */
	whole = read_in_pieces(data, size, size);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		char *pieces = read_in_pieces(data, size, steps[i]);

		assert(strcmp(whole, pieces) == 0);
		free(pieces);
	}
	free(whole);
	return 0;
}
