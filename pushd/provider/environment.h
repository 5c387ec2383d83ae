/*
 * Which environment of its push service a device token belongs to: with Apple a build from the
 * store gets production tokens, a development build gets sandbox ones. Pure.
 */
#ifndef OG_PUSHD_PROVIDER_ENVIRONMENT_H
#define OG_PUSHD_PROVIDER_ENVIRONMENT_H

enum environment { ENVIRONMENT_UNKNOWN, ENVIRONMENT_PRODUCTION, ENVIRONMENT_SANDBOX };

/* "", "production", "sandbox"; ended by NULL. */
extern const char *const environment_names[];

/* The one of that NAME; ENVIRONMENT_UNKNOWN for any other text and for NULL. */
enum environment environment_find(const char *name);

#endif
