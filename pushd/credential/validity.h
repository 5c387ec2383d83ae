/*
 * The daily look at how long credentials last. Every process shows it in a metric; one of the fleet
 * each day, the one that is first to take the day in Redis, logs what ends in 30, 14, 7, 3 and 1
 * days and what has ended, and leaves an event for the gateways, who tell the admins: once for each
 * credential and threshold.
 */
#ifndef OG_PUSHD_CREDENTIAL_VALIDITY_H
#define OG_PUSHD_CREDENTIAL_VALIDITY_H

/* For the daemon's table of modules, after the senders. */
extern const struct daemon_module validity_module;

#endif
