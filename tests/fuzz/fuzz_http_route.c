/* A request line: method, blank, path. */
#include "common/http/http_route.h"

#include "common/text/percent.h"
#include "tests/fuzz/fuzz.h"

static void handle(struct http_request *request)
{
}

static const struct http_route routes[] = {
	{ "GET", "/v1/streams", handle },
	{ "GET", "/v1/streams/{hash}", handle },
	{ "DELETE", "/v1/streams/{hash}", handle },
	{ "POST", "/v1/streams/{hash}/activate", handle },
	{ "POST", "/rest/push/unregister-device/{jid}", handle },
	{ "PUT", "/v1/{one}/by/{two}", handle },
	{ NULL },
};

static void check_percent(const char *text)
{
	char *encoded = percent_encode(text);
	char *decoded = percent_decode(encoded, strlen(encoded));

	assert(decoded != NULL && strcmp(decoded, text) == 0);
	free(decoded);
	free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *line = fuzz_rest(&input), *path = strchr(line, ' ');
	char *params[HTTP_PARAMS_MAX] = { 0 };
	struct buf allow = { 0 };

	if (path != NULL) {
		*path++ = '\0';
		(void)http_route_find(routes, line, path, params, &allow);
		for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
			assert(params[i] == NULL || params[i][0] != '\0');
		http_route_free_params(params);
		check_percent(path);
	}
	buf_release(&allow);
	free(line);
	return 0;
}
