#include "tests/simulation/simulation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SEEDS 200
#define NS_PER_S INT64_C(1000000000)
#define MONOTONIC_NS UINT64_C(1000000000000) /* the monotonic clock when a seed begins */
#define WALL_MS INT64_C(1783000000000)       /* likewise, where the program sets none */
#define NOTES_MAX 60
#define NOTE_SIZE 240

/* What is freed is used again soon: a run of seeds would touch ever more memory. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:malloc_context_size=6";
}

static struct {
	const struct simulation *simulation;
	uint64_t seed;
	unsigned step;
	bool replays;     /* one seed alone is run: all notes are printed at once */
	bool runs;        /* a seed is under way: time and random numbers are ours */
	uint64_t random;  /* state of the seed's numbers */
	uint64_t entropy; /* of those that getrandom() gives */
	uint64_t now_ns;
	int64_t wall_ns; /* since 1970, when the seed began */
	int64_t skew_ns;
	volatile int64_t *shared;
	char notes[NOTES_MAX][NOTE_SIZE];
	size_t noted;
} self;

/* Random numbers: Vigna's SplitMix64. */

static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t dice(uint64_t sides)
{
	return draw(&self.random) % sides;
}

bool chance(unsigned permille)
{
	return dice(1000) < permille;
}

uint64_t dice_wide(uint64_t least, uint64_t most)
{
	uint64_t top = least;

	while (top < most && chance(800))
		top = top > most / 2 ? most : 2 * top;
	return least + dice(top - least + 1);
}

ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
	unsigned char *at = bytes;

	if (!self.runs)
		return syscall(SYS_getrandom, bytes, len, flags);
	for (size_t i = 0; i < len; i++)
		at[i] = (unsigned char)draw(&self.entropy);
	return (ssize_t)len;
}

/* Time */

uint64_t simulation_now_ns(void)
{
	return self.now_ns;
}

int64_t simulation_wall_ms(void)
{
	return (self.wall_ns + (int64_t)self.now_ns) / (int64_t)SIMULATION_MS;
}

static void share_clock(void)
{
	if (self.shared != NULL)
		*self.shared = self.wall_ns + (int64_t)self.now_ns;
}

void simulation_share_clock(volatile int64_t *wall_ns)
{
	self.shared = wall_ns;
	share_clock();
}

void simulation_set_wall(int64_t wall_ms)
{
	self.wall_ns = wall_ms * (int64_t)SIMULATION_MS - (int64_t)self.now_ns;
	share_clock();
}

void simulation_pass_to(uint64_t at_ns)
{
	if (at_ns > self.now_ns)
		self.now_ns = at_ns;
	share_clock();
}

void simulation_set_skew(int64_t skew_ms)
{
	self.skew_ns = skew_ms * (int64_t)SIMULATION_MS;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t ns;

	if (!self.runs)
		return (int)syscall(SYS_clock_gettime, clock, now);
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		ns = self.wall_ns + (int64_t)self.now_ns + self.skew_ns;
		break;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
		ns = (int64_t)(MONOTONIC_NS + self.now_ns);
		break;
	default:
		return (int)syscall(SYS_clock_gettime, clock, now);
	}
	*now = (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
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

/* Notes and failing */

bool simulation_step(unsigned most)
{
	return self.step++ < most;
}

void simulation_note(const char *format, ...)
{
	char *note = self.notes[self.noted++ % NOTES_MAX];
	va_list args;
	int len = snprintf(note, NOTE_SIZE, "%5u %12.3f ", self.step, (double)self.now_ns / 1e6);

	va_start(args, format);
	vsnprintf(note + len, NOTE_SIZE - (size_t)len, format, args);
	va_end(args);
	if (self.replays)
		printf("%s\n", note);
}

static void print_notes(void)
{
	size_t first = self.noted > NOTES_MAX ? self.noted - NOTES_MAX : 0;

	printf(" step           ms\n");
	for (size_t i = first; i < self.noted; i++)
		printf("%s\n", self.notes[i % NOTES_MAX]);
}

/* As libcheck ends, so that whoever counts tests counts this one. */
static void print_summary(bool fine)
{
	printf("%d%%: Checks: 1, Failures: %d, Errors: 0\n", fine ? 100 : 0, fine ? 0 : 1);
}

/* Nothing is freed: what the processes hold would be reported as leaked. */
void simulation_fail(const char *format, ...)
{
	va_list args;

	if (!self.replays)
		print_notes();
	printf("%s: seed %llu, step %u: ", self.simulation->name, (unsigned long long)self.seed,
	       self.step);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nto replay it: SEED=%llu LOG=debug %s\n", (unsigned long long)self.seed,
	       program_invocation_name);
	print_summary(false);
	fflush(stdout);
	self.runs = false;
	if (self.simulation->stop != NULL)
		self.simulation->stop();
	_exit(EXIT_FAILURE);
}

/* Seeds */

static uint64_t number_of(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text == NULL || *text == '\0' ? fallback : strtoull(text, NULL, 10);
}

enum log_level simulation_log_level(void)
{
	const char *name = getenv("LOG");
	int level = name == NULL ? -1 : log_level_by_name(name);

	return (enum log_level)(level < 0 ? LOG_ERROR + 1 : level);
}

static void run_seed(uint64_t seed)
{
	self.seed = self.random = seed;
	self.entropy = ~seed;
	self.step = 0;
	self.now_ns = 0;
	self.skew_ns = 0;
	self.noted = 0;
	simulation_set_wall(WALL_MS);
	self.runs = true;
	if (self.simulation->reset != NULL)
		self.simulation->reset();
	self.simulation->run();
	self.runs = false;
}

int simulation_main(const struct simulation *simulation)
{
	uint64_t seed = number_of("SEED", 0), last = seed;

	self.simulation = simulation;
	self.replays = seed != 0;
	if (seed == 0) {
		seed = 1;
		last = number_of("SEEDS", SEEDS);
	}
	if (simulation->start != NULL)
		simulation->start();
	for (; seed <= last; seed++)
		run_seed(seed);
	if (simulation->stop != NULL)
		simulation->stop();
	printf("Running suite(s): %s\n", simulation->name);
	print_summary(true);
	return EXIT_SUCCESS;
}
