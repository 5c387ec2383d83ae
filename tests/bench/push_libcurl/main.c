/*
 * What sending costs at least with libcurl: one HTTP/2 connection, a window of requests on it that
 * is always full, multi_socket on epoll, and nothing of ours. tests/bench/push.py sets pushd beside
 * it, with the same request to the same provider.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define EVENTS_MAX 64
#define HEADERS_MAX 16
#define TIMEOUT_MS 10000L
#define TOKEN_MARK "@TOKEN@"
#define ID_MARK "@ID@"
#define ID_SIZE 37

static const char help[] =
        "push_libcurl --request FILE --tokens FILE --ca FILE --in-flight N\n"
        "Posts over one HTTP/2 connection, N requests at once. FILE: URL, headers, an empty line,\n"
        "the body; @TOKEN@ in URL and body becomes each of the tokens in turn, @ID@ in a header\n"
        "a new UUID. Says \"ready\" when the connection is warm; then for each line, which is a\n"
        "number, sends for so many seconds and says what came of it.\n";

/* The request as FILE has it; all point into one text. */
static struct {
	char *url, *body, *headers[HEADERS_MAX];
	size_t header_count;
} request;

static char **tokens;
static size_t token_count;
static const char *ca_file;
static size_t in_flight_max;

struct post;

static struct {
	CURLM *multi;
	int epoll;
	uint32_t events; /* that the connection is watched for */
	uint64_t due_ns; /* when libcurl wants to be called; 0: never */
	size_t in_flight;
	unsigned long long started, sent, refused;
	struct post *idle;
} self;

struct post {
	CURL *easy;
	char *url, *body;
	struct curl_slist *headers;
	char *id;          /* in one of the headers, ID_SIZE - 1 bytes; NULL: none */
	struct post *next; /* while idle */
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "push_libcurl: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the request ---- */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (file == NULL || getdelim(&text, &size, '\0', file) < 0)
		fail(path, strerror(errno));
	fclose(file);
	return text;
}

static void read_request(const char *path)
{
	char *rest = read_file(path), *line;

	request.url = strsep(&rest, "\n");
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		if (request.header_count == HEADERS_MAX)
			fail(path, "too many headers");
		request.headers[request.header_count++] = line;
	}
	if (rest == NULL)
		fail(path, "has no body");
	request.body = rest;
	rest[strcspn(rest, "\n")] = '\0';
}

static void read_tokens(const char *path)
{
	char *rest = read_file(path), *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		tokens = realloc(tokens, (token_count + 1) * sizeof(*tokens));
		tokens[token_count++] = line;
	}
	if (token_count == 0)
		fail(path, "has no token");
}

/* TEMPLATE with TOKEN in the place of its mark, in *TEXT, which has room for any of the tokens. */
static void fill(char **text, const char *template, const char *token)
{
	const char *mark = strstr(template, TOKEN_MARK);
	int before = mark != NULL ? (int)(mark - template) : (int)strlen(template);

	free(*text);
	if (asprintf(text, "%.*s%s%s", before, template, mark != NULL ? token : "",
	             mark != NULL ? mark + strlen(TOKEN_MARK) : "") < 0)
		abort();
}

static char *find_id(char *header)
{
	char *mark = strstr(header, ID_MARK);

	return mark != NULL && mark[strlen(ID_MARK)] == '\0' ? mark : NULL;
}

static void add_headers(struct post *post)
{
	for (size_t i = 0; i < request.header_count; i++) {
		char *header = request.headers[i], *mark = find_id(header), *text;

		if (mark == NULL) {
			post->headers = curl_slist_append(post->headers, header);
			continue;
		}
		if (asprintf(&text, "%.*s%036d", (int)(mark - header), header, 0) < 0)
			abort();
		post->headers = curl_slist_append(post->headers, text);
		free(text);
		for (struct curl_slist *item = post->headers; item != NULL; item = item->next)
			post->id = item->data + (mark - header);
	}
	post->headers = curl_slist_append(post->headers, "Expect:");
	post->headers = curl_slist_append(post->headers, "Accept:");
}

static void make_id(char *id)
{
	char text[ID_SIZE];

	snprintf(text, sizeof(text), "00000000-0000-4000-8000-%012llx", self.started);
	memcpy(id, text, ID_SIZE - 1);
}

/* ---- transfers ---- */

static size_t drop_body(char *data, size_t size, size_t count, void *context)
{
	return size * count;
}

static struct post *post_new(void)
{
	struct post *post = calloc(1, sizeof(*post));

	post->easy = curl_easy_init();
	add_headers(post);
	curl_easy_setopt(post->easy, CURLOPT_PRIVATE, post);
	curl_easy_setopt(post->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(post->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(post->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(post->easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(post->easy, CURLOPT_BUFFERSIZE, 4096L);
	curl_easy_setopt(post->easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(post->easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(post->easy, CURLOPT_WRITEFUNCTION, drop_body);
	curl_easy_setopt(post->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers);
	return post;
}

/* The one that was answered last is sent again first, or a new one if none is idle. */
static void post_send(void)
{
	const char *token = tokens[self.started++ % token_count];
	struct post *post = self.idle != NULL ? self.idle : post_new();

	self.idle = post->next;
	fill(&post->url, request.url, token);
	fill(&post->body, request.body, token);
	if (post->id != NULL)
		make_id(post->id);
	curl_easy_setopt(post->easy, CURLOPT_URL, post->url);
	curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, post->body);
	curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(post->body));
	if (curl_multi_add_handle(self.multi, post->easy) != CURLM_OK)
		abort();
	self.in_flight++;
}

static void count(const struct post *post, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 0)
		fail("a request got no answer", curl_easy_strerror(code));
	if (status == 200)
		self.sent++;
	else
		self.refused++;
}

/* Takes what is done; it is sent anew while MORE. */
static void collect(bool more)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(self.multi, &left)) != NULL) {
		struct post *post;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &post);
		count(post, message->data.result);
		curl_multi_remove_handle(self.multi, post->easy);
		self.in_flight--;
		post->next = self.idle;
		self.idle = post;
		if (more)
			post_send();
	}
}

/* ---- libcurl on epoll ---- */

static int on_socket_change(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	struct epoll_event event = {
		.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) |
		          (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
		.data.fd = fd,
	};

	if (what == CURL_POLL_REMOVE)
		return epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, NULL);
	if (known != NULL && event.events == self.events)
		return 0; /* libcurl says so for nearly every request */
	self.events = event.events;
	if (known == NULL)
		curl_multi_assign(self.multi, fd, &self);
	return epoll_ctl(self.epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *data)
{
	self.due_ns = timeout_ms < 0 ? 0 : now_ns() + (uint64_t)timeout_ms * 1000000u + 1;
	return 0;
}

static int wait_ms(void)
{
	uint64_t now = now_ns();

	if (self.due_ns == 0)
		return 1000;
	return self.due_ns <= now ? 0 : (int)((self.due_ns - now + 999999u) / 1000000u);
}

static int action_of(uint32_t events)
{
	return (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
	       (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
	       (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

static void turn(bool more)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(self.epoll, events, EVENTS_MAX, wait_ms()), running;

	for (int i = 0; i < count; i++) {
		curl_multi_socket_action(self.multi, events[i].data.fd, action_of(events[i].events),
		                         &running);
		collect(more);
	}
	if (self.due_ns != 0 && self.due_ns <= now_ns()) {
		self.due_ns = 0;
		curl_multi_socket_action(self.multi, CURL_SOCKET_TIMEOUT, 0, &running);
		collect(more);
	}
}

static void start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	self.epoll = epoll_create1(EPOLL_CLOEXEC);
	self.multi = curl_multi_init();
	curl_multi_setopt(self.multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
	curl_multi_setopt(self.multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
	curl_multi_setopt(self.multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(self.multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
	curl_multi_setopt(self.multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)in_flight_max);
}

static void fill_window(void)
{
	while (self.in_flight < in_flight_max)
		post_send();
}

static void drain(void)
{
	while (self.in_flight > 0)
		turn(false);
}

/* One request first, since a provider allows one stream until it has taken something. */
static void warm_up(void)
{
	post_send();
	drain();
	fill_window();
	while (self.sent < 2 * in_flight_max && self.refused == 0)
		turn(true);
	drain();
	if (self.refused > 0)
		fail("the provider", "refuses the request");
}

static void run(double seconds)
{
	unsigned long long before = self.sent;
	uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9);

	fill_window();
	while (now_ns() < end)
		turn(true);
	drain();
	printf("sent=%llu refused=%llu seconds=%.4f\n", self.sent - before, self.refused,
	       (double)(now_ns() - began) / 1e9);
	fflush(stdout);
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "request", required_argument, NULL, 'r' },
		{ "tokens", required_argument, NULL, 't' },
		{ "ca", required_argument, NULL, 'c' },
		{ "in-flight", required_argument, NULL, 'n' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'r')
			read_request(optarg);
		else if (option == 't')
			read_tokens(optarg);
		else if (option == 'c')
			ca_file = optarg;
		else if (option == 'n')
			in_flight_max = strtoul(optarg, NULL, 10);
	}
	if (request.url == NULL || tokens == NULL || ca_file == NULL || in_flight_max == 0) {
		fputs(help, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	char line[80];

	read_options(argc, argv);
	start();
	warm_up();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		run(strtod(line, NULL));
	return 0;
}
