/*
 * POST /v1/devices/{node}/test: sends an operator's notification to one device, as a publish of the
 * owner's server would be sent, and answers what became of it with the device's last verdicts.
 */
#ifndef OG_PUSHD_API_TRIAL_H
#define OG_PUSHD_API_TRIAL_H

#include "common/http/http_route.h"

extern const struct http_route trial_routes[];

#endif
