/*
 * How often a file has a password hashed before it opens (PBKDF2 and the like: RFC 8018, RFC 7292,
 * RFC 7914). Its author chooses that number, and hashing blocks the loop, so it is looked at before
 * anything is decrypted: at most STRETCHING_MAX in one place, and four times that in a file. Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_STRETCHING_H
#define OG_PUSHD_CREDENTIAL_STRETCHING_H

#include <openssl/pkcs12.h>
#include <stdbool.h>
#include <stddef.h>

#define STRETCHING_MAX 100000 /* OpenSSL and the Keychain write 2048 */
#define STRETCHING_TEXT "100000"

/* True if FILE's MAC (PKCS #12), with which its password is tried, may be verified. */
bool stretching_mac_fits(const PKCS12 *file);

/*
 * True if all that is encrypted in FILE, whose MAC was verified, may be decrypted. An encrypted
 * part may hold others, so each is decrypted here with PASSWORD (NULL: none) once its own number
 * fits. A part that doesn't open is passed over.
 */
bool stretching_p12_fits(PKCS12 *file, const char *password);

/* True if all encrypted keys in LEN bytes of PEM may be decrypted. */
bool stretching_pem_fits(const char *bytes, size_t len);

#endif
