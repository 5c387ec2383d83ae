#include "xmppgw/xmpp/limit_notice.c"

#include <stdlib.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static const struct limit_notice notice = {
	.component = "proxy.example.org",
	.id = "1-0",
	.to = "a@example.org/it's",
	.other = "b@example.net",
	.reason = "Transfer denied",
	.explanation = "Too <much>.",
};

#define START(type)                                                                                \
	"<message type='" type "' id='1-0' from='proxy.example.org' "                              \
	"to='a@example.org/it&apos;s'>"
#define END                                                                                        \
	"<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"          \
	"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>Transfer denied</text>"   \
	"</error></message>"

static void expect(void (*write)(const struct limit_notice *notice, struct buf *out),
                   const struct limit_notice *what, const char *expected)
{
	struct buf out = { 0 };
	char *text;

	write(what, &out);
	text = buf_take(&out);
	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(a_headline_says_what_became_of_the_transfer_and_why)
{
	struct limit_notice other = notice;

	expect(limit_notice_headline, &notice,
	       START("headline") "<body>The file transfer with b@example.net was not allowed. "
	                         "Too &lt;much&gt;.</body>" END);
	other.stopped = true;
	other.explanation = NULL;
	expect(limit_notice_headline, &other,
	       START("headline") "<body>The file transfer with b@example.net was stopped before it "
	                         "was complete. Transfer denied</body>" END);
}
END_TEST

START_TEST(an_error_has_no_body)
{
	expect(limit_notice_error, &notice, START("error") END);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_headline_says_what_became_of_the_transfer_and_why,
		an_error_has_no_body,
	};

	return unit_run("limit_notice", tests, ARRAY_LEN(tests), NULL, NULL);
}
