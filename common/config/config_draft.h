/*
 * What a configuration file and the environment say, as text, before it becomes structs: one part
 * for each section, and each value with the place where it was given. Used by config.c alone.
 */
#ifndef OG_COMMON_CONFIG_CONFIG_DRAFT_H
#define OG_COMMON_CONFIG_CONFIG_DRAFT_H

#include "common/base/buf.h"
#include "common/config/config_table.h"

struct config_given {
	char *text;  /* heap; NULL: not given */
	char *where; /* heap: "file:12", or the environment's variable */
};

struct config_part {
	const struct config_section *section;
	char *id;                   /* heap; NULL for a section without ids */
	unsigned line;              /* of its header; 0: not in the file */
	struct config_given *given; /* one for each key of the section's table */
};

struct config_draft {
	const struct config *config;
	const char *file; /* borrowed; NULL: none is read */
	struct buf *complaints;
	bool bad;    /* there was a complaint */
	bool warned; /* that all may read the file, which has secrets */
	struct config_part *parts;
	size_t count;
};

/* Starts with an empty part for each section that has no ids. */
void config_draft_init(struct config_draft *draft, const struct config *config, const char *file,
                       struct buf *complaints);

/* Frees all and wipes the texts of secrets. */
void config_draft_release(struct config_draft *draft);

/* Adds the line "WHERE: message". */
void config_draft_complain(struct config_draft *draft, const char *where, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The same about line LINE of the file. */
void config_draft_complain_line(struct config_draft *draft, unsigned line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * The part that the header "[NAME]" or "[NAME ID]" begins (ID: NULL or ""), or NULL after a
 * complaint.
 */
struct config_part *config_draft_open(struct config_draft *draft, const char *name, const char *id,
                                      unsigned line);

/* Takes one "NAME = VALUE" of the file. */
void config_draft_take(struct config_draft *draft, struct config_part *part, const char *name,
                       const char *value, unsigned line);

/*
 * Sets the text of key INDEX of PART to TEXT (taken), which was given at WHERE (copied). The old
 * text is freed.
 */
void config_draft_give(struct config_draft *draft, struct config_part *part, size_t index,
                       char *text, const char *where);

/*
 * Lets the environment override the parts that exist: OG_<DAEMON>_<KEY> in [daemon], else
 * OG_<DAEMON>_<SECTION>_<ID>_<KEY>; with _FILE appended, the value is what that file contains.
 */
void config_draft_environment(struct config_draft *draft);

#endif
