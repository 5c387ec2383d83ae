#include "tests/simulation/store.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/redis/redis.h"
#include "tests/simulation/simulation.h"

#define DIR_SIZE 64
#define PATH_SIZE 96
#define PART_BYTES 65536
#define LATEST_MS 10000

enum fate { FATE_ANSWERED, FATE_LOST_BEFORE, FATE_LOST_AFTER };

/* A command, and then its reply. */
struct message {
	struct list_link link;
	char *bytes; /* owned */
	size_t len, sent;
	enum fate fate;
	bool ran;
	uint64_t at_ns; /* when it arrives at the server, or its reply at the process */
};

/* A connection of a process. */
struct link {
	struct list_link link;
	const void *owner;
	int fd;    /* -1: it has ended, and what was sent is still under way */
	bool done; /* the process sends nothing more; what it has sent arrives */
	struct buf in;
	struct list commands, replies;
	uint64_t run_ns, reply_ns; /* of the last message: order is kept */
};

static struct {
	char dir[DIR_SIZE];
	char front[PATH_SIZE], back[PATH_SIZE], clock[PATH_SIZE], url[PATH_SIZE + 8];
	pid_t pid;
	int server; /* the connection on which commands run */
	redisContext *own;
	int listener; /* -1: away */
	struct list links;
	struct store_weather weather;
	void (*executed)(const struct redisReply *command, const struct redisReply *reply);
} store = { .server = -1, .listener = -1 };

/* The real server */

static void die(const char *what)
{
	fprintf(stderr, "store: %s: %s\n", what, strerror(errno));
	store_stop();
	exit(EXIT_FAILURE);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The library that sets the server's clock lies beside this program. */
static void preload_clock(void)
{
	char program[PATH_MAX], library[PATH_MAX + 16];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[len > 0 ? len : 0] = '\0';
	*strrchr(program, '/') = '\0';
	snprintf(library, sizeof(library), "%s/clock.so", program);
	setenv("LD_PRELOAD", library, 1);
	setenv("OG_CLOCK_FILE", store.clock, 1);
}

static void share_clock(void)
{
	int fd = open(store.clock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *shared = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(int64_t)) == 0)
		shared = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		die(store.clock);
	close(fd);
	simulation_share_clock(shared);
}

static void run_server(void)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(null, 1);
	preload_clock();
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", store.back, "--dir",
	       store.dir, "--save", "", "--appendonly", "no", "--jemalloc-bg-thread", "no", NULL);
	_exit(127);
}

void store_start(void)
{
	snprintf(store.dir, sizeof(store.dir), "/tmp/og-simulation-XXXXXX");
	if (mkdtemp(store.dir) == NULL)
		die("mkdtemp");
	snprintf(store.front, sizeof(store.front), "%s/front", store.dir);
	snprintf(store.back, sizeof(store.back), "%s/back", store.dir);
	snprintf(store.clock, sizeof(store.clock), "%s/clock", store.dir);
	snprintf(store.url, sizeof(store.url), "unix://%s", store.front);
	list_init(&store.links);
	share_clock();
	store.pid = fork();
	if (store.pid == 0)
		run_server();
	for (int i = 0; store.pid > 0 && (store.server = connect_to(store.back)) < 0; i++) {
		if (i == 6000 || waitpid(store.pid, NULL, WNOHANG) != 0)
			die("redis-server");
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	store.own = redisConnectUnix(store.back);
	if (store.own == NULL || store.own->err != 0)
		die("redis-server");
}

void store_stop(void)
{
	store_cut();
	if (store.listener >= 0)
		close(store.listener);
	if (store.own != NULL)
		redisFree(store.own);
	if (store.server >= 0)
		close(store.server);
	if (store.pid > 0) {
		kill(store.pid, SIGKILL);
		waitpid(store.pid, NULL, 0);
	}
	unlink(store.front);
	unlink(store.back);
	unlink(store.clock);
	rmdir(store.dir);
}

const char *store_url(void)
{
	return store.url;
}

/* The end of the reply that starts at AT; NULL if it doesn't end before END. */
static const char *reply_end(const char *at, const char *end)
{
	const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	long long number;

	if (line == NULL)
		return NULL;
	line++;
	if (*at != '$' && *at != '*')
		return line;
	number = strtoll(at + 1, NULL, 10);
	if (*at == '$')
		return number < 0 ? line : line + number + 2 <= end ? line + number + 2 : NULL;
	while (number-- > 0 && line != NULL)
		line = reply_end(line, end);
	return line;
}

void store_observe(void (*executed)(const struct redisReply *command,
                                    const struct redisReply *reply))
{
	store.executed = executed;
}

/* BYTES, which are a whole reply, or a command, which has the same form. */
static struct redisReply *parse(const char *bytes, size_t len)
{
	redisReader *reader = redisReaderCreate();
	void *parsed = NULL;

	redisReaderFeed(reader, bytes, len);
	redisReaderGetReply(reader, &parsed);
	redisReaderFree(reader);
	SIMULATION_HOLDS(parsed != NULL, "redis-server's reply can't be read");
	return parsed;
}

static void tell(const struct message *command, const struct buf *reply)
{
	struct redisReply *asked, *answered;

	if (store.executed == NULL)
		return;
	asked = parse(command->bytes, command->len);
	answered = parse(buf_data(reply), buf_len(reply));
	store.executed(asked, answered);
	store_free(asked);
	store_free(answered);
}

/* Runs COMMAND and puts the reply in its place. */
static void execute(struct message *command)
{
	struct buf reply = { 0 };
	static char part[PART_BYTES];
	ssize_t n;

	for (size_t sent = 0; sent < command->len; sent += (size_t)n) {
		n = send(store.server, command->bytes + sent, command->len - sent, MSG_NOSIGNAL);
		SIMULATION_HOLDS(n > 0, "redis-server is gone");
	}
	do {
		n = recv(store.server, part, sizeof(part), 0);
		SIMULATION_HOLDS(n > 0, "redis-server is gone");
		buf_append(&reply, part, (size_t)n);
	} while (reply_end(buf_data(&reply), buf_data(&reply) + buf_len(&reply)) == NULL);
	tell(command, &reply);
	free(command->bytes);
	command->len = buf_len(&reply);
	command->bytes = memcpy(mem_alloc(1, command->len), buf_data(&reply), command->len);
	buf_consume(&reply, command->len);
}

struct redisReply *store_ask(const char *format, ...)
{
	struct redisReply *reply;
	va_list args;

	va_start(args, format);
	reply = redisvCommand(store.own, format, args);
	va_end(args);
	SIMULATION_HOLDS(reply != NULL, "redis-server is gone");
	return reply;
}

void store_free(struct redisReply *reply)
{
	freeReplyObject(reply);
}

int64_t store_ask_number(int64_t fallback, const char *format, ...)
{
	struct redisReply *reply;
	va_list args;
	int64_t number;

	va_start(args, format);
	reply = redisvCommand(store.own, format, args);
	va_end(args);
	SIMULATION_HOLDS(reply != NULL, "redis-server is gone");
	number = redis_reply_integer(reply, fallback);
	store_free(reply);
	return number;
}

/* Connections */

static void drop_messages(struct list *list)
{
	struct list_link *first;

	while ((first = list_take(list)) != NULL) {
		struct message *message = container_of(first, struct message, link);

		free(message->bytes);
		free(message);
	}
}

static void drop_link(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	list_remove(&link->link);
	drop_messages(&link->commands);
	drop_messages(&link->replies);
	buf_consume(&link->in, buf_len(&link->in));
	free(link);
}

/* The connection ends. What was sent on it arrives all the same, or doesn't. */
static void end_link(struct link *link)
{
	if (list_empty(&link->commands) || !chance(store.weather.late)) {
		drop_link(link);
		return;
	}
	simulation_note("store: what was sent on a connection that ended is still under way");
	close(link->fd);
	link->fd = -1;
	drop_messages(&link->replies);
}

static void drop_if_done(struct link *link)
{
	if ((link->done || link->fd < 0) && list_empty(&link->commands) &&
	    list_empty(&link->replies))
		drop_link(link);
}

void store_cut(void)
{
	list_for_each (each, &store.links) {
		struct link *link = container_of(each, struct link, link);

		if (link->fd >= 0)
			end_link(link);
	}
}

static void listen_again(void)
{
	struct sockaddr_un address = address_of(store.front);

	store.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (store.listener < 0 ||
	    bind(store.listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(store.listener, 64) < 0)
		simulation_fail("%s: %s", store.front, strerror(errno));
}

void store_set_away(bool away)
{
	if (away == (store.listener < 0))
		return;
	if (!away) {
		listen_again();
		return;
	}
	close(store.listener);
	unlink(store.front);
	store.listener = -1;
	store_cut();
}

void store_set_weather(const struct store_weather *weather)
{
	store.weather = *weather;
}

void store_calm(void)
{
	store.weather = (struct store_weather){ 0 };
	store_set_away(false);
}

void store_reset(void)
{
	list_for_each (each, &store.links)
		drop_link(container_of(each, struct link, link));
	store_calm();
	store_free(store_ask("FLUSHALL"));
	store_free(store_ask("SCRIPT FLUSH"));
}

/* Commands on their way */

/* The time that a message takes, which goes AFTER another one. */
static uint64_t arrival(uint64_t after_ns)
{
	uint64_t at_ns = simulation_now_ns(), most_ms = 1;

	if (chance(store.weather.stuck)) {
		at_ns += 1000 * SIMULATION_MS;
		most_ms = LATEST_MS - 1000;
	} else if (chance(store.weather.slow)) {
		most_ms = 1000;
	}
	at_ns += dice(most_ms * SIMULATION_MS);
	return at_ns > after_ns ? at_ns : after_ns;
}

static enum fate draw_fate(void)
{
	if (chance(store.weather.lost_before))
		return FATE_LOST_BEFORE;
	return chance(store.weather.lost_after) ? FATE_LOST_AFTER : FATE_ANSWERED;
}

static void add_command(struct link *link, const char *bytes, size_t len)
{
	struct message *command = mem_alloc(1, sizeof(*command));

	command->bytes = memcpy(mem_alloc(1, len), bytes, len);
	command->len = len;
	command->fate = draw_fate();
	command->at_ns = link->run_ns = arrival(link->run_ns);
	list_append(&link->commands, &command->link);
}

/* A command has the form of a reply that is an array. */
static void take_commands(struct link *link)
{
	const char *start = buf_data(&link->in), *at = start, *next;
	const char *end = start + buf_len(&link->in);

	while (at < end && (next = reply_end(at, end)) != NULL) {
		add_command(link, at, (size_t)(next - at));
		at = next;
	}
	buf_consume(&link->in, (size_t)(at - start));
}

static void read_link(struct link *link)
{
	static char part[PART_BYTES];
	bool failed;
	ssize_t n;

	while ((n = recv(link->fd, part, sizeof(part), MSG_DONTWAIT)) > 0)
		buf_append(&link->in, part, (size_t)n);
	link->done = n == 0;
	failed = n < 0 && errno != EAGAIN;
	take_commands(link);
	if (failed)
		end_link(link);
	else
		drop_if_done(link);
}

static void accept_links(const void *owner)
{
	int fd;

	while (store.listener >= 0 &&
	       (fd = accept4(store.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct link *link = mem_alloc(1, sizeof(*link));

		link->owner = owner;
		link->fd = fd;
		list_init(&link->commands);
		list_init(&link->replies);
		list_append(&store.links, &link->link);
	}
}

void store_gather(const void *owner, bool severed)
{
	accept_links(owner);
	list_for_each (each, &store.links) {
		struct link *link = container_of(each, struct link, link);

		if (link->owner == owner && link->fd >= 0 && !link->done)
			read_link(link);
	}
	list_for_each (each, &store.links) {
		struct link *link = container_of(each, struct link, link);

		if (severed && link->owner == owner && link->fd >= 0)
			end_link(link);
	}
}

/* What comes next on LINK; NULL: nothing. */
static struct message *next_of(const struct link *link)
{
	struct list_link *command = list_first(&link->commands);
	struct list_link *reply = list_first(&link->replies);
	struct message *to = command != NULL ? container_of(command, struct message, link) : NULL;
	struct message *back = reply != NULL ? container_of(reply, struct message, link) : NULL;

	return to == NULL || (back != NULL && back->at_ns <= to->at_ns) ? back : to;
}

static struct link *earliest(struct message **next)
{
	struct link *found = NULL;

	*next = NULL;
	list_for_each (each, &store.links) {
		struct link *link = container_of(each, struct link, link);
		struct message *first = next_of(link);

		if (first != NULL && (*next == NULL || first->at_ns < (*next)->at_ns)) {
			*next = first;
			found = link;
		}
	}
	return found;
}

uint64_t store_next_ns(void)
{
	struct message *next;

	return earliest(&next) != NULL ? next->at_ns : SIMULATION_NEVER;
}

/* False if the process doesn't take all of it yet. */
static bool deliver(const struct link *link, struct message *reply)
{
	while (reply->sent < reply->len) {
		ssize_t n = send(link->fd, reply->bytes + reply->sent, reply->len - reply->sent,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno != EAGAIN;
		reply->sent += (size_t)n;
	}
	return true;
}

static void drop_message(struct message *message)
{
	list_remove(&message->link);
	free(message->bytes);
	free(message);
}

static void arrive_back(struct link *link, struct message *reply)
{
	if (reply->fate == FATE_LOST_AFTER) {
		simulation_note("store: a connection is cut before a reply");
		drop_message(reply);
		end_link(link);
	} else if (deliver(link, reply)) {
		drop_message(reply);
		drop_if_done(link);
	} else {
		reply->at_ns += SIMULATION_MS;
	}
}

static void arrive(struct link *link, struct message *command)
{
	if (command->fate == FATE_LOST_BEFORE && link->fd >= 0) {
		simulation_note("store: a connection is cut before a command");
		drop_message(command);
		end_link(link);
		return;
	}
	execute(command);
	list_remove(&command->link);
	command->ran = true;
	command->at_ns = link->reply_ns = arrival(link->reply_ns);
	list_append(&link->replies, &command->link);
	if (link->fd < 0)
		drop_messages(&link->replies);
	drop_if_done(link);
}

bool store_turn(void)
{
	struct message *next;
	struct link *link;
	bool any = false;

	while ((link = earliest(&next)) != NULL && next->at_ns <= simulation_now_ns()) {
		any = true;
		if (next->ran)
			arrive_back(link, next);
		else
			arrive(link, next);
	}
	return any;
}
