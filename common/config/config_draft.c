#include "common/config/config_draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define NAME_SHOWN 64 /* bytes of a wrong name that a complaint quotes */

static size_t count_keys(const struct config_section *section)
{
	size_t n = 0;

	while (section->keys[n].name != NULL)
		n++;
	return n;
}

static struct config_part *add_part(struct config_draft *draft,
                                    const struct config_section *section, const char *id)
{
	struct config_part *part;

	draft->parts = mem_resize(draft->parts, draft->count + 1, sizeof(*draft->parts));
	part = &draft->parts[draft->count++];
	*part = (struct config_part){ .section = section, .id = mem_dup(id) };
	part->given = mem_alloc(count_keys(section), sizeof(*part->given));
	return part;
}

void config_draft_init(struct config_draft *draft, const struct config *config, const char *file,
                       struct buf *complaints)
{
	*draft = (struct config_draft){ .config = config, .file = file, .complaints = complaints };
	for (const struct config_section *section = config->sections; section->name != NULL;
	     section++)
		if (!section->with_id)
			add_part(draft, section, NULL);
}

static void forget(const struct config_key *key, struct config_given *given)
{
	if (key->kind == CONFIG_SECRET || key->kind == CONFIG_REDIS)
		mem_free_secret(given->text);
	else
		free(given->text);
	free(given->where);
	*given = (struct config_given){ 0 };
}

void config_draft_release(struct config_draft *draft)
{
	for (size_t i = 0; i < draft->count; i++) {
		struct config_part *part = &draft->parts[i];

		for (size_t k = 0; part->section->keys[k].name != NULL; k++)
			forget(&part->section->keys[k], &part->given[k]);
		free(part->given);
		free(part->id);
	}
	free(draft->parts);
}

static void add_complaint(struct config_draft *draft, const char *where, const char *format,
                          va_list args) __attribute__((format(printf, 3, 0)));

static void add_complaint(struct config_draft *draft, const char *where, const char *format,
                          va_list args)
{
	char text[400];

	vsnprintf(text, sizeof(text), format, args);
	buf_printf(draft->complaints, "%s: %s\n", where, text);
	draft->bad = true;
}

void config_draft_complain(struct config_draft *draft, const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_complaint(draft, where, format, args);
	va_end(args);
}

void config_draft_complain_line(struct config_draft *draft, unsigned line, const char *format, ...)
{
	char *where = mem_printf("%s:%u", draft->file, line);
	va_list args;

	va_start(args, format);
	add_complaint(draft, where, format, args);
	va_end(args);
	free(where);
}

static const struct config_section *find_section(const struct config *config, const char *name)
{
	const struct config_section *section = config->sections;

	while (section->name != NULL && strcmp(section->name, name) != 0)
		section++;
	return section->name == NULL ? NULL : section;
}

static struct config_part *find_part(struct config_draft *draft,
                                     const struct config_section *section, const char *id)
{
	for (size_t i = 0; i < draft->count; i++) {
		struct config_part *part = &draft->parts[i];

		if (part->section == section && (id == NULL || strcmp(part->id, id) == 0))
			return part;
	}
	return NULL;
}

struct config_part *config_draft_open(struct config_draft *draft, const char *name, const char *id,
                                      unsigned line)
{
	const struct config_section *section = find_section(draft->config, name);
	struct config_part *part;
	bool with_id = id != NULL && *id != '\0';

	if (section == NULL) {
		config_draft_complain_line(draft, line, "unknown section [%.*s]", NAME_SHOWN, name);
		return NULL;
	}
	if (section->with_id != with_id) {
		config_draft_complain_line(draft, line,
		                           with_id ? "section [%s] takes no id"
		                                   : "section [%s] needs an id: [%s ID]",
		                           name, name);
		return NULL;
	}
	part = find_part(draft, section, with_id ? id : NULL);
	if (part == NULL)
		part = add_part(draft, section, id);
	if (part->line != 0) {
		config_draft_complain_line(draft, line, "this section repeats that of line %u",
		                           part->line);
		return NULL;
	}
	part->line = line;
	return part;
}

void config_draft_give(struct config_draft *draft, struct config_part *part, size_t index,
                       char *text, const char *where)
{
	const struct config_key *key = &part->section->keys[index];
	struct config_given *given = &part->given[index];

	forget(key, given);
	given->text = text;
	given->where = mem_dup(where);
	if (key->retired != NULL)
		config_draft_complain(draft, where, "%s is retired: %s", key->name, key->retired);
}

void config_draft_take(struct config_draft *draft, struct config_part *part, const char *name,
                       const char *value, unsigned line)
{
	const struct config_key *keys = part->section->keys;
	size_t index = 0;
	char *where;

	while (keys[index].name != NULL && strcmp(keys[index].name, name) != 0)
		index++;
	if (keys[index].name == NULL) {
		config_draft_complain_line(draft, line, "unknown key \"%.*s\" in [%s]", NAME_SHOWN,
		                           name, part->section->name);
		return;
	}
	if (part->given[index].text != NULL) {
		config_draft_complain_line(draft, line, "%s repeats %s", name,
		                           part->given[index].where);
		return;
	}
	where = mem_printf("%s:%u", draft->file, line);
	config_draft_give(draft, part, index, mem_dup(value), where);
	free(where);
}
