/*
 * The operators' listener: /metrics, /healthz, /readyz.
 */
#ifndef OG_XMPPGW_OPS_H
#define OG_XMPPGW_OPS_H

/* Module. */
extern const struct daemon_module ops_module;

#endif
