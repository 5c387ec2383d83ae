/* Apple's signing keys (.p8) with the ids of key and team, as a form of credential. Pure. */
#ifndef OG_PUSHD_CREDENTIAL_SIGNING_KEY_H
#define OG_PUSHD_CREDENTIAL_SIGNING_KEY_H

#include "pushd/credential/material.h"

extern const struct credential_form signing_key_form;

#endif
