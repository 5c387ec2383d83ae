#include "common/config/config.c"

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct top {
	int64_t wait_ms;
	char *name;
	char *token;
	char **listen;
	int level;
	int64_t most;
};

struct item {
	char *id;
	char *secret;
	char *topic;
	bool on;
};

struct root {
	struct top top;
	struct config_items items;
};

static const char *const levels[] = { "low", "high", NULL };

/* clang-format off */
static const struct config_key top_keys[] = {
	{ "wait", CONFIG_DURATION, offsetof(struct top, wait_ms), "10s", "How long.", 0, 600000, .live = true },
	{ "name", CONFIG_STRING, offsetof(struct top, name), NULL, "What it is called." },
	{ "api-token", CONFIG_SECRET, offsetof(struct top, token), NULL, "What callers show.", .needed = true },
	{ "listen", CONFIG_LIST, offsetof(struct top, listen), "[::]:1080", "Where." },
	{ "level", CONFIG_CHOICE, offsetof(struct top, level), "high", "Which.", .choices = levels, .live = true },
	{ "most", CONFIG_INTEGER, offsetof(struct top, most), "7", "How many.", 1, 9 },
	{ "gone", CONFIG_STRING, 0, NULL, NULL, .retired = "use name" },
	{ NULL },
};
static const struct config_key item_keys[] = {
	{ "secret", CONFIG_SECRET, offsetof(struct item, secret), NULL, "Of the item.", .needed = true, .live = true },
	{ "topic", CONFIG_STRING, offsetof(struct item, topic), NULL, "Of the item.", .live = true },
	{ "on", CONFIG_BOOLEAN, offsetof(struct item, on), "yes", "Whether." },
	{ NULL },
};
static const struct config_section sections[] = {
	{ "daemon", "The daemon itself.", top_keys, sizeof(struct top), offsetof(struct root, top), false },
	{ "item", "One item.", item_keys, sizeof(struct item), offsetof(struct root, items), true },
	{ NULL },
};
/* clang-format on */
static const struct config config = { "testd", sections, sizeof(struct root) };

static char folder[] = "/tmp/og-config-XXXXXX";
static char file[64];
static char *complaints;

static void enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/testd.conf", folder);
}

static void leave(void)
{
	unlink(file);
	rmdir(folder);
	free(complaints);
	complaints = NULL;
}

static void write_bytes(const char *path, const void *data, size_t len)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, len, out), len);
	fclose(out);
}

/*
 * Reads what is in the file; what was complained of, without the folder's name, goes to COMPLAINTS.
 */
static struct root *read_again(void)
{
	struct buf said = { 0 };
	struct root *root = config_read(&config, file, &said);
	char *text = buf_take(&said), *rest = text, *line;
	struct buf shorter = { 0 };

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		bool here = strncmp(line, folder, strlen(folder)) == 0;

		buf_printf(&shorter, "%s\n", here ? line + strlen(folder) + 1 : line);
	}
	free(text);
	free(complaints);
	complaints = buf_take(&shorter);
	return root;
}

static struct root *read_text(const char *text)
{
	write_bytes(file, text, strlen(text));
	return read_again();
}

static void refuse(const char *text, const char *expected)
{
	struct root *root = read_text(text);

	ck_assert_str_eq(complaints, expected);
	ck_assert_ptr_null(root);
}

#define TOKEN "[daemon]\napi-token = t\n"

START_TEST(values_of_the_file_and_defaults_fill_the_struct)
{
	struct root *root = read_text("# first\n; second\n\n"
	                              " [daemon] \r\n"
	                              "wait=2m\nname =  two words \t\n"
	                              "api-token: pass ; word # not a comment\n"
	                              "listen = 1.2.3.4:1 ,[::1]:2\n"
	                              "[item a.b]\nsecret = s\non = no\n[item z]\nsecret=2");
	struct item *first, *second;

	ck_assert_str_eq(complaints, "");
	ck_assert_ptr_nonnull(root);
	ck_assert_int_eq(root->top.wait_ms, 120000);
	ck_assert_str_eq(root->top.name, "two words");
	ck_assert_str_eq(root->top.token, "pass ; word # not a comment");
	ck_assert_str_eq(root->top.listen[0], "1.2.3.4:1");
	ck_assert_str_eq(root->top.listen[1], "[::1]:2");
	ck_assert_ptr_null(root->top.listen[2]);
	ck_assert_int_eq(root->top.level, 1);
	ck_assert_int_eq(root->top.most, 7);
	ck_assert_uint_eq(root->items.count, 2);
	first = config_item(&root->items, sizeof(*first), 0);
	second = config_item(&root->items, sizeof(*second), 1);
	ck_assert_str_eq(first->id, "a.b");
	ck_assert_str_eq(first->secret, "s");
	ck_assert_ptr_null(first->topic);
	ck_assert(!first->on);
	ck_assert_str_eq(second->id, "z");
	ck_assert_str_eq(second->secret, "2");
	ck_assert(second->on);
	config_free(&config, root);
}
END_TEST

START_TEST(several_mistakes_are_told_in_one_go_with_their_lines)
{
	refuse("early = 1\n"
	       "[daemon]\n"
	       "unknown = 1\n"
	       "wait = 5 parsecs\n"
	       "just words\n"
	       "= nothing\n"
	       "most = 10\n"
	       "gone = x\n"
	       "level = odd\n"
	       "[item one]\n",
	       "testd.conf:1: key before the first section\n"
	       "testd.conf:3: unknown key \"unknown\" in [daemon]\n"
	       "testd.conf:5: neither [section] nor key = value\n"
	       "testd.conf:6: neither [section] nor key = value\n"
	       "testd.conf:8: gone is retired: use name\n"
	       "testd.conf:4: wait: \"5 parsecs\" is not a duration (a number with ms, s, m, h or "
	       "d)\n"
	       "testd.conf:2: this section needs the key api-token\n"
	       "testd.conf:9: level: \"odd\" is none of low, high\n"
	       "testd.conf:7: most: must be from 1 to 9\n"
	       "testd.conf:10: this section needs the key secret\n");
}
END_TEST

START_TEST(a_missing_key_of_an_absent_section_names_the_file)
{
	refuse("", "testd.conf: section [daemon] needs the key api-token\n");
}
END_TEST

/* The text of a complaint about a repeated key has the file's whole name in the middle. */
START_TEST(a_repeated_key_is_refused)
{
	char expected[200];

	snprintf(expected, sizeof(expected), "testd.conf:4: name repeats %s:3\n", file);
	refuse(TOKEN "name = a\nname = a\n", expected);
}
END_TEST

START_TEST(a_repeated_section_is_refused_once_and_its_keys_are_not_read)
{
	refuse(TOKEN "[item a]\nsecret=x\n[item a]\nsecret=y\njunk=1\n[daemon]\nwait=1s\n",
	       "testd.conf:5: this section repeats that of line 3\n"
	       "testd.conf:8: this section repeats that of line 1\n");
}
END_TEST

START_TEST(an_empty_section_that_repeats_is_seen_too)
{
	refuse("[daemon]\n" TOKEN, "testd.conf:2: this section repeats that of line 1\n"
	                           "testd.conf:1: this section needs the key api-token\n");
}
END_TEST

START_TEST(unknown_sections_are_refused_once)
{
	refuse(TOKEN "[deamon]\na = 1\nb = 2\n[]\n[daemon x]\n[item]\n[ item ]\n",
	       "testd.conf:3: unknown section [deamon]\n"
	       "testd.conf:6: unknown section []\n"
	       "testd.conf:7: section [daemon] takes no id\n"
	       "testd.conf:8: section [item] needs an id: [item ID]\n"
	       "testd.conf:9: section [item] needs an id: [item ID]\n");
}
END_TEST

START_TEST(what_stands_behind_a_header_is_refused)
{
	refuse(TOKEN "[item a] # why\nsecret=x\n[item b\n[item c d]\n[item \xff]\n",
	       "testd.conf:3: stray text after ]\n"
	       "testd.conf:5: section header without ]\n"
	       "testd.conf:6: blank in the id of a section\n"
	       "testd.conf:7: the id of a section is not UTF-8\n");
}
END_TEST

START_TEST(an_id_may_be_as_long_as_a_domain_but_no_longer)
{
	char text[800], id[257];
	struct root *root;

	memset(id, 'x', 256);
	id[256] = '\0';
	snprintf(text, sizeof(text), TOKEN "[item %s]\nsecret=s\n", id + 1);
	root = read_text(text);
	ck_assert_ptr_nonnull(root);
	ck_assert_str_eq(*(char **)root->items.items, id + 1);
	config_free(&config, root);
	snprintf(text, sizeof(text), TOKEN "[item %s]\nsecret=s\n", id);
	refuse(text, "testd.conf:3: section header too long\n");
}
END_TEST

START_TEST(the_longest_line_is_read_whole_and_one_byte_more_is_refused)
{
	static char text[6000], value[LINE_BYTES_MAX + 1];
	const size_t most = LINE_BYTES_MAX - strlen("name=");
	struct root *root;

	memset(value, 'v', sizeof(value) - 1);
	snprintf(text, sizeof(text), TOKEN "name=%.*s\nmost=3", (int)most, value);
	root = read_text(text);
	ck_assert_str_eq(complaints, "");
	ck_assert_uint_eq(strlen(root->top.name), most);
	ck_assert_int_eq(root->top.most, 3);
	config_free(&config, root);
	snprintf(text, sizeof(text), TOKEN "name=%.*s\nmost=x", (int)most + 1, value);
	refuse(text, "testd.conf:3: line longer than 4093 bytes\n"
	             "testd.conf:4: most: \"x\" is not a whole number\n");
}
END_TEST

START_TEST(control_characters_are_refused)
{
	static const char text[] = TOKEN "name = a\0b\nwait = \x1b[2J\n";

	write_bytes(file, text, sizeof(text) - 1);
	ck_assert_ptr_null(read_again());
	ck_assert_str_eq(complaints, "testd.conf:3: control character\n"
	                             "testd.conf:4: control character\n");
}
END_TEST

START_TEST(a_byte_order_mark_and_a_continuation_do_not_confuse)
{
	struct root *root = read_text("\xef\xbb\xbf" TOKEN "name = a\n  most = 2\n");

	ck_assert_str_eq(complaints, "");
	ck_assert_str_eq(root->top.name, "a");
	ck_assert_int_eq(root->top.most, 2);
	config_free(&config, root);
}
END_TEST

START_TEST(files_that_cannot_be_read_say_why)
{
	struct buf said = { 0 };
	char *text;

	ck_assert_ptr_null(config_read(&config, "/nowhere/x.conf", &said));
	ck_assert_ptr_null(config_read(&config, "/", &said));
	ck_assert_ptr_null(config_read(&config, "/dev/zero", &said));
	text = buf_take(&said);
	ck_assert_ptr_nonnull(strstr(text, "/nowhere/x.conf: No such file or directory\n"));
	ck_assert_ptr_nonnull(strstr(text, "/: Is a directory\n"));
	ck_assert_ptr_nonnull(strstr(text, "/dev/zero: File too large\n"));
	free(text);
}
END_TEST

START_TEST(a_dump_reads_back_as_the_same_configuration)
{
	struct root *root = read_text(TOKEN "wait = 90s\nname = n\nlisten =\n"
	                                    "[item a]\nsecret = s\ntopic = t\n");
	struct buf first = { 0 }, second = { 0 };
	char *dump, *again;

	config_dump(&config, root, &first);
	config_free(&config, root);
	dump = buf_take(&first);
	ck_assert_ptr_nonnull(
	        strstr(dump, "# How long. SIGHUP changes it. Default: 10s\nwait = 90s\n"));
	ck_assert_ptr_nonnull(strstr(dump, "\n# Which. One of: low, high. SIGHUP changes it. "
	                                   "Default: high\nlevel = high\n"));
	ck_assert_ptr_nonnull(strstr(dump, "\n[item a]\n"));
	ck_assert_ptr_null(strstr(dump, "gone"));
	root = read_text(dump);
	ck_assert_ptr_nonnull(root);
	config_dump(&config, root, &second);
	again = buf_take(&second);
	ck_assert_str_eq(again, dump);
	config_free(&config, root);
	free(dump);
	free(again);
}
END_TEST

START_TEST(a_dump_hides_secrets_and_shows_the_form_of_absent_sections)
{
	struct root *root = read_text("[daemon]\napi-token = opensesame\n");
	struct buf out = { 0 };
	char *dump;

	config_dump(&config, root, &out);
	dump = buf_take(&out);
	ck_assert_ptr_null(strstr(dump, "opensesame"));
	ck_assert_ptr_nonnull(
	        strstr(dump, "\n# What callers show. Needed.\napi-token = (hidden)\n"));
	ck_assert_ptr_nonnull(strstr(dump, "\n# One item.\n#[item ID]\n"));
	ck_assert_ptr_nonnull(strstr(dump, "\n#on = yes\n"));
	ck_assert_ptr_nonnull(strstr(dump, "\n#name =\n"));
	free(dump);
	config_free(&config, root);
}
END_TEST

START_TEST(a_complaint_never_quotes_a_secret)
{
	setenv("OG_TESTD_API_TOKEN", "open\nsesame", 1);
	refuse("[daemon]\nopensesame\n[item a]\nsecret = \x01sesame\n",
	       "testd.conf:2: neither [section] nor key = value\n"
	       "testd.conf:4: control character\n"
	       "OG_TESTD_API_TOKEN: api-token: has a control character\n"
	       "testd.conf:3: this section needs the key secret\n");
}
END_TEST

START_TEST(live_keys_are_taken_over_and_the_others_stay)
{
	struct root *root = read_text(TOKEN "wait=1s\nname=old\n[item a]\nsecret=old\n"
	                                    "[item b]\nsecret=b\ntopic=t\n");
	struct root *fresh = read_text(TOKEN "wait=2s\nname=new\nlevel=low\n[item b]\nsecret=b\n"
	                                     "[item a]\nsecret=new\n[item c]\nsecret=c\n");
	struct item *a = config_item(&root->items, sizeof(*a), 0);
	struct item *b = config_item(&root->items, sizeof(*b), 1);

	ck_assert_uint_eq(config_take_live(&config, root, fresh), 4);
	ck_assert_int_eq(root->top.wait_ms, 2000);
	ck_assert_int_eq(root->top.level, 0);
	ck_assert_str_eq(root->top.name, "old");
	ck_assert_uint_eq(root->items.count, 2);
	ck_assert_str_eq(a->secret, "new");
	ck_assert_ptr_null(b->topic);
	ck_assert_int_eq(fresh->top.wait_ms, 1000);
	ck_assert_uint_eq(config_take_live(&config, root, root), 0);
	config_free(&config, root);
	config_free(&config, fresh);
}
END_TEST

START_TEST(items_of_a_live_section_are_exchanged_whole)
{
	struct config_section live_sections[] = { sections[0], sections[1], { NULL } };
	struct config live = { "testd", live_sections, sizeof(struct root) };
	struct root *root = read_text(TOKEN "[item a]\nsecret=a\n[item b]\nsecret=b\non=yes\n");
	struct root *fresh = read_text(TOKEN "[item c]\nsecret=c\n[item a]\nsecret=new\non=no\n");
	struct item *old = root->items.items, *new = fresh->items.items;

	live_sections[1].live = true;
	ck_assert(!config_differs(&live, root, fresh));
	ck_assert(config_keys_differ(item_keys, &old[0], &new[1]));
	ck_assert(!config_keys_differ(item_keys, &old[0], &old[1]));
	ck_assert_uint_eq(config_take_live(&live, root, fresh), 4); /* secret, on, b and c */
	ck_assert_ptr_eq(root->items.items, new);
	ck_assert_ptr_eq(fresh->items.items, old);
	config_free(&config, root);
	config_free(&config, fresh);
}
END_TEST

static bool differ(const char *one, const char *other)
{
	struct root *root = read_text(one), *fresh = read_text(other);
	bool result = config_differs(&config, root, fresh);

	config_free(&config, root);
	config_free(&config, fresh);
	return result;
}

START_TEST(sections_and_keys_that_are_not_live_make_a_difference)
{
	ck_assert(!differ(TOKEN "wait=1s\n[item a]\nsecret=x\n[item b]\nsecret=y\n",
	                  TOKEN "wait=2s\n[item b]\nsecret=z\n[item a]\nsecret=x\n"));
	ck_assert(differ(TOKEN "name=a\n", TOKEN "name=b\n"));
	ck_assert(differ(TOKEN, "[daemon]\napi-token = another\n"));
	ck_assert(differ(TOKEN "[item a]\nsecret=x\n", TOKEN));
	ck_assert(differ(TOKEN "[item a]\nsecret=x\n", TOKEN "[item b]\nsecret=x\n"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		values_of_the_file_and_defaults_fill_the_struct,
		several_mistakes_are_told_in_one_go_with_their_lines,
		a_missing_key_of_an_absent_section_names_the_file,
		a_repeated_key_is_refused,
		a_repeated_section_is_refused_once_and_its_keys_are_not_read,
		an_empty_section_that_repeats_is_seen_too,
		unknown_sections_are_refused_once,
		what_stands_behind_a_header_is_refused,
		an_id_may_be_as_long_as_a_domain_but_no_longer,
		the_longest_line_is_read_whole_and_one_byte_more_is_refused,
		control_characters_are_refused,
		a_byte_order_mark_and_a_continuation_do_not_confuse,
		files_that_cannot_be_read_say_why,
		a_dump_reads_back_as_the_same_configuration,
		a_dump_hides_secrets_and_shows_the_form_of_absent_sections,
		a_complaint_never_quotes_a_secret,
		live_keys_are_taken_over_and_the_others_stay,
		items_of_a_live_section_are_exchanged_whole,
		sections_and_keys_that_are_not_live_make_a_difference,
	};

	return unit_run("config", tests, ARRAY_LEN(tests), enter, leave);
}
