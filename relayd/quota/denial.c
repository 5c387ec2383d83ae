#include "relayd/quota/denial.h"

#include <stddef.h>
#include <string.h>

#include "common/base/mem.h"

/* The texts are those of Tigase's proxy. */
static const struct kind {
	const char *name;
	const char *quota;
	const char *whom; /* NULL: the ledger has no account */
} kinds[] = {
	{ "user", "transfer quota", "user" },
	{ "domain", "transfer quota", "domain" },
	{ "instance", "transfer quota", "instance" },
	{ "global", "global transfer quota", NULL },
	{ DENIAL_FILE, "quota for single file transfer", NULL },
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].name);

		if (strncmp(name, kinds[i].name, len) == 0 &&
		    name[len] == (kinds[i].whom != NULL ? ':' : '\0'))
			return &kinds[i];
	}
	return NULL;
}

const char *ledger_split(const char *name, const char **account)
{
	const struct kind *kind = find_kind(name);

	*account = name;
	if (kind == NULL)
		return "unknown";
	if (kind->whom != NULL)
		*account += strlen(kind->name) + 1;
	return kind->name;
}

char *denial_text(const struct denial *denial, const char *what)
{
	const struct kind *kind = find_kind(denial->ledger);
	const char *account;

	(void)ledger_split(denial->ledger, &account);
	if (denial->limit < 0)
		return kind != NULL && kind->whom != NULL
		               ? mem_printf("Transfers are forbidden for %s %s", kind->whom,
		                            account)
		               : mem_dup("Transfers are forbidden");
	if (kind != NULL && kind->whom != NULL)
		return mem_printf("%s due to exceeded %s for %s %s", what, kind->quota, kind->whom,
		                  account);
	return mem_printf("%s due to exceeded %s", what, kind == NULL ? "quota" : kind->quota);
}
