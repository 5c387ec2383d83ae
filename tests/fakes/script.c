#include "tests/fakes/script.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/rule.h"

static void free_chain(struct rule *rule)
{
	while (rule != NULL) {
		struct rule *next = rule->next;

		rule_free(rule);
		rule = next;
	}
}

/* Puts RULE at the end of CHAIN. */
static void append(struct rule *chain, struct rule *rule)
{
	while (chain->next != NULL)
		chain = chain->next;
	chain->next = rule;
}

/* The head of the chain is the map's value and stays in place: its token is the key. */
static void add_rule(struct script *script, struct rule *rule)
{
	struct rule *chain = script->any;

	rule->next = NULL;
	rule->post = script->posts;
	script->count++;
	if (rule->token != NULL)
		chain = map_get(&script->by_token, rule->token, strlen(rule->token));
	if (chain != NULL)
		append(chain, rule);
	else if (rule->token != NULL)
		map_put(&script->by_token, rule->token, strlen(rule->token), rule);
	else
		script->any = rule;
}

/* All rules as one chain; NULL after a complaint or when there are none. */
static struct rule *read_rules(struct json_object *top, size_t count, int64_t now_ms)
{
	struct rule *first = NULL, **end = &first;

	for (size_t i = 0; i < count; i++) {
		*end = rule_read(top, i, now_ms);
		if (*end == NULL) {
			free_chain(first);
			return NULL;
		}
		end = &(*end)->next;
	}
	return first;
}

size_t script_add(struct script *script, const json_t *rules, int64_t now_ms,
                  struct json_reader *reader)
{
	json_t *wrapped = json_object();
	struct json_object top;
	struct rule *rule, *next;
	size_t count;

	json_object_set(wrapped, "rules", (json_t *)rules);
	top = json_object_top(reader, wrapped);
	count = json_array_count(&top, "rules", SCRIPT_RULES_MAX - script->count, true);
	script->posts++;
	for (rule = read_rules(&top, count, now_ms); rule != NULL; rule = next) {
		next = rule->next;
		add_rule(script, rule);
	}
	json_decref(wrapped);
	return json_reader_ok(reader) ? count : 0;
}

/* Lets each rule of CHAIN count REQUEST; the one that answers it, or BEST. */
static struct rule *choose(struct rule *chain, const struct request *request, int64_t now_ms,
                           struct rule *best)
{
	for (struct rule *rule = chain; rule != NULL; rule = rule->next) {
		if (rule_wants(rule, request, now_ms) && (best == NULL || rule->post > best->post))
			best = rule;
	}
	return best;
}

const struct scripted *script_match(struct script *script, const struct request *request,
                                    int64_t now_ms)
{
	struct rule *best = NULL, *chain = NULL;

	if (script->count == 0)
		return NULL;
	if (request->token != NULL)
		chain = map_get(&script->by_token, request->token, strlen(request->token));
	best = choose(chain, request, now_ms, best);
	best = choose(script->any, request, now_ms, best);
	return best == NULL ? NULL : &best->answer;
}

void script_clear(struct script *script)
{
	struct rule *chain;
	size_t cursor = 0;

	while ((chain = map_next(&script->by_token, &cursor)) != NULL)
		free_chain(chain);
	map_release(&script->by_token);
	free_chain(script->any);
	memset(script, 0, sizeof(*script));
}
