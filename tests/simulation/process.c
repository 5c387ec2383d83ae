#include "tests/simulation/process.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/statics.h"
#include "tests/simulation/store.h"

#define TURNS_MAX 100000   /* without a moment passing */
#define VARIABLE_MOST 8192 /* larger ones are buffers, of use within one call */

struct variable {
	char *at;
	size_t size;
};

static struct {
	struct process *current; /* whose statics are in place; NULL: nobody's */
	bool turning;            /* its loop is about to wait */
	struct variable *variables;
	size_t count, size; /* SIZE: of all together */
	char *fresh;        /* statics of a new process */
} self;

/* Statics */

static bool is_static(const char *at)
{
	return (at > statics_data_start && at < statics_data_end) ||
	       (at > statics_bss_start && at < statics_bss_end);
}

/* The variables among the COUNT symbols, whose addresses are AHEAD of the program's by so much. */
static void add_variables(const Elf64_Sym *symbols, size_t count, uintptr_t ahead)
{
	self.variables = mem_alloc(count, sizeof(*self.variables));
	for (size_t i = 0; i < count; i++) {
		char *at = (char *)(symbols[i].st_value - ahead);
		size_t size = symbols[i].st_size;

		if (ELF64_ST_TYPE(symbols[i].st_info) != STT_OBJECT || !is_static(at) ||
		    size > VARIABLE_MOST)
			continue;
		self.variables[self.count++] = (struct variable){ at, size };
		self.size += size;
	}
}

/* Where the symbol of statics_data_start says that it is, less where it is. */
static uintptr_t find_ahead(const Elf64_Sym *symbols, size_t count, const char *names)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names + symbols[i].st_name, "statics_data_start") == 0)
			return symbols[i].st_value - (uintptr_t)statics_data_start;
	simulation_fail("the program has no symbols");
}

/* They stand in the program's own file. */
static void find_variables(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	char *file = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *sections;

	SIMULATION_HOLDS(file != MAP_FAILED, "the program can't be read");
	sections = (const Elf64_Shdr *)(file + head->e_shoff);
	for (unsigned i = 0; i < head->e_shnum; i++) {
		const Elf64_Sym *symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
		size_t count = sections[i].sh_size / sizeof(*symbols);
		const char *names = file + sections[sections[i].sh_link].sh_offset;

		if (sections[i].sh_type == SHT_SYMTAB)
			add_variables(symbols, count, find_ahead(symbols, count, names));
	}
	munmap(file, (size_t)size);
	close(fd);
}

static void save_statics(char *to)
{
	for (size_t i = 0; i < self.count; i++) {
		memcpy(to, self.variables[i].at, self.variables[i].size);
		to += self.variables[i].size;
	}
}

static void load_statics(const char *from)
{
	for (size_t i = 0; i < self.count; i++) {
		memcpy(self.variables[i].at, from, self.variables[i].size);
		from += self.variables[i].size;
	}
}

/* Before any process has run. */
static void init(void)
{
	if (self.fresh != NULL)
		return;
	find_variables();
	SIMULATION_HOLDS(self.count > 0, "the linker doesn't keep the order of files");
	self.fresh = mem_alloc(1, self.size);
	save_statics(self.fresh);
}

static void put_in_place(struct process *process)
{
	if (self.current == process)
		return;
	if (self.current != NULL)
		save_statics(self.current->statics);
	load_statics(process != NULL ? process->statics : self.fresh);
	self.current = process;
	simulation_set_skew(process != NULL ? process->skew_ms : 0);
}

void process_enter(struct process *process)
{
	put_in_place(process);
	process->due_ns = 0;
}

struct process *process_current(void)
{
	return self.current;
}

/* Starting and stopping */

void process_start(struct process *process)
{
	SIMULATION_HOLDS(!process->running, "%s runs already", process->name);
	init();
	process->statics = memcpy(mem_alloc(1, self.size), self.fresh, self.size);
	process->epoll = -1;
	process->running = true;
	process->severed = false;
	process_enter(process);
	log_init(process->name, simulation_log_level());
	loop_init();
	for (size_t i = 0; process->modules[i] != NULL; i++) {
		const struct daemon_module *module = process->modules[i];

		if (module->start != NULL && module->start(process->config) != 0)
			simulation_fail("%s of %s doesn't start", module->name, process->name);
	}
}

void process_sever(struct process *process)
{
	process->severed = true;
	store_gather(process, true);
}

void process_stop(struct process *process)
{
	size_t count = 0;

	process_enter(process);
	while (process->modules[count] != NULL)
		count++;
	while (count-- > 0)
		if (process->modules[count]->stop != NULL)
			process->modules[count]->stop();
	loop_release();
	store_gather(process, process->severed);
	process->running = false;
	put_in_place(NULL);
	free(process->statics);
	process->statics = NULL;
}

/* Waiting */

/*
 * The loop doesn't wait: when it would, process_run() has others run, or time pass. Libraries' own
 * waits are for what has happened already.
 */
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	uint64_t now_ns = simulation_now_ns();
	int count = (int)syscall(SYS_epoll_pwait, epoll, events, most, 0, NULL, 0);

	if (!self.turning)
		return count;
	self.turning = false;
	self.current->epoll = epoll;
	if (count > 0 || timeout_ms == 0)
		self.current->due_ns = now_ns;
	else if (timeout_ms < 0)
		self.current->due_ns = SIMULATION_NEVER;
	else
		self.current->due_ns = now_ns + (uint64_t)timeout_ms * SIMULATION_MS;
	return count;
}

static int look(struct pollfd *items, nfds_t count)
{
	return (int)syscall(SYS_ppoll, items, count, &(struct timespec){ 0 }, NULL, 0);
}

/* A process that waits elsewhere than in its loop waits for Redis: the others stand still. */
int poll(struct pollfd *items, nfds_t count, int timeout_ms)
{
	uint64_t end_ns = simulation_now_ns() + (uint64_t)timeout_ms * SIMULATION_MS;
	int ready = look(items, count);

	while (self.current != NULL && ready == 0 && simulation_now_ns() < end_ns) {
		uint64_t next_ns;

		store_gather(self.current, self.current->severed);
		next_ns = store_next_ns();
		simulation_pass_to(next_ns < end_ns ? next_ns : end_ns);
		store_turn();
		ready = look(items, count);
	}
	return ready;
}

/* Turns */

static bool is_due(const struct process *process)
{
	struct pollfd item = { .fd = process->epoll, .events = POLLIN };

	return process->due_ns <= simulation_now_ns() || look(&item, 1) > 0;
}

static void turn(struct process *process)
{
	put_in_place(process);
	self.turning = true;
	loop_turn(-1);
	store_gather(process, false);
}

/* One process that has something to do; NULL: none has. */
static struct process *pick(struct process *const *processes, size_t count)
{
	size_t first = dice(count);

	for (size_t i = 0; i < count; i++) {
		struct process *process = processes[(first + i) % count];

		if (process->running && is_due(process))
			return process;
	}
	return NULL;
}

static uint64_t next_ns(struct process *const *processes, size_t count)
{
	uint64_t least_ns = store_next_ns();

	for (size_t i = 0; i < count; i++)
		if (processes[i]->running && processes[i]->due_ns < least_ns)
			least_ns = processes[i]->due_ns;
	return least_ns;
}

void process_run(struct process *const *processes, size_t count, uint64_t ms)
{
	uint64_t end_ns = simulation_now_ns() + ms * SIMULATION_MS, at_ns = 0;
	int turns = 0;

	while (at_ns < end_ns) {
		struct process *process = pick(processes, count);

		SIMULATION_HOLDS(++turns < TURNS_MAX, "somebody is busy without an end");
		if (process != NULL) {
			turn(process);
		} else if (!store_turn()) {
			at_ns = next_ns(processes, count);
			simulation_pass_to(at_ns < end_ns ? at_ns : end_ns);
			turns = 0;
		}
	}
}
