/*
 * Asks a running daemon whether it is well, for container health checks: one HTTP/1.0 GET on a
 * numeric address. It uses neither the loop nor libcurl: linking libcurl would cost relayd a
 * megabyte of private memory for the sake of one request by another process.
 */
#ifndef OG_COMMON_HEALTH_H
#define OG_COMMON_HEALTH_H

#include <stddef.h>

/*
 * GETs URL ("http://127.0.0.1:7650/healthz"; 0.0.0.0 and [::] are asked at 127.0.0.1) within
 * TIMEOUT_MS. 0 when the answer's status is 200, else -1 with the reason in WHY.
 */
int health_ask(const char *url, int timeout_ms, char *why, size_t why_size);

#endif
