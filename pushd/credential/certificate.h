/*
 * An APNs client certificate with its key, read out of a .p12 or PEM file and examined: whose it
 * is, for which topics and environments, and how long. Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_CERTIFICATE_H
#define OG_PUSHD_CREDENTIAL_CERTIFICATE_H

#include <stdbool.h>

#include "pushd/credential/material.h"

/* What stands behind an app's topic in that of its calls. */
#define CERTIFICATE_CALLS ".voip"

/* Certificates as a form of credential: PEM, or a .p12 (DER). */
extern const struct credential_form certificate_form;

/* False if MATERIAL is a certificate that isn't for the calls of the app TOPIC. */
bool certificate_allows_calls(const struct material *material, const char *topic);

#endif
