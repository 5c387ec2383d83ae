/* A configuration file: what is read of it can be dumped, read again, and is the same then. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/config/config.h"
#include "tests/fuzz/fuzz.h"

static const char *const choices[] = { "red", "green", NULL };

struct top {
	char *string, *secret, **list, *address, *old;
	int64_t integer, size, limit, duration;
	bool boolean;
	int choice;
};
struct item {
	char *id, *string;
	int64_t integer;
};
struct root {
	struct top top;
	struct config_items items;
};

/* clang-format off */
#define TOP(member) offsetof(struct top, member)
#define ITEM(member) offsetof(struct item, member)
static const struct config_key top_keys[] = {
	{ "string", CONFIG_STRING, TOP(string), "a", "A string." },
	{ "secret", CONFIG_SECRET, TOP(secret), NULL, "A secret." },
	{ "list", CONFIG_LIST, TOP(list), "a, b", "A list." },
	{ "address", CONFIG_ADDRESS, TOP(address), "[::]:1", "An address." },
	{ "integer", CONFIG_INTEGER, TOP(integer), "5", "An integer.", 1, 1000 },
	{ "size", CONFIG_SIZE, TOP(size), "1M", "A size." },
	{ "limit", CONFIG_LIMIT, TOP(limit), "-1", "A limit." },
	{ "duration", CONFIG_DURATION, TOP(duration), "1h", "A duration." },
	{ "boolean", CONFIG_BOOLEAN, TOP(boolean), "yes", "A boolean." },
	{ "choice", CONFIG_CHOICE, TOP(choice), "red", "A choice.", .choices = choices },
	{ "old", CONFIG_STRING, TOP(old), .retired = "use string" },
	{ NULL },
};
static const struct config_key item_keys[] = {
	{ "string", CONFIG_STRING, ITEM(string), NULL, "A string.", .needed = true },
	{ "integer", CONFIG_INTEGER, ITEM(integer), "-3", "An integer." },
	{ NULL },
};
static const struct config_section sections[] = {
	{ "daemon", "The daemon.", top_keys, sizeof(struct top), offsetof(struct root, top) },
	{ "item", "An item.", item_keys, sizeof(struct item), offsetof(struct root, items), true },
	{ NULL },
};
/* clang-format on */
static const struct config config = { "fuzzed", sections, sizeof(struct root) };

/* Reads TEXT from a file that has no name; NULL if it is refused, which is told then. */
static struct root *read_text(const void *text, size_t len)
{
	struct buf complaints = { 0 };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct root *root;
	char path[32];

	assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	root = config_read(&config, path, &complaints);
	assert((root == NULL) == (buf_len(&complaints) > 0));
	buf_release(&complaints);
	close(fd);
	return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct root *root = read_text(data, size), *again;
	struct buf dump = { 0 }, second = { 0 };

	if (root == NULL)
		return 0;
	config_dump(&config, root, &dump);
	again = read_text(buf_data(&dump), buf_len(&dump));
	assert(again != NULL);
	config_dump(&config, again, &second);
	assert(buf_len(&dump) == buf_len(&second));
	assert(memcmp(buf_data(&dump), buf_data(&second), buf_len(&dump)) == 0);
	buf_release(&dump);
	buf_release(&second);
	config_free(&config, root);
	config_free(&config, again);
	return 0;
}
