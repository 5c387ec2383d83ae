/* SHA-1 as text, the form in XEP-0065, XEP-0114 and EVALSHA. Pure. */
#ifndef OG_COMMON_TEXT_SHA1_H
#define OG_COMMON_TEXT_SHA1_H

#include <stddef.h>

#define SHA1_TEXT_SIZE 41 /* 40 digits and NUL */

/* Lower-case hex of the SHA-1 of LEN bytes, into TEXT (SHA1_TEXT_SIZE bytes), which is returned. */
char *sha1_text(const void *data, size_t len, char *text);

#endif
