/*
 * Preloaded into a program: an expat whose reparse deferral can be set, also where the machine's
 * own expat lacks the function. It tells each call on stderr.
 */
#include <dlfcn.h>
#include <expat.h>
#include <stdio.h>

XML_Bool XML_SetReparseDeferralEnabled(XML_Parser parser, XML_Bool enabled);

XML_Bool XML_SetReparseDeferralEnabled(XML_Parser parser, XML_Bool enabled)
{
	XML_Bool (*real)(XML_Parser, XML_Bool);

	*(void **)&real = dlsym(RTLD_NEXT, "XML_SetReparseDeferralEnabled");
	fprintf(stderr, "deferral=%d\n", enabled);
	return real == NULL ? XML_TRUE : real(parser, enabled);
}
