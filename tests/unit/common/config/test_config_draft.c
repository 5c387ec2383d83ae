#include "common/config/config_draft.c"

#include <fcntl.h>
#include <stdio.h>

#include "common/config/config.h"
#include "tests/unit/unit.h"

struct top {
	char *redis;
	char *token;
	char *cert, *cert_file;
};

struct item {
	char *id;
	char *secret;
	char *key;
	char *id_of_key;
};

struct root {
	struct top top;
	struct top other;
	struct config_items items;
};

/* clang-format off */
static const struct config_key top_keys[] = {
	{ "redis", CONFIG_STRING, offsetof(struct top, redis), "none", "" },
	{ "api-token", CONFIG_SECRET, offsetof(struct top, token), NULL, "" },
	{ "cert", CONFIG_STRING, offsetof(struct top, cert), NULL, "" },
	{ "cert-file", CONFIG_STRING, offsetof(struct top, cert_file), NULL, "" },
	{ NULL },
};
static const struct config_key item_keys[] = {
	{ "secret", CONFIG_SECRET, offsetof(struct item, secret), NULL, "" },
	{ "key", CONFIG_STRING, offsetof(struct item, key), NULL, "" },
	{ "id-key", CONFIG_STRING, offsetof(struct item, id_of_key), NULL, "" },
	{ "server-key", CONFIG_STRING, 0, NULL, NULL, .retired = "use service-account-file" },
	{ NULL },
};
static const struct config_section sections[] = {
	{ "daemon", "", top_keys, sizeof(struct top), offsetof(struct root, top), false },
	{ "other", "", top_keys, sizeof(struct top), offsetof(struct root, other), false },
	{ "item", "", item_keys, sizeof(struct item), offsetof(struct root, items), true },
	{ NULL },
};
/* clang-format on */
static const struct config config = { "testd", sections, sizeof(struct root) };

#define HINT "(deploy/make-secrets writes the compose stack's secrets)"

static char folder[] = "/tmp/og-environment-XXXXXX";
static char file[64], secret[64];
static char *complaints;
static struct root *root;

static void enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/testd.conf", folder);
	snprintf(secret, sizeof(secret), "%s/secret", folder);
}

static void leave(void)
{
	config_free(&config, root);
	free(complaints);
	unlink(file);
	unlink(secret);
	rmdir(folder);
}

static void write_file(const char *path, const char *data, size_t len)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, len, out), len);
	fclose(out);
}

/* Reads the configuration TEXT (NULL: none); the complaints come without the folder's name. */
static void read_text(const char *text)
{
	struct buf said = { 0 };
	char *all, *here;

	if (text != NULL)
		write_file(file, text, strlen(text));
	root = config_read(&config, text == NULL ? NULL : file, &said);
	all = buf_take(&said);
	here = strstr(all, folder);
	if (here == NULL)
		complaints = mem_dup(all);
	else
		complaints =
		        mem_printf("%.*s%s", (int)(here - all), all, here + strlen(folder) + 1);
	free(all);
}

static const struct item *item(size_t index)
{
	return config_item(&root->items, sizeof(struct item), index);
}

START_TEST(variables_override_keys_of_the_daemon_of_sections_and_of_ids)
{
	setenv("OG_TESTD_REDIS", "redis://a", 1);
	setenv("OG_TESTD_OTHER_REDIS", "redis://b", 1);
	setenv("OG_TESTD_ITEM_PUSH_EXAMPLE_ORG_SECRET", "s3", 1);
	read_text("[daemon]\nredis = x\n[item push.example.org]\nsecret = wrong\n[item "
	          "b]\nsecret=b\n");
	ck_assert_str_eq(complaints, "");
	ck_assert_str_eq(root->top.redis, "redis://a");
	ck_assert_str_eq(root->other.redis, "redis://b");
	ck_assert_str_eq(item(0)->secret, "s3");
	ck_assert_str_eq(item(1)->secret, "b");
}
END_TEST

START_TEST(the_environment_alone_is_enough)
{
	setenv("OG_TESTD_API_TOKEN", "t", 1);
	read_text(NULL);
	ck_assert_str_eq(complaints, "");
	ck_assert_str_eq(root->top.token, "t");
	ck_assert_str_eq(root->top.redis, "none");
}
END_TEST

START_TEST(an_empty_variable_takes_a_value_away)
{
	setenv("OG_TESTD_API_TOKEN", "", 1);
	read_text("[daemon]\napi-token = t\n");
	ck_assert_ptr_null(root->top.token);
}
END_TEST

START_TEST(a_file_gives_the_value_without_its_last_newline)
{
	static const struct {
		const char *content, *value;
	} cases[] = {
		{ "pass word\n", "pass word" },
		{ "pass word", "pass word" },
		{ "pass word\r\n", "pass word" },
		{ " a;b#c ", " a;b#c " },
	};

	setenv("OG_TESTD_API_TOKEN_FILE", secret, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_file(secret, cases[i].content, strlen(cases[i].content));
		read_text("[daemon]\napi-token = t\n");
		ck_assert_str_eq(complaints, "");
		ck_assert_str_eq(root->top.token, cases[i].value);
		config_free(&config, root);
		free(complaints);
	}
	root = NULL;
	complaints = NULL;
}
END_TEST

START_TEST(an_exact_key_wins_over_the_suffix)
{
	setenv("OG_TESTD_CERT_FILE", "/etc/cert.pem", 1);
	setenv("OG_TESTD_API_TOKEN", "direct", 1);
	setenv("OG_TESTD_API_TOKEN_FILE", "/nowhere", 1);
	read_text(NULL);
	ck_assert_str_eq(complaints, "");
	ck_assert_str_eq(root->top.cert_file, "/etc/cert.pem");
	ck_assert_ptr_null(root->top.cert);
	ck_assert_str_eq(root->top.token, "direct");
}
END_TEST

START_TEST(a_secret_file_that_is_absent_is_told_by_the_variable)
{
	setenv("OG_TESTD_API_TOKEN_FILE", "/nowhere/token", 1);
	read_text(NULL);
	ck_assert_str_eq(complaints, "OG_TESTD_API_TOKEN_FILE: /nowhere/token: "
	                             "No such file or directory " HINT "\n");
	ck_assert_ptr_null(root);
}
END_TEST

START_TEST(a_secret_file_without_a_secret_is_told_by_the_variable)
{
	static const char *const contents[] = { "", "\n", "\r\n" };

	setenv("OG_TESTD_API_TOKEN_FILE", secret, 1);
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		write_file(secret, contents[i], strlen(contents[i]));
		read_text(NULL);
		ck_assert_str_eq(complaints,
		                 "OG_TESTD_API_TOKEN_FILE: secret: is empty " HINT "\n");
		free(complaints);
	}
	complaints = NULL;
	setenv("OG_TESTD_API_TOKEN_FILE", "/", 1); /* what docker makes of an absent file */
	read_text(NULL);
	ck_assert_str_eq(complaints, "OG_TESTD_API_TOKEN_FILE: /: Is a directory " HINT "\n");
}
END_TEST

START_TEST(a_secret_file_is_capped)
{
	char large[SECRET_MAX + 1];

	memset(large, 'x', sizeof(large));
	write_file(secret, large, sizeof(large));
	setenv("OG_TESTD_API_TOKEN_FILE", secret, 1);
	read_text(NULL);
	ck_assert_str_eq(complaints, "OG_TESTD_API_TOKEN_FILE: secret: File too large " HINT "\n");
	free(complaints);
	write_file(secret, large, sizeof(large) - 1);
	read_text(NULL);
	ck_assert_str_eq(complaints, "");
	ck_assert_uint_eq(strlen(root->top.token), SECRET_MAX);
}
END_TEST

START_TEST(a_secret_file_with_lines_or_a_zero_byte_is_refused_without_being_quoted)
{
	setenv("OG_TESTD_API_TOKEN_FILE", secret, 1);
	write_file(secret, "open\nsesame\n", 12);
	read_text(NULL);
	ck_assert_str_eq(complaints,
	                 "OG_TESTD_API_TOKEN_FILE: api-token: has a control character\n");
	free(complaints);
	write_file(secret, "open\0sesame", 11);
	read_text(NULL);
	ck_assert_str_eq(complaints, "OG_TESTD_API_TOKEN_FILE: secret: has a NUL byte " HINT "\n");
}
END_TEST

START_TEST(sections_with_the_same_variables_are_refused)
{
	read_text("[item a-b]\nkey = 1\n[item a.b]\nkey = 2\n");
	ck_assert_str_eq(complaints, "testd.conf:3: OG_TESTD_ITEM_A_B_SECRET would mean a key of "
	                             "this section and of that of line 1: rename one\n");
	ck_assert_ptr_null(root);
}
END_TEST

START_TEST(sections_where_one_key_has_the_same_variable_are_refused)
{
	read_text("[item a]\nkey = 1\n[item a-id]\nkey = 2\n");
	ck_assert_str_eq(complaints, "testd.conf:3: OG_TESTD_ITEM_A_ID_KEY would mean a key of "
	                             "this section and of that of line 1: rename one\n");
}
END_TEST

START_TEST(a_retired_key_answers_in_the_environment_too)
{
	setenv("OG_TESTD_ITEM_A_SERVER_KEY", "AAAA", 1);
	read_text("[item a]\n");
	ck_assert_str_eq(complaints, "OG_TESTD_ITEM_A_SERVER_KEY: server-key is retired: use "
	                             "service-account-file\n");
}
END_TEST

/* What reading without a file writes to standard error. */
static char *read_warnings(void)
{
	int saved = dup(STDERR_FILENO), fd = open(secret, O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t len;

	dup2(fd, STDERR_FILENO);
	close(fd);
	read_text(NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	return file_read(secret, 65536, &len);
}

START_TEST(unknown_variables_of_this_daemon_only_warn)
{
	char *warnings;

	setenv("OG_TESTD_REDSI", "opensesame", 1);
	setenv("OG_TESTD_ITEM_NONE_SECRET_FILE", "/x", 1);
	setenv("OG_TESTD_REDIS", "none", 1);
	setenv("OG_OTHERD_X", "1", 1);
	warnings = read_warnings();
	ck_assert_str_eq(complaints, "");
	ck_assert_ptr_nonnull(root);
	ck_assert_ptr_nonnull(strstr(warnings, "environment-unknown name=OG_TESTD_REDSI\n"));
	ck_assert_ptr_nonnull(
	        strstr(warnings, "environment-unknown name=OG_TESTD_ITEM_NONE_SECRET_FILE\n"));
	ck_assert_ptr_null(strstr(warnings, "name=OG_TESTD_REDIS\n"));
	ck_assert_ptr_null(strstr(warnings, "OTHERD"));
	ck_assert_ptr_null(strstr(warnings, "opensesame"));
	free(warnings);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		variables_override_keys_of_the_daemon_of_sections_and_of_ids,
		the_environment_alone_is_enough,
		an_empty_variable_takes_a_value_away,
		a_file_gives_the_value_without_its_last_newline,
		an_exact_key_wins_over_the_suffix,
		a_secret_file_that_is_absent_is_told_by_the_variable,
		a_secret_file_without_a_secret_is_told_by_the_variable,
		a_secret_file_is_capped,
		a_secret_file_with_lines_or_a_zero_byte_is_refused_without_being_quoted,
		sections_with_the_same_variables_are_refused,
		sections_where_one_key_has_the_same_variable_are_refused,
		a_retired_key_answers_in_the_environment_too,
		unknown_variables_of_this_daemon_only_warn,
	};

	return unit_run("config_draft", tests, ARRAY_LEN(tests), enter, leave);
}
