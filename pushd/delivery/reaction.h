/* What a delivery does when its sender is done with it: by the provider's verdict. */
#ifndef OG_PUSHD_DELIVERY_REACTION_H
#define OG_PUSHD_DELIVERY_REACTION_H

#include "pushd/delivery/delivery.h"

/* DELIVERY's job has its judgement. */
void reaction_start(struct delivery *delivery);

#endif
