#include "common/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/config/config_draft.h"
#include "common/config/config_value.h"

#define FILE_BYTES_MAX (1 << 20)
#define LINE_BUFFER 4096
#define LINE_BYTES_MAX (LINE_BUFFER - 3) /* libinih wants room for CR, LF and NUL */
#define ID_BYTES_MAX 255                 /* a domain fits */

/* A file while libinih parses it: libinih asks for lines and returns names and values. */
struct reading {
	struct config_draft *draft;
	const char *next; /* borrowed */
	size_t left;
	unsigned line;
	struct config_part *part; /* that the lines belong to; NULL: none */
	bool skipping;            /* the section's header was refused: its keys say nothing */
};

static void complain_header(struct reading *reading, const char *message)
{
	config_draft_complain_line(reading->draft, reading->line, "%s", message);
}

/* Splits "NAME ID" in place at its blanks; NULL when there is no id. */
static char *split_header(char *name)
{
	char *blank = name + strcspn(name, " \t");

	if (*blank == '\0')
		return NULL;
	*blank++ = '\0';
	return blank + strspn(blank, " \t");
}

/* What stands between the brackets, without the blanks around it; heap. */
static char *copy_inside(const char *start, const char *end)
{
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (start < end && isspace((unsigned char)end[-1]))
		end--;
	return mem_dup_bytes(start, (size_t)(end - start));
}

/*
 * The section is taken from here, not from libinih, which cuts its name at 49 bytes, merges one
 * that repeats, doesn't see one without keys and ignores what stands behind the bracket.
 */
static void begin_section(struct reading *reading, const char *line, size_t len)
{
	const char *end = memchr(line, ']', len);
	char *name, *id;

	reading->part = NULL;
	reading->skipping = true;
	if (end == NULL) {
		complain_header(reading, "section header without ]");
		return;
	}
	for (const char *c = end + 1; c < line + len; c++) {
		if (!isspace((unsigned char)*c)) {
			complain_header(reading, "stray text after ]");
			return;
		}
	}
	name = copy_inside(line + 1, end);
	id = split_header(name);
	if (id != NULL && strlen(id) > ID_BYTES_MAX)
		complain_header(reading, "section header too long");
	else if (id != NULL && strpbrk(id, " \t") != NULL)
		complain_header(reading, "blank in the id of a section");
	else if (id != NULL && !config_value_utf8(id))
		complain_header(reading, "the id of a section is not UTF-8");
	else
		reading->part = config_draft_open(reading->draft, name, id, reading->line);
	reading->skipping = reading->part == NULL;
	free(name);
}

/* True when libinih may see the line. */
static bool check_line(struct reading *reading, const char *line, size_t len)
{
	if (len > LINE_BYTES_MAX) {
		config_draft_complain_line(reading->draft, reading->line,
		                           "line longer than %d bytes", LINE_BYTES_MAX);
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (iscntrl((unsigned char)line[i]) && line[i] != '\t') {
			complain_header(reading, "control character");
			return false;
		}
	}
	while (len > 0 && isspace((unsigned char)*line)) {
		line++;
		len--;
	}
	if (len == 0 || *line != '[')
		return true;
	begin_section(reading, line, len);
	return false;
}

/* The reader of ini_parse_stream(): lines that were refused become empty ones. */
static char *read_line(char *out, int size, void *stream)
{
	struct reading *reading = stream;
	const char *line = reading->next;
	const char *end = memchr(line, '\n', reading->left);
	size_t len = end == NULL ? reading->left : (size_t)(end - line);
	size_t whole = len + (end != NULL);

	if (reading->left == 0) {
		mem_wipe(out,
		         (size_t)size); /* it held secrets, and libinih frees it without wiping */
		return NULL;
	}
	reading->next += whole;
	reading->left -= whole;
	reading->line++;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (!check_line(reading, line, len) || len + 2 > (size_t)size)
		len = 0;
	memcpy(out, line, len);
	memcpy(out + len, "\n", 2);
	return out;
}

/* The handler of ini_parse_stream(). */
static int take_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reading *reading = user;

	if (reading->skipping)
		return 1;
	if (value == NULL || *name == '\0')
		complain_header(reading, "neither [section] nor key = value");
	else if (reading->part == NULL)
		complain_header(reading, "key before the first section");
	else
		config_draft_take(reading->draft, reading->part, name, value, reading->line);
	return 1;
}

static void parse_text(struct config_draft *draft, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf"; /* that some editors put first */
	struct reading reading = { .draft = draft, .next = text, .left = len };
	int line;

	if (len >= 3 && memcmp(text, mark, 3) == 0) {
		reading.next += 3;
		reading.left -= 3;
	}
	ini_allow_inline_comments = false; /* " ;" is part of a password */
	ini_allow_multiline = false;       /* a continuation would look like a repeated key */
	ini_allow_no_value = true;         /* so that such a line comes to take_pair() */
	ini_use_stack = false;             /* its stack buffer has 200 bytes */
	ini_max_line = LINE_BUFFER;
	ini_initial_alloc = LINE_BUFFER;
	line = ini_parse_stream(read_line, &reading, take_pair, &reading);
	if (line > 0 && !draft->bad)
		config_draft_complain_line(draft, (unsigned)line, "not understood");
}

static void parse_file(struct config_draft *draft)
{
	size_t len;
	char *text = file_read(draft->file, FILE_BYTES_MAX, &len);

	if (text == NULL) {
		config_draft_complain(draft, draft->file, "%s", strerror(errno));
		return;
	}
	parse_text(draft, text, len);
	mem_wipe(text, len);
	free(text);
}

static void complain_missing(struct config_draft *draft, const struct config_part *part,
                             const char *key)
{
	if (part->line != 0)
		config_draft_complain_line(draft, part->line, "this section needs the key %s", key);
	else
		config_draft_complain(draft, draft->file == NULL ? "environment" : draft->file,
		                      "section [%s] needs the key %s", part->section->name, key);
}

/* Turns the texts of PART into the members of BASE, which is zero. */
static void fill_part(struct config_draft *draft, const struct config_part *part, void *base)
{
	const struct config_key *key = part->section->keys;

	for (size_t i = 0; key[i].name != NULL; i++) {
		const struct config_given *given = &part->given[i];
		const char *text = given->text != NULL ? given->text : key[i].fallback;
		char *wrong;

		if (key[i].retired != NULL)
			continue;
		if (key[i].needed && (text == NULL || *text == '\0'))
			complain_missing(draft, part, key[i].name);
		if (text == NULL && key[i].kind != CONFIG_LIST)
			continue;
		wrong = config_value_parse(&key[i], base, text == NULL ? "" : text);
		if (wrong != NULL)
			config_draft_complain(draft,
			                      given->where == NULL ? "default" : given->where,
			                      "%s: %s", key[i].name, wrong);
		free(wrong);
	}
}

static struct config_items *items_of(const struct config_section *section, const void *root)
{
	return (struct config_items *)((const char *)root + section->offset);
}

/* One more struct in the root's items of the section, with its id. */
static void *add_item(const struct config_section *section, void *root, const char *id)
{
	struct config_items *items = items_of(section, root);
	void *base;

	items->items = mem_resize(items->items, items->count + 1, section->size);
	base = config_item(items, section->size, items->count++);
	memset(base, 0, section->size);
	*(char **)base = mem_dup(id);
	return base;
}

static void *make_root(struct config_draft *draft)
{
	void *root = mem_alloc(1, draft->config->size);

	for (size_t i = 0; i < draft->count; i++) {
		const struct config_part *part = &draft->parts[i];
		void *base = part->section->with_id ? add_item(part->section, root, part->id)
		                                    : (char *)root + part->section->offset;

		fill_part(draft, part, base);
	}
	if (!draft->bad)
		return root;
	config_free(draft->config, root);
	return NULL;
}

void *config_read(const struct config *config, const char *file, struct buf *complaints)
{
	struct config_draft draft;
	void *root;

	config_draft_init(&draft, config, file, complaints);
	if (file != NULL)
		parse_file(&draft);
	config_draft_environment(&draft);
	root = make_root(&draft);
	config_draft_release(&draft);
	return root;
}

static void release_keys(const struct config_section *section, void *base)
{
	for (const struct config_key *key = section->keys; key->name != NULL; key++)
		if (key->retired == NULL)
			config_value_release(key, base);
}

static void free_items(const struct config_section *section, void *root)
{
	struct config_items *items = items_of(section, root);

	for (size_t i = 0; i < items->count; i++) {
		void *base = config_item(items, section->size, i);

		release_keys(section, base);
		free(*(char **)base);
	}
	free(items->items);
}

void config_free(const struct config *config, void *root)
{
	if (root == NULL)
		return;
	for (const struct config_section *section = config->sections; section->name != NULL;
	     section++) {
		if (section->with_id)
			free_items(section, root);
		else
			release_keys(section, (char *)root + section->offset);
	}
	free(root);
}

/* The choices and the default of KEY; LIVE: SIGHUP changes it. */
static void dump_help(const struct config_key *key, bool live, struct buf *out)
{
	buf_printf(out, "# %s", key->help);
	for (size_t i = 0; key->choices != NULL && key->choices[i] != NULL; i++)
		buf_printf(out, "%s%s", i == 0 ? " One of: " : ", ", key->choices[i]);
	if (key->choices != NULL)
		buf_text(out, ".");
	if (live)
		buf_text(out, " SIGHUP changes it.");
	if (key->needed)
		buf_text(out, " Needed.");
	else if (key->fallback != NULL)
		buf_printf(out, " Default: %s", key->fallback);
	buf_text(out, "\n");
}

/* A key of SECTION; BASE NULL: only its form is shown, as comments. */
static void dump_key(const struct config_section *section, const struct config_key *key,
                     const void *base, struct buf *out)
{
	struct buf value = { 0 };
	char *text;
	bool given;

	if (base != NULL)
		config_value_print(key, base, &value);
	else if (key->fallback != NULL)
		buf_text(&value, key->fallback);
	/* An empty value must be written if the default isn't empty: reading must not give that. */
	given = base != NULL && (buf_len(&value) > 0 || key->fallback != NULL);
	text = buf_take(&value);
	dump_help(key, key->live || section->live, out);
	buf_printf(out, "%s%s =%s%s\n", given ? "" : "#", key->name, *text == '\0' ? "" : " ",
	           text);
	free(text);
}

/* One section; BASE NULL: none exists. */
static void dump_section(const struct config_section *section, const char *id, const void *base,
                         struct buf *out)
{
	buf_printf(out, "# %s\n%s[%s%s%s]\n", section->help, base == NULL ? "#" : "", section->name,
	           id == NULL ? "" : " ", id == NULL ? "" : id);
	for (const struct config_key *key = section->keys; key->name != NULL; key++)
		if (key->retired == NULL)
			dump_key(section, key, base, out);
	buf_text(out, "\n");
}

void config_dump(const struct config *config, const void *root, struct buf *out)
{
	for (const struct config_section *section = config->sections; section->name != NULL;
	     section++) {
		const struct config_items *items;

		if (!section->with_id) {
			dump_section(section, NULL, (const char *)root + section->offset, out);
			continue;
		}
		items = items_of(section, root);
		if (items->count == 0)
			dump_section(section, "ID", NULL, out);
		for (size_t i = 0; i < items->count; i++) {
			const void *base = config_item(items, section->size, i);

			dump_section(section, *(char *const *)base, base, out);
		}
	}
}

static size_t take_keys(const struct config_section *section, void *base, void *fresh)
{
	size_t differed = 0;

	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		if (!key->live || key->retired != NULL || config_value_equal(key, base, fresh))
			continue;
		config_value_swap(key, base, fresh);
		differed++;
	}
	return differed;
}

/* The item of ROOT's section with the id that BASE, an item of another root's, has; or NULL. */
static void *find_twin(const struct config_section *section, const void *root, const void *base)
{
	const struct config_items *items = items_of(section, root);

	for (size_t i = 0; i < items->count; i++) {
		void *twin = config_item(items, section->size, i);

		if (strcmp(*(char *const *)base, *(char **)twin) == 0)
			return twin;
	}
	return NULL;
}

static size_t take_items(const struct config_section *section, void *root, void *fresh)
{
	struct config_items *items = items_of(section, root);
	size_t differed = 0;

	for (size_t i = 0; i < items->count; i++) {
		void *base = config_item(items, section->size, i);
		void *twin = find_twin(section, fresh, base);

		if (twin != NULL)
			differed += take_keys(section, base, twin);
	}
	return differed;
}

static size_t count_differing(const struct config_section *section, const void *one,
                              const void *other)
{
	size_t differed = 0;

	for (const struct config_key *key = section->keys; key->name != NULL; key++)
		if (key->retired == NULL && !config_value_equal(key, one, other))
			differed++;
	return differed;
}

static size_t exchange_items(const struct config_section *section, void *root, void *fresh)
{
	struct config_items *items = items_of(section, root), *others = items_of(section, fresh);
	struct config_items old = *items;
	size_t differed = 0;

	for (size_t i = 0; i < items->count; i++) {
		const void *base = config_item(items, section->size, i);
		const void *twin = find_twin(section, fresh, base);

		differed += twin == NULL ? 1 : count_differing(section, base, twin);
	}
	for (size_t i = 0; i < others->count; i++)
		if (find_twin(section, root, config_item(others, section->size, i)) == NULL)
			differed++;
	*items = *others;
	*others = old;
	return differed;
}

static size_t take_section(const struct config_section *section, void *root, void *fresh)
{
	if (!section->with_id)
		return take_keys(section, (char *)root + section->offset,
		                 (char *)fresh + section->offset);
	return section->live ? exchange_items(section, root, fresh)
	                     : take_items(section, root, fresh);
}

size_t config_take_live(const struct config *config, void *root, void *fresh)
{
	size_t differed = 0;

	for (const struct config_section *section = config->sections; section->name != NULL;
	     section++)
		differed += take_section(section, root, fresh);
	return differed;
}

bool config_keys_differ(const struct config_key *keys, const void *one, const void *other)
{
	for (const struct config_key *key = keys; key->name != NULL; key++)
		if (!key->live && key->retired == NULL && !config_value_equal(key, one, other))
			return true;
	return false;
}

static bool items_differ(const struct config_section *section, const void *root, const void *other)
{
	const struct config_items *items = items_of(section, root);

	if (items->count != items_of(section, other)->count)
		return true;
	for (size_t i = 0; i < items->count; i++) {
		const void *base = config_item(items, section->size, i);
		const void *twin = find_twin(section, other, base);

		if (twin == NULL || config_keys_differ(section->keys, base, twin))
			return true;
	}
	return false;
}

static bool section_differs(const struct config_section *section, const void *root,
                            const void *other)
{
	if (section->with_id)
		return !section->live && items_differ(section, root, other);
	return config_keys_differ(section->keys, (const char *)root + section->offset,
	                          (const char *)other + section->offset);
}

bool config_differs(const struct config *config, const void *root, const void *other)
{
	for (const struct config_section *section = config->sections; section->name != NULL;
	     section++)
		if (section_differs(section, root, other))
			return true;
	return false;
}
