#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"

/* Reads until SIZE bytes or the end. The length, or -1 with errno. */
static ssize_t read_all(int fd, char *data, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

char *file_read(const char *path, size_t max, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	/*
	 * One byte more than allowed tells a file that is too long, whatever stat would say of a
	 * pipe.
	 */
	char *data = mem_alloc(max + 2, 1);
	ssize_t got = fd < 0 ? -1 : read_all(fd, data, max + 1);
	int error = got < 0 ? errno : (size_t)got > max ? EFBIG : 0;

	if (fd >= 0)
		close(fd);
	if (error != 0) {
		mem_wipe(data, max + 2);
		free(data);
		errno = error;
		return NULL;
	}
	data[got] = '\0';
	*len = (size_t)got;
	return data;
}
