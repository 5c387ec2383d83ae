#include "common/base/mem.c"

#include <sys/wait.h>
#include <unistd.h>

#include "common/base/list.h"
#include "tests/unit/unit.h"

START_TEST(memory_is_zeroed_and_never_null)
{
	char *bytes = mem_alloc(3, 5);
	char *none = mem_alloc(0, 5);

	for (size_t i = 0; i < 15; i++)
		ck_assert_int_eq(bytes[i], 0);
	ck_assert_ptr_nonnull(none);
	none = mem_resize(none, 0, 1);
	ck_assert_ptr_nonnull(none);
	free(bytes);
	free(none);
}
END_TEST

START_TEST(a_size_that_overflows_ends_the_process)
{
	volatile size_t huge = SIZE_MAX / 2; /* volatile: the compiler would see the overflow */
	pid_t child = fork();
	int status;

	if (child == 0) {
		close(STDERR_FILENO);
		mem_resize(NULL, huge, 4);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_ne(status, 0);
}
END_TEST

START_TEST(copies_end_with_a_nul)
{
	char *text = mem_dup("text");
	char *bytes = mem_dup_bytes("a\0b", 3);
	char *printed = mem_printf("%s-%d", text, 7);

	ck_assert_str_eq(text, "text");
	ck_assert_mem_eq(bytes, "a\0b", 4);
	ck_assert_str_eq(printed, "text-7");
	ck_assert_ptr_null(mem_dup(NULL));
	free(text);
	free(bytes);
	free(printed);
}
END_TEST

START_TEST(wiping_leaves_nothing)
{
	char secret[] = "secret";

	mem_wipe(secret, strlen(secret));
	ck_assert_mem_eq(secret, "\0\0\0\0\0\0", sizeof(secret));
	mem_wipe(NULL, 0);
	mem_free_secret(mem_dup("secret"));
	mem_free_secret(NULL);
}
END_TEST

struct item {
	int before;
	struct list_link link;
};

START_TEST(a_list_keeps_order_and_its_items_find_their_owners)
{
	struct item items[3] = { { .before = 1 }, { .before = 2 }, { .before = 3 } };
	struct list list;
	int sum = 0;

	list_init(&list);
	ck_assert(list_empty(&list));
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		list_append(&list, &items[i].link);
	list_for_each (link, &list) {
		sum = 10 * sum + container_of(link, struct item, link)->before;
		if (link == &items[1].link)
			list_remove(link);
	}
	ck_assert_int_eq(sum, 123);
	ck_assert(!list_linked(&items[1].link));
	list_remove(&items[1].link);
	ck_assert_ptr_eq(list_take(&list), &items[0].link);
	ck_assert_ptr_eq(list_take(&list), &items[2].link);
	ck_assert_ptr_null(list_take(&list));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		memory_is_zeroed_and_never_null,
		a_size_that_overflows_ends_the_process,
		copies_end_with_a_nul,
		wiping_leaves_nothing,
		a_list_keeps_order_and_its_items_find_their_owners,
	};

	return unit_run("mem", tests, ARRAY_LEN(tests), NULL, NULL);
}
