/* Random UUIDs (RFC 9562, version 4), lower case, as APNs wants its apns-id. */
#ifndef OG_PUSHD_SENDER_UUID_H
#define OG_PUSHD_SENDER_UUID_H

#define UUID_TEXT 37 /* with its NUL */

void uuid_make(char text[UUID_TEXT]);

#endif
