#include "common/base/map.c"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define MANY 5000

struct item {
	char name[16];
};

static struct item items[MANY];

static void fill(struct map *map)
{
	for (size_t i = 0; i < MANY; i++) {
		snprintf(items[i].name, sizeof(items[i].name), "item-%zu", i);
		ck_assert_ptr_null(map_put(map, items[i].name, strlen(items[i].name), &items[i]));
	}
}

static struct item *look_up(const struct map *map, size_t i)
{
	return map_get(map, items[i].name, strlen(items[i].name));
}

/* Vectors of the reference implementation: key 00 01 … 0f, input 00 01 … of each length. */
START_TEST(the_hash_is_siphash_2_4)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd },  { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 }, { 63, 0x958a324ceb064572 },
	};
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	unsigned char input[64];

	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (unsigned char)i;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		ck_assert_uint_eq(siphash(key, input, vectors[i].len), vectors[i].hash);
}
END_TEST

START_TEST(what_was_put_is_found_and_nothing_else)
{
	struct map map = { 0 };

	ck_assert_ptr_null(map_get(&map, "item-1", 6));
	ck_assert_ptr_null(map_remove(&map, "item-1", 6));
	fill(&map);
	ck_assert_uint_eq(map.count, MANY);
	for (size_t i = 0; i < MANY; i++)
		ck_assert_ptr_eq(look_up(&map, i), &items[i]);
	ck_assert_ptr_null(map_get(&map, "item-", 5));
	ck_assert_ptr_null(map_get(&map, "item-1\0", 7));
	ck_assert_ptr_null(map_get(&map, "", 0));
	map_release(&map);
	ck_assert_uint_eq(map.count, 0);
	ck_assert_ptr_null(look_up(&map, 1));
}
END_TEST

START_TEST(putting_again_replaces_the_value_and_borrows_the_new_key)
{
	struct map map = { 0 };
	char *old_key = mem_dup("key");
	int a, b;

	ck_assert_ptr_null(map_put(&map, old_key, 3, &a));
	ck_assert_ptr_eq(map_put(&map, "key", 3, &b), &a);
	ck_assert_uint_eq(map.count, 1);
	free(old_key);
	ck_assert_ptr_eq(map_get(&map, "key", 3), &b);
	map_release(&map);
}
END_TEST

START_TEST(an_empty_key_and_keys_with_nul_are_keys)
{
	struct map map = { 0 };
	int a, b, c;

	map_put(&map, NULL, 0, &a);
	map_put(&map, "\0", 1, &b);
	map_put(&map, "\0\0", 2, &c);
	ck_assert_ptr_eq(map_get(&map, "", 0), &a);
	ck_assert_ptr_eq(map_get(&map, "\0", 1), &b);
	ck_assert_ptr_eq(map_remove(&map, "\0\0", 2), &c);
	map_release(&map);
}
END_TEST

START_TEST(keys_whose_hashes_collide_are_told_apart)
{
	struct map map = { 0 };
	uint32_t hash = hash_key("abc", 3);
	int a;

	map_put(&map, "abc", 3, &a);
	ck_assert_ptr_eq(probe(&map, "abc", 3, hash)->value, &a);
	ck_assert_ptr_null(probe(&map, "ab", 2, hash)->value);
	ck_assert_ptr_null(probe(&map, "abd", 3, hash)->value);
	map_release(&map);
}
END_TEST

/* Every slot's entry must be reachable from its home: removal moves entries. */
START_TEST(removing_some_leaves_the_others_where_they_are_found)
{
	struct map map = { 0 };

	fill(&map);
	for (size_t i = 0; i < MANY; i += 3) {
		ck_assert_ptr_eq(map_remove(&map, items[i].name, strlen(items[i].name)), &items[i]);
		ck_assert_ptr_null(map_remove(&map, items[i].name, strlen(items[i].name)));
	}
	for (size_t i = 0; i < MANY; i++)
		ck_assert_ptr_eq(look_up(&map, i), i % 3 == 0 ? NULL : &items[i]);
	map_release(&map);
}
END_TEST

START_TEST(a_map_that_was_large_shrinks_again)
{
	struct map map = { 0 };

	fill(&map);
	for (size_t i = 0; i < MANY; i++)
		map_remove(&map, items[i].name, strlen(items[i].name));
	ck_assert_uint_eq(map.count, 0);
	ck_assert_uint_eq(map.size, LEAST_SLOTS);
	map_release(&map);
}
END_TEST

START_TEST(walking_meets_every_value_once)
{
	struct map map = { 0 };
	static unsigned met[MANY];
	size_t cursor = 0;
	struct item *item;

	ck_assert_ptr_null(map_next(&map, &cursor));
	fill(&map);
	while ((item = map_next(&map, &cursor)) != NULL)
		met[item - items]++;
	for (size_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(met[i], 1);
	map_release(&map);
}
END_TEST

START_TEST(two_processes_hash_differently)
{
	int fds[2];
	uint32_t theirs = 0;
	pid_t child;

	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		theirs = hash_key("key", 3);
		_exit(write(fds[1], &theirs, sizeof(theirs)) != sizeof(theirs));
	}
	ck_assert_int_eq(read(fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_uint_ne(hash_key("key", 3), theirs);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_hash_is_siphash_2_4,
		what_was_put_is_found_and_nothing_else,
		putting_again_replaces_the_value_and_borrows_the_new_key,
		an_empty_key_and_keys_with_nul_are_keys,
		keys_whose_hashes_collide_are_told_apart,
		removing_some_leaves_the_others_where_they_are_found,
		a_map_that_was_large_shrinks_again,
		walking_meets_every_value_once,
		two_processes_hash_differently,
	};

	return unit_run("map", tests, ARRAY_LEN(tests), NULL, NULL);
}
