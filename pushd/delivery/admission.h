/*
 * Lets a delivery in: its device is found, its publisher is checked, its priority and its expiry
 * are settled.
 */
#ifndef OG_PUSHD_DELIVERY_ADMISSION_H
#define OG_PUSHD_DELIVERY_ADMISSION_H

#include "pushd/delivery/delivery.h"

/* Looks DELIVERY's device up; then it is dispatched, or ends. */
void admission_start(struct delivery *delivery);

#endif
