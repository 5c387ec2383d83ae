#include "pushd/conf.c"

#include <unistd.h>

#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"
#include "pushd/provider/kinds.h"
#include "tests/unit/unit.h"

static struct conf *conf;

static void setup(void)
{
	for (size_t i = 0; provider_kinds[i] != NULL; i++)
		conf_add_kind(&provider_kinds[i]->conf);
}

static void teardown(void)
{
	config_free(&conf_table, conf);
}

static void read_sections(const char *text_of_sections)
{
	char path[] = "/tmp/og-unit-XXXXXX";
	char *text = mem_printf("[daemon]\napi-token = token-of-the-tests\n%s", text_of_sections);
	struct buf complaints = { 0 };
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	conf = config_read(&conf_table, path, &complaints);
	unlink(path);
	free(text);
	ck_assert_msg(conf != NULL, "%s", buf_data(&complaints));
}

START_TEST(each_kind_finds_its_own_keys_beside_those_of_all)
{
	const struct apns_conf *apns;
	const struct fcm_conf *fcm;

	read_sections("[provider a]\nkind = apns\ntopic = org.example.chat\npool-size = 2\n"
	              "[provider f]\nkind = fcm\nproject-id = proj-1\naddress = fid\n"
	              "[provider b]\nkind = apns\ntry-other-environment = yes\n");
	ck_assert_uint_eq(conf->providers.count, 3);
	apns = conf_own(conf_provider(conf, 0));
	fcm = conf_own(conf_provider(conf, 1));
	ck_assert_str_eq(apns->topic, "org.example.chat");
	ck_assert_int_eq(conf_provider(conf, 0)->pool_size, 2);
	ck_assert_str_eq(fcm->project_id, "proj-1");
	ck_assert_int_eq(fcm->address, 1);
	apns = conf_own(conf_provider(conf, 2));
	ck_assert(apns->try_other_environment && apns->topic == NULL);
	ck_assert_str_eq(conf_provider(conf, 2)->id, "b");
}
END_TEST

START_TEST(a_provider_knows_its_place_and_a_stranger_has_none)
{
	struct conf_provider stranger = { 0 };

	read_sections("[provider a]\nkind = apns\n[provider f]\nkind = fcm\n");
	ck_assert_uint_eq(conf_provider_index(conf, conf_provider(conf, 0)), 0);
	ck_assert_uint_eq(conf_provider_index(conf, conf_provider(conf, 1)), 1);
	ck_assert_uint_eq(conf_provider_index(conf, &stranger), 2);
}
END_TEST

static void check_foreign(size_t index, const char *expected)
{
	char *found = conf_foreign_key(conf_provider(conf, index));

	ck_assert_pstr_eq(found, expected);
	free(found);
}

START_TEST(a_key_of_another_kind_is_named_unless_it_is_what_it_is_by_default)
{
	read_sections("[provider a]\nkind = apns\ntopic = t\naddress = fid\n"
	              "[provider b]\nkind = apns\naddress = token\n"
	              "[provider f]\nkind = fcm\nenvironment = sandbox\n"
	              "[provider g]\nkind = fcm\nenvironment = production\n"
	              "[provider h]\nkind = fcm\ncert-password = p\n");
	check_foreign(0, "address is for kind fcm");
	check_foreign(1, NULL);
	check_foreign(2, "environment is for kind apns");
	check_foreign(3, NULL);
	check_foreign(4, "cert-password is for kind apns");
}
END_TEST

static void check_command(size_t index, const char *command, const char *complaint)
{
	const struct conf_provider *provider = conf_provider(conf, index);
	char *found = conf_check_commands(conf, provider);

	ck_assert_pstr_eq(found, complaint);
	ck_assert_pstr_eq(complaint == NULL ? conf_command(conf, provider) : NULL, command);
	free(found);
}

START_TEST(the_only_provider_of_its_kind_serves_its_command)
{
	read_sections("[provider a]\nkind = apns\n[provider f]\nkind = fcm\n");
	check_command(0, "register-push-apns", NULL);
	check_command(1, "register-push-fcm", NULL);
}
END_TEST

START_TEST(of_two_of_a_kind_one_must_name_the_command_or_none)
{
	read_sections("[provider a]\nkind = apns\n[provider b]\nkind = apns\n"
	              "[provider f]\nkind = fcm\n[provider g]\nkind = fcm\n"
	              "commands = register-push-fcm\n[provider h]\nkind = fcm\n");
	check_command(0, "register-push-apns", NULL);
	check_command(1, NULL,
	              "commands: this one or [provider a] must name register-push-apns, "
	              "since both are of kind apns (none: it serves no command)");
	check_command(2, NULL, NULL);
	check_command(3, "register-push-fcm", NULL);
	check_command(4, NULL, NULL);
}
END_TEST

START_TEST(none_is_no_command_and_leaves_it_to_the_other)
{
	read_sections("[provider a]\nkind = apns\ncommands = none\n[provider b]\nkind = apns\n"
	              "[provider f]\nkind = fcm\ncommands = none\n");
	check_command(0, NULL, NULL);
	check_command(1, "register-push-apns", NULL);
	check_command(2, NULL, NULL);
}
END_TEST

START_TEST(a_command_is_named_once_and_by_its_own_kind)
{
	read_sections("[provider a]\nkind = apns\ncommands = register-push-fcm\n"
	              "[provider f]\nkind = fcm\ncommands = register-push-fcm\n"
	              "[provider g]\nkind = fcm\ncommands = none, register-push-fcm\n"
	              "[provider h]\nkind = fcm\ncommands = register-device\n");
	check_command(0, NULL,
	              "commands: apns has none but register-push-apns, not "
	              "register-push-fcm");
	check_command(1, "register-push-fcm", NULL);
	check_command(2, NULL, "commands: register-push-fcm is served by [provider f]");
	check_command(3, NULL, "commands: fcm has none but register-push-fcm, not register-device");
}
END_TEST

START_TEST(an_endpoint_is_an_origin_with_https_and_a_name_is_plain)
{
	static const char *const bad[] = { "",           "http://h",    "https://",   "https://h/",
		                           "https://h?", "https://u@h", "https://h ", NULL };
	char longest[400] = "https://";

	ck_assert(conf_valid_endpoint(NULL) && conf_valid_endpoint("https://h:8443"));
	for (size_t i = 0; bad[i] != NULL; i++)
		ck_assert_msg(!conf_valid_endpoint(bad[i]), "%s", bad[i]);
	memset(longest + 8, 'h', ENDPOINT_MAX - 8);
	ck_assert(conf_valid_endpoint(longest));
	longest[ENDPOINT_MAX] = 'h';
	ck_assert(!conf_valid_endpoint(longest));
	ck_assert(conf_plain_name(NULL) && conf_plain_name("a-B_0.9:z"));
	ck_assert(!conf_plain_name("") && !conf_plain_name("a b") && !conf_plain_name("a/b"));
}
END_TEST

START_TEST(what_tigase_calls_otherwise_is_refused_with_our_name_for_it)
{
	static const struct {
		const char *line, *hint;
	} cases[] = {
		{ "apns-topic = a.b", "apns-topic is retired: use topic\n" },
		{ "pushkit-cert-file = x.p12",
		  "pushkit-cert-file is retired: use voip-cert-file, unless" },
		{ "pushkit-cert-password = x", "use voip-cert-password\n" },
		{ "fallbackToSandbox = true", "is retired: use try-other-environment\n" },
		{ "server-key = x", "use service-account-file\n" },
		{ "sender-id = 1", "use service-account-file and project-id\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[] = "/tmp/og-unit-XXXXXX";
		char *text = mem_printf(
		        "[daemon]\napi-token = token-of-the-tests\n[provider a]\nkind = apns\n%s\n",
		        cases[i].line);
		struct buf complaints = { 0 };
		int fd = mkstemp(path);

		ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
		close(fd);
		ck_assert_ptr_null(config_read(&conf_table, path, &complaints));
		ck_assert_msg(strstr(buf_data(&complaints), cases[i].hint) != NULL, "%s",
		              buf_data(&complaints));
		unlink(path);
		free(text);
		buf_release(&complaints);
	}
	conf = NULL;
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_kind_finds_its_own_keys_beside_those_of_all,
		a_provider_knows_its_place_and_a_stranger_has_none,
		a_key_of_another_kind_is_named_unless_it_is_what_it_is_by_default,
		the_only_provider_of_its_kind_serves_its_command,
		of_two_of_a_kind_one_must_name_the_command_or_none,
		none_is_no_command_and_leaves_it_to_the_other,
		a_command_is_named_once_and_by_its_own_kind,
		an_endpoint_is_an_origin_with_https_and_a_name_is_plain,
		what_tigase_calls_otherwise_is_refused_with_our_name_for_it,
	};

	return unit_run("conf", tests, ARRAY_LEN(tests), setup, teardown);
}
