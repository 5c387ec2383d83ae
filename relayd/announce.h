/*
 * How this relay is found: its record in the registry, from which gateways choose the address that
 * they give to clients and the API that they call. Without Redis there is no record.
 *
 * The names that clients are told (`advertise`) are looked up once at the start, and the log warns
 * of one without an address: every transfer would fail, and nothing else here would notice. The
 * record keeps it all the same, since clients may see other names than this machine does.
 */
#ifndef OG_RELAYD_ANNOUNCE_H
#define OG_RELAYD_ANNOUNCE_H

/* Module, after the listener and the API's server. Draining rewrites the record at once. */
extern const struct daemon_module announce_module;

#endif
