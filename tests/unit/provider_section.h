/* A section [provider p] of pushd's configuration as a struct, in which nothing is set yet. */
#ifndef OG_TESTS_UNIT_PROVIDER_SECTION_H
#define OG_TESTS_UNIT_PROVIDER_SECTION_H

#include <check.h>
#include <string.h>

#include "pushd/provider/kinds.h"

#define PROVIDER_SECTION_MAX 4096 /* bytes: the keys of all, and those of each kind */

union provider_section {
	struct conf_provider provider;
	char bytes[PROVIDER_SECTION_MAX];
};

/* Empties SECTION for the kind of that NAME; returns the struct of that kind's own keys. */
static inline void *provider_section_init(union provider_section *section, const char *name)
{
	static bool added;
	static char id[] = "p";

	for (size_t i = 0; !added && provider_kinds[i] != NULL; i++)
		conf_add_kind(&provider_kinds[i]->conf);
	added = true;
	memset(section, 0, sizeof(*section));
	section->provider.id = id;
	while (strcmp(provider_kinds[section->provider.kind]->conf.name, name) != 0)
		ck_assert_ptr_nonnull(provider_kinds[++section->provider.kind]);
	return (void *)conf_own(&section->provider);
}

/* What SECTION says of its credential. */
static inline struct credential_wanted provider_section_wants(const union provider_section *section)
{
	struct credential_wanted wanted = { 0 };

	provider_kinds[section->provider.kind]->credential(&section->provider, &wanted);
	return wanted;
}

/* The same of the one for calls alone. */
static inline struct credential_wanted
provider_section_wants_for_calls(const union provider_section *section)
{
	struct credential_wanted wanted = { 0 };

	provider_kinds[section->provider.kind]->call_credential(&section->provider, &wanted);
	return wanted;
}

#endif
