#include "xmppgw/commands/account.h"

void account_add_field(struct buf *out, const char *help_when_empty)
{
	form_add_field(out, &(struct form_field){ .var = "account",
	                                          .type = "jid-single",
	                                          .label = "User (user@domain) or domain",
	                                          .help = help_when_empty,
	                                          .required = help_when_empty == NULL });
}

bool account_take(struct iq *iq, const struct xml *form, bool needed, char *bare)
{
	const char *text = form_value(form, "account");

	bare[0] = '\0';
	if (text == NULL && needed)
		iq_error(iq, IQ_BAD_REQUEST, "account is missing.");
	else if (text != NULL && jid_parse_bare(text, bare) != 0)
		iq_error(iq, IQ_JID_MALFORMED, "account must be user@domain or a domain.");
	else
		return true;
	return false;
}
