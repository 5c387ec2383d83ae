/*
 * Removes the devices that nobody renewed, in small steps. Every pushd looks; a device that one has
 * removed the others don't find any more.
 */
#ifndef OG_PUSHD_DEVICE_SWEEP_H
#define OG_PUSHD_DEVICE_SWEEP_H

#include "common/daemon.h"

/* For the daemon's table of modules. */
extern const struct daemon_module sweep_module;

#endif
