#include "common/base/arena.c"

#include "tests/unit/unit.h"

static size_t count_blocks(const struct arena *arena)
{
	size_t count = 0;

	for (const struct arena_block *block = arena->blocks; block != NULL; block = block->next)
		count++;
	return count;
}

START_TEST(allocations_are_zeroed_aligned_and_apart)
{
	struct arena arena = { 0 };
	char *before = NULL;

	for (size_t size = 1; size < 200; size++) {
		char *bytes = arena_alloc(&arena, size);

		ck_assert_uint_eq((uintptr_t)bytes % ALIGNMENT, 0);
		for (size_t i = 0; i < size; i++)
			ck_assert_int_eq(bytes[i], 0);
		memset(bytes, 0xff, size);
		if (before != NULL)
			ck_assert_int_eq(before[size - 2], (char)0xff);
		before = bytes;
		ck_assert_str_eq(arena_dup(&arena, "odd", 3), "odd");
	}
	arena_release(&arena);
}
END_TEST

START_TEST(a_copy_ends_at_its_length)
{
	struct arena arena = { 0 };

	ck_assert_str_eq(arena_dup(&arena, "stanza", 3), "sta");
	ck_assert_str_eq(arena_dup(&arena, NULL, 0), "");
	arena_release(&arena);
}
END_TEST

START_TEST(the_cap_refuses_what_would_pass_it_and_no_more)
{
	struct arena arena = { .max = 100 };

	ck_assert_ptr_null(arena_alloc(&arena, 101));
	ck_assert_ptr_null(arena_dup(&arena, "x", SIZE_MAX));
	ck_assert_ptr_nonnull(arena_alloc(&arena, 96));
	ck_assert_ptr_null(arena_dup(&arena, "1234", 4));
	ck_assert_ptr_nonnull(arena_dup(&arena, "123", 3));
	ck_assert_uint_eq(arena.used, 100);
	ck_assert_ptr_null(arena_alloc(&arena, 1));
	arena_reset(&arena);
	ck_assert_ptr_nonnull(arena_alloc(&arena, 100));
	arena_release(&arena);
}
END_TEST

START_TEST(a_reset_keeps_one_usual_block_and_zeroes_what_is_reused)
{
	struct arena arena = { 0 };
	struct arena_block *usual;
	char *bytes;

	memset(arena_alloc(&arena, 1000), 0xff, 1000);
	usual = arena.blocks;
	for (int i = 0; i < 10; i++)
		arena_alloc(&arena, 100000);
	ck_assert_uint_eq(count_blocks(&arena), 11);
	arena_reset(&arena);
	ck_assert_uint_eq(count_blocks(&arena), 1);
	ck_assert_ptr_eq(arena.blocks, usual);
	ck_assert_uint_eq(arena.used, 0);
	bytes = arena_alloc(&arena, 1000);
	ck_assert_ptr_eq(arena.blocks, usual);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(bytes[i], 0);
	arena_release(&arena);
	ck_assert_ptr_null(arena.blocks);
}
END_TEST

START_TEST(an_arena_may_be_used_after_release)
{
	struct arena arena = { 0 };

	arena_release(&arena);
	ck_assert_str_eq(arena_dup(&arena, "again", 5), "again");
	arena_release(&arena);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		allocations_are_zeroed_aligned_and_apart,
		a_copy_ends_at_its_length,
		the_cap_refuses_what_would_pass_it_and_no_more,
		a_reset_keeps_one_usual_block_and_zeroes_what_is_reused,
		an_arena_may_be_used_after_release,
	};

	return unit_run("arena", tests, ARRAY_LEN(tests), NULL, NULL);
}
