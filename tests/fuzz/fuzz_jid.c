#include "common/text/jid.h"
#include "tests/fuzz/fuzz.h"

/* What is prepared once stays as it is, or two spellings of one address would differ. */
static void check_prepared(const struct jid *jid)
{
	char text[JID_TEXT_MAX];
	struct jid again;

	assert(jid->domain[0] != '\0');
	assert(jid_parse(jid_full(jid, text), &again) == 0);
	assert(strcmp(jid->local, again.local) == 0);
	assert(strcmp(jid->domain, again.domain) == 0);
	assert(strcmp(jid->resource, again.resource) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char bare[JID_TEXT_MAX], domain[JID_PART_MAX + 1], *text = fuzz_rest(&input);
	struct jid jid;

	if (jid_parse(text, &jid) == 0)
		check_prepared(&jid);
	if (jid_parse_trimmed(text, &jid) == 0)
		check_prepared(&jid);
	if (jid_parse_bare(text, bare) == 0)
		assert(jid_parse(bare, &jid) == 0 && jid.resource[0] == '\0');
	if (jid_domain(text, domain) == 0)
		assert(jid_parse(domain, &jid) == 0 && strcmp(jid.domain, domain) == 0);
	free(text);
	return 0;
}
