/*
 * Warns before credentials end. Every process shows in a metric how long they last. The first of
 * the fleet that sees one end within 30, 14, 7, 3 or 1 days, or sees that it has ended, logs it and
 * leaves an event for the gateways, who tell the admins: once for each credential and threshold.
 */
#ifndef OG_PUSHD_CREDENTIAL_EXPIRY_WARNING_H
#define OG_PUSHD_CREDENTIAL_EXPIRY_WARNING_H

/* For the daemon's table of modules, after the senders. */
extern const struct daemon_module expiry_warning_module;

#endif
