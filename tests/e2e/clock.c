/*
 * Preloaded into a server under test: its wall clock is OG_CLOCK_OFFSET seconds ahead of the
 * machine's; or, with OG_CLOCK_FILE, it is what that file holds, nanoseconds since 1970 as 64 bits,
 * which another process may change meanwhile. Timers, which run on the monotonic clock, are as they
 * were.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* It is asked before main(), by allocators too: nothing here may allocate. */
static time_t offset(void)
{
	const char *text = getenv("OG_CLOCK_OFFSET");

	return text == NULL ? 0 : (time_t)strtoll(text, NULL, 10);
}

/* The file's time; NULL without one. */
static const volatile int64_t *shared_ns(void)
{
	static const volatile int64_t *shared;
	const char *path = getenv("OG_CLOCK_FILE");
	void *found;
	int fd;

	if (shared != NULL || path == NULL || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return shared;
	found = mmap(NULL, sizeof(*shared), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (found != MAP_FAILED)
		shared = found;
	return shared;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	const int64_t billion = 1000000000;
	long status = syscall(SYS_clock_gettime, clock, now);
	int64_t ns;

	if (status != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return (int)status;
	if (shared_ns() == NULL) {
		now->tv_sec += offset();
		return 0;
	}
	ns = *shared_ns();
	*now = (struct timespec){ ns / billion, ns % billion };
	return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
		return -1;
	*now = (struct timeval){ exact.tv_sec, exact.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *now)
{
	struct timespec exact = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &exact);
	if (now != NULL)
		*now = exact.tv_sec;
	return exact.tv_sec;
}
