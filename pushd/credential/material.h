/*
 * What a credential is made of, read and examined, in one of the forms that there are: a signing
 * key, a client certificate, a service account. Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_MATERIAL_H
#define OG_PUSHD_CREDENTIAL_MATERIAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATERIAL_FINGERPRINT_SIZE 65 /* 64 hex digits and NUL */

struct credential_form;
struct service_account;

struct material {
	unsigned users;
	const struct credential_form *form;
	char fingerprint[MATERIAL_FINGERPRINT_SIZE]; /* names it; tells nothing of the secret */
	void *secret;                                /* the form's own; NULL: none */
	/* What it says of itself; texts are SECRET's, NULL: nothing. */
	int64_t starts_ms, expires_ms;     /* since 1970; 0: always, never */
	const char *topic;                 /* that it is for */
	const char *project_id;            /* that it belongs to */
	const char *certificate, *tls_key; /* PEM: it is shown by TLS, not in a header */
};

/* Where it is read from; all borrowed. */
struct material_source {
	const char *bytes; /* NUL behind them */
	size_t len;
	const char *password; /* of a certificate; NULL: none */
	const char *key_id;   /* of a key; NULL: as the provider's configuration says */
	const char *team_id;
};

/*
 * What a configured provider says of its credential; its kind fills it in. Texts are borrowed,
 * NULL: it says nothing.
 */
struct credential_wanted {
	const struct credential_form *const *forms; /* that it takes, ended by NULL */
	const char *no_form;          /* what is said of a file that is none of them */
	const char *file_key;         /* the configuration's key that names the file */
	const char *file;             /* NULL: none is configured */
	const char *needed;           /* which keys it needs, for a complaint */
	const char *password;         /* of the file */
	const char *key_id, *team_id; /* of a signing key */
	const char *topic;            /* that it must be for */
	bool sandbox;                 /* it must be for Apple's sandbox, else for production */
	bool for_calls; /* it must be for calls, which alone it is used for; never set by the API */
	bool calls_apart; /* there is another for calls */
	const char *project_id;
	const void *own; /* all keys of the kind, as conf_own() gives them */
};

/* How long a bearer token that is signed here is used. */
struct bearer_life {
	int64_t life_ms;        /* by then it is of no use any more */
	int64_t renew_after_ms; /* from then on a new one is made when one is needed */
	int64_t least_ms;       /* a younger one isn't replaced, whatever the provider says */
};

/*
 * One form of credential. What a function says is wrong is a heap text that goes on after the name
 * of what was read ("has no private key"); NULL: nothing is.
 */
struct credential_form {
	const char *name; /* "key": in the API and in logs */
	/* True if SOURCE looks like it. The first form that says so reads it. */
	bool (*recognise)(const struct material_source *source);
	/* Fills MATERIAL; what it leaves there when it fails is released. */
	char *(*parse)(struct material *material, const struct material_source *source,
	               const struct credential_wanted *wanted);
	/* Whether it is what is wanted. */
	char *(*check)(const struct material *material, const struct credential_wanted *wanted);
	/* What it isn't good for, although it can be used; NULL: the form has no such thing. */
	char *(*lack)(const struct material *material, const struct credential_wanted *wanted);
	/* Frees material->secret. */
	void (*release)(struct material *material);
	/*
	 * What is kept of it: an object whose "text" can be read again, with members of a source;
	 * NULL: the text that it was read from.
	 */
	json_t *(*keep)(const struct material *material);
	/* Adds to ANSWER what people want to know, and a sentence or more to FINDINGS. */
	void (*describe)(const struct material *material, json_t *answer, json_t *findings);
	/* The bearer token: signed here, or got from a token endpoint; both NULL: there is none. */
	char *(*sign)(const struct material *material, const char *origin,
	              int64_t now_s); /* heap */
	const struct service_account *(*account)(const struct material *material);
	struct bearer_life life; /* of a signed one */
	bool per_origin; /* each origin gets a token of its own, ORIGIN of sign; else NULL */
};

/*
 * Reads SOURCE as WANTED says and checks all that doesn't change with time: that it parses, its key
 * matches and has the right curve, its topic fits. NULL with *WHY (heap, the caller frees it).
 */
struct material *material_read(const struct credential_wanted *wanted,
                               const struct material_source *source, char **why);

/* One user more, one user less; the last one frees it. NULL is fine. */
struct material *material_hold(struct material *material);
void material_release(struct material *material);

/* NULL when it is valid at NOW_MS since 1970; else why not: "expired on …". */
char *material_judge_dates(const struct material *material, int64_t now_ms);

bool material_is_valid(const struct material *material, int64_t now_ms);

/* True if its requests carry a bearer token. */
bool material_has_bearer(const struct material *material);

/* What it isn't good for, although it can be used (heap), or NULL. */
char *material_lack(const struct material *material, const struct credential_wanted *wanted);

/* MATERIAL, which was read from SOURCE, as a text to be kept: a secret on the heap. */
char *material_write(const struct material *material, const struct material_source *source);

/* What material_write() has written, read and checked as material_read() does. */
struct material *material_restore(const struct credential_wanted *wanted, const char *text,
                                  char **why);

/* MS since 1970 as a date, "2027-01-31"; heap. */
char *material_date(int64_t ms);

/* For forms: the SHA-256 of TEXTS (ended by NULL), each with its NUL, in hex. */
void material_print_fingerprint(struct material *material, const char *const *texts);

#endif
