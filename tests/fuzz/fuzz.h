/*
 * What a harness is: one function that hands hostile bytes to a module and asserts what must hold
 * of the outcome. libFuzzer calls it with bytes that it makes up (make fuzz), replay.c with those
 * in tests/data/fuzz (make check).
 */
#ifndef OG_TESTS_FUZZ_FUZZ_H
#define OG_TESTS_FUZZ_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that a harness still has to hand out. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/* One byte; 0 when there is none left. */
static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* The next line as a string that the caller frees, without its newline; "" at the end. */
static inline char *fuzz_line(struct fuzz_input *input)
{
	const uint8_t *end = input->size > 0 ? memchr(input->data, '\n', input->size) : NULL;
	size_t len = end != NULL ? (size_t)(end - input->data) : input->size;
	char *line = mem_dup_bytes(input->data, len);

	input->data += len;
	input->size -= len;
	(void)fuzz_byte(input);
	return line;
}

/* All that is left as a string that the caller frees. */
static inline char *fuzz_rest(struct fuzz_input *input)
{
	char *text = mem_dup_bytes(input->data, input->size);

	input->size = 0;
	return text;
}

#endif
