#include "common/text/signature.c"

#include "tests/unit/unit.h"

#define SECRET "secret-of-the-fleet"
#define RECORD "{\"id\":\"relay-1\",\"epoch\":7,\"list\":[1,true,null,\"\xc3\xa4\"]}"

static json_t *object;

static void setup(void)
{
	object = json_loads(RECORD, 0, NULL);
	signature_put(object, SECRET, "relay:relay-1");
}

static void teardown(void)
{
	json_decref(object);
}

START_TEST(what_was_signed_fits_however_its_text_was_written)
{
	char *text = json_dumps(object, JSON_INDENT(4));
	json_t *read = json_loads(text, 0, NULL);

	ck_assert(signature_fits(object, SECRET, "relay:relay-1"));
	ck_assert(signature_fits(read, SECRET, "relay:relay-1"));
	json_decref(read);
	free(text);
}
END_TEST

START_TEST(any_change_is_found)
{
	ck_assert(!signature_fits(object, "secret-of-others-----", "relay:relay-1"));
	ck_assert(!signature_fits(object, SECRET, "relay:relay-2"));
	ck_assert(!signature_fits(object, SECRET, "push:relay-1"));
	json_object_set_new(object, "epoch", json_integer(8));
	ck_assert(!signature_fits(object, SECRET, "relay:relay-1"));
	json_object_set_new(object, "epoch", json_integer(7));
	ck_assert(signature_fits(object, SECRET, "relay:relay-1"));
	json_object_set_new(object, "more", json_null());
	ck_assert(!signature_fits(object, SECRET, "relay:relay-1"));
}
END_TEST

/* OBJECT has TEXT as its signature, behind COUNT others. */
static bool fits_with(const char *text, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string("of somebody else"));
	json_array_append_new(list, json_string(text));
	json_object_set_new(object, MEMBER, list);
	return signature_fits(object, SECRET, "relay:relay-1");
}

START_TEST(each_digit_of_a_signature_counts_and_so_does_its_length)
{
	char text[TEXT_SIZE + 1] = "";

	sign(text, object, SECRET, "relay:relay-1");
	for (size_t i = 0; i < TEXT_SIZE - 1; i++) {
		char digit = text[i];

		text[i] = digit == '0' ? '1' : '0';
		ck_assert_msg(!fits_with(text, 0), "%s", text);
		text[i] = digit;
	}
	ck_assert(fits_with(text, 0));
	text[TEXT_SIZE - 1] = '0';
	ck_assert(!fits_with(text, 0));
	text[TEXT_SIZE - 2] = '\0';
	ck_assert(!fits_with(text, 0));
}
END_TEST

START_TEST(only_the_first_signatures_are_looked_at)
{
	char text[TEXT_SIZE];

	sign(text, object, SECRET, "relay:relay-1");
	ck_assert(fits_with(text, SIGNATURES_MAX - 1));
	ck_assert(!fits_with(text, SIGNATURES_MAX));
}
END_TEST

START_TEST(two_secrets_may_sign)
{
	signature_put(object, "secret-of-tomorrow", "relay:relay-1");
	ck_assert(signature_fits(object, SECRET, "relay:relay-1"));
	ck_assert(signature_fits(object, "secret-of-tomorrow", "relay:relay-1"));
	ck_assert(!signature_fits(object, "secret-of-others--", "relay:relay-1"));
}
END_TEST

START_TEST(what_is_no_signature_does_not_fit)
{
	static const char *const texts[] = { "\"\"", "5",      "null",     "{}",
		                             "[]",   "[\"\"]", "[\"00\"]", "[5]" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_object_set_new(object, "signatures",
		                    json_loads(texts[i], JSON_DECODE_ANY, NULL));
		ck_assert(!signature_fits(object, SECRET, "relay:relay-1"));
	}
	json_object_del(object, "signatures");
	ck_assert(!signature_fits(object, SECRET, "relay:relay-1"));
}
END_TEST

/* The bytes are fixed: daemons of different versions read each other's records. */
START_TEST(the_signature_is_the_documented_one)
{
	/* printf … | openssl dgst -sha256 -mac HMAC, of the sorted text, as signature.h tells */
	ck_assert_str_eq(
	        json_string_value(json_array_get(json_object_get(object, "signatures"), 0)),
	        "b8de307d4f67fba2ebc0abe80fdb42e2b9072456c005f17d093c59bdbe68a6b8");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_was_signed_fits_however_its_text_was_written,
		any_change_is_found,
		each_digit_of_a_signature_counts_and_so_does_its_length,
		only_the_first_signatures_are_looked_at,
		two_secrets_may_sign,
		what_is_no_signature_does_not_fit,
		the_signature_is_the_documented_one,
	};

	return unit_run("signature", tests, ARRAY_LEN(tests), setup, teardown);
}
