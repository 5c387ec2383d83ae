#include "common/config/config_draft.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#define NAME_SHOWN 64 /* bytes of a wrong name that a complaint quotes */
#define SUFFIX "_FILE"
#define SECRET_MAX 16384 /* bytes of a file that a _FILE variable names */

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

/* The file has a secret: warns once if every user of this machine may read it. */
static void warn_readable(struct config_draft *draft)
{
	struct stat status;

	if (draft->warned || stat(draft->file, &status) != 0 || (status.st_mode & S_IROTH) == 0)
		return;
	draft->warned = true;
	log_warn("config-readable-by-all file=%s mode=%04o hint=\"it has secrets: chmod o-r\"",
	         draft->file, (unsigned)status.st_mode & 07777);
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
	if (keys[index].kind == CONFIG_SECRET && *value != '\0' &&
	    strcmp(value, CONFIG_PLACEHOLDER) != 0)
		warn_readable(draft);
}

/* ---- the environment ---- */

/* The variables that could be given: their names, and the part that each belongs to. */
struct names {
	struct arena memory;
	struct map parts;
};

static void add_word(struct buf *name, const char *word)
{
	for (; *word != '\0'; word++) {
		bool plain = isalnum((unsigned char)*word);
		char c = plain ? (char)toupper((unsigned char)*word) : '_';

		buf_append(name, &c, 1);
	}
}

static char *prefix_of(const struct config *config)
{
	struct buf name = { 0 };

	buf_text(&name, "OG_");
	add_word(&name, config->daemon);
	buf_text(&name, "_");
	return buf_take(&name);
}

/* OG_<DAEMON>_<KEY> in [daemon], else OG_<DAEMON>_<SECTION>_<ID>_<KEY>; heap. */
static char *name_of(const struct config *config, const struct config_part *part, size_t index)
{
	char *prefix = prefix_of(config);
	struct buf name = { 0 };

	buf_text(&name, prefix);
	free(prefix);
	if (strcmp(part->section->name, "daemon") != 0) {
		add_word(&name, part->section->name);
		buf_text(&name, "_");
	}
	if (part->id != NULL) {
		add_word(&name, part->id);
		buf_text(&name, "_");
	}
	add_word(&name, part->section->keys[index].name);
	return buf_take(&name);
}

static void complain_twins(struct config_draft *draft, const struct config_part *part,
                           const struct config_part *twin, const char *name)
{
	config_draft_complain_line(draft, part->line,
	                           "%s would mean a key of this section and of that of line %u: "
	                           "rename one",
	                           name, twin->line);
}

/* Collects the names of PART's variables; stops at the first that another part has, too. */
static void collect_part(struct config_draft *draft, struct config_part *part, struct names *names)
{
	for (size_t i = 0; part->section->keys[i].name != NULL; i++) {
		char *made = name_of(draft->config, part, i);
		char *name = arena_dup(&names->memory, made, strlen(made));
		struct config_part *twin = map_put(&names->parts, name, strlen(name), part);

		free(made);
		if (twin != NULL && twin != part) {
			complain_twins(draft, part, twin, name);
			return;
		}
	}
}

static bool known(const struct names *names, const char *name, size_t len)
{
	return map_get(&names->parts, name, len) != NULL;
}

/* TEXT (NULL: errno says why) of LEN bytes, without its last newline; NULL, or what is wrong. */
static const char *judge_secret(char *text, size_t len)
{
	if (text == NULL)
		return strerror(errno);
	if (strlen(text) != len)
		return "has a NUL byte";
	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len > 0 && text[len - 1] == '\r')
		text[--len] = '\0';
	return len == 0 ? "is empty" : NULL;
}

static void read_secret(struct config_draft *draft, struct config_part *part, size_t index,
                        const char *variable, const char *path)
{
	size_t len = 0;
	char *text = file_read(path, SECRET_MAX, &len);
	const char *why = judge_secret(text, len);

	if (why == NULL) {
		config_draft_give(draft, part, index, text, variable);
		return;
	}
	config_draft_complain(draft, variable,
	                      "%s: %s (deploy/make-secrets writes the compose stack's secrets)",
	                      path, why);
	if (text != NULL)
		mem_wipe(text, len);
	free(text);
}

static void override(struct config_draft *draft, struct config_part *part, size_t index,
                     const struct names *names)
{
	char *name = name_of(draft->config, part, index);
	char *name_file = mem_printf("%s" SUFFIX, name);
	const char *text = getenv(name), *path = getenv(name_file);

	if (text != NULL)
		config_draft_give(draft, part, index, mem_dup(text), name);
	else if (path != NULL && !known(names, name_file, strlen(name_file)))
		read_secret(draft, part, index, name_file, path);
	free(name_file);
	free(name);
}

/* Only a warning: orchestrators set variables of this form, too (OG_PUSHD_PORT=tcp://…). */
static void warn_unknown(const struct config *config, const struct names *names)
{
	char *prefix = prefix_of(config);

	for (char **entry = environ; *entry != NULL; entry++) {
		size_t len = strcspn(*entry, "=");
		size_t base = len - (sizeof(SUFFIX) - 1);

		if (strncmp(*entry, prefix, strlen(prefix)) != 0 || known(names, *entry, len))
			continue;
		if (len > sizeof(SUFFIX) &&
		    memcmp(*entry + base, SUFFIX, sizeof(SUFFIX) - 1) == 0 &&
		    known(names, *entry, base))
			continue;
		log_warn("environment-unknown name=%.*s", (int)len, *entry);
	}
	free(prefix);
}

void config_draft_environment(struct config_draft *draft)
{
	struct names names = { 0 };

	for (size_t i = 0; i < draft->count; i++)
		collect_part(draft, &draft->parts[i], &names);
	for (size_t i = 0; i < draft->count; i++)
		for (size_t k = 0; draft->parts[i].section->keys[k].name != NULL; k++)
			override(draft, &draft->parts[i], k, &names);
	warn_unknown(draft->config, &names);
	map_release(&names.parts);
	arena_release(&names.memory);
}
