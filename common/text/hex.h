/*
 * Bytes as hexadecimal text, in lower case. Pure; nothing fails.
 */
#ifndef OG_COMMON_TEXT_HEX_H
#define OG_COMMON_TEXT_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes LEN bytes as 2 * LEN digits and a NUL. */
void hex_write(char *text, const uint8_t *bytes, size_t len);

/* True if TEXT consists of exactly LEN lower-case digits. */
bool hex_is(const char *text, size_t len);

#endif
