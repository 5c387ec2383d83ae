/*
 * Mutated stanzas, made of all vectors in tests/data, through reader and router: nothing breaks,
 * and each request gets one answer. STANZAS (20000) in the environment says how many; `make fuzz`
 * has 1000000. What fails can be repeated: the mutations are the same each time.
 */
#include "xmppgw/route.c"

#include <ftw.h>

#include "common/base/file.h"
#include "tests/fuzz/router.h"
#include "tests/fuzz/stream.h"
#include "tests/unit/unit.h"

#define STANZAS 20000
#define FRESH 1000 /* stanzas between two restarts of all modules */
#define VECTORS_MAX 2000
#define VECTOR_BYTES_MAX 65536
#define MUTANT_BYTES_MAX (4 * VECTOR_BYTES_MAX)
#define MUTATIONS_MAX 4

struct vector {
	char *bytes;
	size_t len;
};

static struct vector vectors[VECTORS_MAX];
static size_t vector_count;

/* ---- vectors ---- */

static bool is_vector(const char *path)
{
	const char *dot = strrchr(path, '.');

	return (dot != NULL && strcmp(dot, ".xml") == 0) || strstr(path, "/fuzz/route/") != NULL ||
	       strstr(path, "/fuzz/xml/") != NULL;
}

/* Addresses the vector's stanza, if it is one, to the component that is tested; TEXT is freed. */
static struct vector address(char *text, size_t len)
{
	char *to = strstr(text, " to='"), *end = to == NULL ? NULL : strchr(to + 5, '\'');
	struct vector vector = { text, len };

	if (end == NULL)
		return vector;
	vector.bytes = mem_printf("%.*s to='both.example.org%s", (int)(to - text), text, end);
	vector.len = strlen(vector.bytes);
	free(text);
	return vector;
}

static int add_vector(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	size_t len;
	char *text;

	if (flag != FTW_F || !is_vector(path) || stat->st_size == 0 ||
	    stat->st_size > VECTOR_BYTES_MAX)
		return 0;
	assert(vector_count < VECTORS_MAX);
	text = file_read(path, VECTOR_BYTES_MAX, &len);
	assert(text != NULL);
	vectors[vector_count++] = address(text, len);
	return 0;
}

/* The order in which files are found is no matter. */
static int compare_vectors(const void *one, const void *other)
{
	const struct vector *a = one, *b = other;
	int order = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);

	return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static void load_vectors(void)
{
	assert(nftw("tests/data", add_vector, 16, 0) == 0);
	assert(vector_count > 60);
	qsort(vectors, vector_count, sizeof(*vectors), compare_vectors);
}

/* ---- mutations ---- */

static uint64_t state;

/* splitmix64, whose numbers don't resemble each other for states that do: from 0 to BELOW - 1. */
static size_t draw(size_t below)
{
	uint64_t mixed = state += 0x9e3779b97f4a7c15u;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return (size_t)((mixed ^ mixed >> 31) % below);
}

/* What parsers of stanzas trip over. */
static const char *const tokens[] = {
	"<",
	">",
	"/>",
	"'",
	"\"",
	"&",
	"&#0;",
	"&#x1F600;",
	"<![CDATA[",
	"]]>",
	"<!--",
	"<?x?>",
	"<!DOCTYPE a>",
	" xmlns='",
	" xmlns='jabber:client'",
	" id=''",
	" from=''",
	" to='@'",
	"</iq>",
	"<iq type='set' id='n' from='b' to='both.example.org'>",
	"<publish node='n'>",
	"<item>",
	"\xff",
	"\xc0\x80",
	"\xed\xa0\x80",
	" type='get'",
	" type='result'",
	"both.example.org",
	"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
};

struct mutant {
	char bytes[MUTANT_BYTES_MAX];
	size_t len;
};

static void take_out(struct mutant *mutant, size_t at, size_t len)
{
	memmove(mutant->bytes + at, mutant->bytes + at + len, mutant->len - at - len);
	mutant->len -= len;
}

static void put_in(struct mutant *mutant, size_t at, const char *bytes, size_t len)
{
	if (mutant->len + len > sizeof(mutant->bytes))
		return;
	memmove(mutant->bytes + at + len, mutant->bytes + at, mutant->len - at);
	memcpy(mutant->bytes + at, bytes, len);
	mutant->len += len;
}

/* A part of any vector. */
static void put_part(struct mutant *mutant, size_t at)
{
	const struct vector *other = &vectors[draw(vector_count)];
	size_t from = draw(other->len), len = 1 + draw(other->len - from);

	put_in(mutant, at, other->bytes + from, len);
}

static void mutate(struct mutant *mutant)
{
	size_t at = draw(mutant->len), len = 1 + draw(mutant->len - at);
	const char *token = tokens[draw(ARRAY_LEN(tokens))];

	switch (draw(6)) {
	case 0:
		mutant->bytes[at] ^= (char)(1u << draw(8));
		break;
	case 1:
		mutant->bytes[at] = (char)draw(256);
		break;
	case 2:
		take_out(mutant, at, draw(2) == 0 ? 1 : len);
		break;
	case 3:
		put_in(mutant, at, token, strlen(token));
		break;
	case 4:
		put_part(mutant, at);
		break;
	case 5: /* elsewhere again; the bytes move, so they go through a copy */
		token = mem_dup_bytes(mutant->bytes + at, len);
		put_in(mutant, draw(mutant->len), token, len);
		free((char *)token);
		break;
	}
}

/* Mutant NUMBER: first each vector as it is, so that none is missed, then those of any. */
static void make_mutant(struct mutant *mutant, size_t number)
{
	bool as_it_is = number < vector_count;
	const struct vector *vector = &vectors[as_it_is ? number : draw(vector_count)];

	memcpy(mutant->bytes, vector->bytes, vector->len);
	mutant->len = vector->len;
	for (size_t left = as_it_is ? 0 : 1 + draw(MUTATIONS_MAX); left > 0 && mutant->len > 0;
	     left--)
		mutate(mutant);
}

/* ---- through reader and router ---- */

static struct stream *stream;
static struct xml_reader *reader;
static unsigned asked, answered;

/* Routes all that READER has; false if the stream is over. */
static bool route_all(void)
{
	const struct xml *stanza;
	struct request request;

	for (;;) {
		enum xml_event event = xml_reader_next(reader, &stanza);

		if (event == XML_MORE)
			return true;
		if (event != XML_STANZA && event != XML_SKIPPED)
			return false;
		if (stanza != NULL && is_iq(stanza) && read_request(stream, stanza, &request))
			asked++;
		route_stanza(stream, event, stanza);
	}
}

/* Takes what was sent, which must be whole stanzas. */
static void take_answers(void)
{
	answered += stream_count(buf_data(&stream->output), buf_len(&stream->output));
	buf_consume(&stream->output, buf_len(&stream->output));
	assert(answered + stream->iq_count == asked);
}

#define PING                                                                                       \
	"<iq type='get' id='ping' from='b' to='both.example.org'><ping xmlns='urn:xmpp:ping'/>"    \
	"</iq>"

/* True if the stream lives and is between two stanzas: a ping gets through. */
static bool takes_ping(void)
{
	unsigned before = asked;

	stream_feed(reader, PING, strlen(PING));
	return route_all() && asked == before + 1;
}

static void feed_mutant(const struct mutant *mutant)
{
	bool lives;

	stream_feed(reader, mutant->bytes, mutant->len);
	lives = route_all() && takes_ping();
	take_answers();
	if (lives)
		return;
	xml_reader_free(reader);
	reader = stream_open();
}

/* The modules answer what they still hold when they stop. */
static void start_afresh(void)
{
	if (stream != NULL) {
		publish_send_module.stop();
		take_answers();
		assert(publish_send_module.start(&router_conf) == 0);
		router_stop(stream);
		xml_reader_free(reader);
	}
	asked = answered = 0;
	stream = router_start();
	reader = stream_open();
}

START_TEST(no_mutated_stanza_breaks_it_and_each_request_gets_one_answer)
{
	const char *text = getenv("STANZAS");
	unsigned long count = text == NULL ? STANZAS : strtoul(text, NULL, 10);
	struct mutant *mutant = mem_alloc(1, sizeof(*mutant));

	load_vectors();
	for (unsigned long i = 0; i < count; i++) {
		state = i << 32; /* each mutant can be made by itself */
		if (i % FRESH == 0)
			start_afresh();
		make_mutant(mutant, i);
		if (mutant->len > 0)
			feed_mutant(mutant);
	}
	router_stop(stream);
	xml_reader_free(reader);
	while (vector_count > 0)
		free(vectors[--vector_count].bytes);
	free(mutant);
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		ck_assert_msg(kind_numbers[i] > 0 || count < STANZAS, "none was for %s",
		              services[i]->kind);
	printf("mutated stanzas: %lu\n", count);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		no_mutated_stanza_breaks_it_and_each_request_gets_one_answer,
	};

	return unit_run("route_mutated", tests, ARRAY_LEN(tests), NULL, NULL);
}
