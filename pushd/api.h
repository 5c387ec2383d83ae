/* The internal API: routes, token, the calls about providers. Bodies are in schemas/pushd/. */
#ifndef OG_PUSHD_API_H
#define OG_PUSHD_API_H

/* For the daemon's table of modules. */
int api_start(void *config);
void api_stop(void);

/* The URL under which gateways reach it (borrowed). */
const char *api_url(void);

#endif
