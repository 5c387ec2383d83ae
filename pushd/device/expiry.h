/*
 * The end of devices that nobody renewed. Every pushd looks, in small steps; what one has swept the
 * others don't find any more.
 */
#ifndef OG_PUSHD_DEVICE_EXPIRY_H
#define OG_PUSHD_DEVICE_EXPIRY_H

/* For the daemon's table of modules. */
extern const struct daemon_module expiry_module;

#endif
