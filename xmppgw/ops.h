/*
 * The operators' listener: /metrics, /healthz, /readyz.
 */
#ifndef OG_XMPPGW_OPS_H
#define OG_XMPPGW_OPS_H

/* Module. */
int ops_start(void *config);
void ops_stop(void);

#endif
