#include "pushd/device/recipient.c"

#include "tests/unit/device_fixture.h"

/* The module under test keeps its devices where the test looks. */
struct redis *db_redis(void)
{
	return redis;
}

static char ios[] = "monalProdiOS", fallback[] = "default";
static char *modules[] = { ios, fallback, NULL };
static char org[] = "example.org", net[] = "example.net", id[] = "apns";
static char *registrants[] = { org, net, NULL };
static struct conf_provider provider;
static struct conf settings;

static void start_addressee(void)
{
	open_storage();
	provider = (struct conf_provider){ .id = id, .push_modules = modules };
	settings.providers = (struct config_items){ .items = &provider, .count = 1 };
	settings.daemon.devices_per_token_max = 16;
	settings.daemon.device_ttl_ms = 90000;
	settings.daemon.devices_max = settings.daemon.devices_per_domain_max = 100;
	settings.daemon.registrants = registrants;
	recipient_module.start(&settings);
}

static void stop_addressee(void)
{
	recipient_module.stop();
	close_storage();
}

static enum device_result find(const char *node, const char *module, const char *domain)
{
	struct device_query query = { .done = on_query };
	struct notification notification = {
		.component = "Push.example.org", .node = node, .module = module, .domain = domain
	};

	answers = 0;
	recipient_find(&query, &notification);
	WAIT_UNTIL(answers > 0);
	return last;
}

#define HEX_32 "0123456789abcdef0123456789abcdef"
#define HEX_64 HEX_32 HEX_32

START_TEST(a_node_of_ours_is_found_whatever_module_is_named)
{
	struct device_registration registration = enrol(&phone);

	ck_assert_int_eq(find(registration.node, NULL, "example.org"), DEVICE_DONE);
	ck_assert_int_eq(find(registration.node, "monalProdiOS", "example.org"), DEVICE_DONE);
	ck_assert_str_eq(found[0].owner, phone.owner);
	ck_assert_int_eq(keys(), 4);
}
END_TEST

START_TEST(a_token_of_a_known_module_is_pinned_to_the_publishers_domain)
{
	char node[DEVICE_HEX];

	ck_assert_int_eq(find(HEX_64, "monalProdiOS", "Example.org"), DEVICE_DONE);
	ck_assert_str_eq(found[0].owner, "example.org");
	ck_assert_str_eq(found[0].token, HEX_64);
	ck_assert_str_ne(found[0].node, HEX_32);
	snprintf(node, sizeof(node), "%s", found[0].node);
	ck_assert_int_eq(find("0123456789ABCDEF" HEX_32 "0123456789abcdef", NULL, "example.org"),
	                 DEVICE_DONE);
	ck_assert_str_eq(found[0].node, node);
	ck_assert_int_eq(keys(), 5);
	ck_assert_int_eq(find(HEX_64, "monalProdiOS", "example.net"), DEVICE_DONE);
	ck_assert_str_ne(found[0].node, node);
}
END_TEST

START_TEST(what_can_be_no_token_or_no_ones_module_makes_no_device)
{
	char *long_token = mem_alloc(515, 1);

	memset(long_token, 'a', 514);
	ck_assert_int_eq(find(HEX_64, "other", "example.org"), DEVICE_ABSENT);
	ck_assert_int_eq(find(HEX_64, "monalProdiOS", "example.com"), DEVICE_ABSENT);
	ck_assert_int_eq(find(HEX_32, "monalProdiOS", "example.org"), DEVICE_ABSENT);
	ck_assert_int_eq(find(HEX_32 "0123456789abcdef", "monalProdiOS", "example.org"),
	                 DEVICE_ABSENT);
	ck_assert_int_eq(find(HEX_64 "no hex", "monalProdiOS", "example.org"), DEVICE_ABSENT);
	ck_assert_int_eq(find(long_token, "monalProdiOS", "example.org"), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 0);
	free(long_token);
}
END_TEST

START_TEST(an_alias_that_could_be_a_token_makes_no_device)
{
	struct device device = phone;
	struct device_registration registration;
	long long before;

	device.alias = HEX_64;
	registration = enrol(&device);
	before = keys();
	ck_assert_int_eq(find(HEX_64, NULL, "example.org"), DEVICE_ALIAS);
	ck_assert_uint_eq(found_count, 1);
	ck_assert_str_eq(found[0].node, registration.node);
	ck_assert_int_eq(keys(), before);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_node_of_ours_is_found_whatever_module_is_named,
		a_token_of_a_known_module_is_pinned_to_the_publishers_domain,
		what_can_be_no_token_or_no_ones_module_makes_no_device,
		an_alias_that_could_be_a_token_makes_no_device,
	};

	return unit_run("recipient", tests, ARRAY_LEN(tests), start_addressee, stop_addressee);
}
