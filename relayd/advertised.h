/*
 * The names that clients are told to connect to, looked up once at the start: a name without an
 * address makes every transfer fail, and nothing here would notice. The log warns; nothing else
 * happens, since clients may well see other names than this machine does.
 */
#ifndef OG_RELAYD_ADVERTISED_H
#define OG_RELAYD_ADVERTISED_H

/* Module: begins to look up what `advertise` lists. */
extern const struct daemon_module advertised_module;

#endif
