/*
 * All components of this gateway: one stream to an XMPP server for each that is configured.
 */
#ifndef OG_XMPPGW_COMPONENT_COMPONENTS_H
#define OG_XMPPGW_COMPONENT_COMPONENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "xmppgw/component/stream.h"

/*
 * Module. Draining stops reading, closes each stream once every IQ that it brought is answered, and
 * then ends the process.
 */
extern const struct daemon_module components_module;

/*
 * Whom all streams hand their stanzas to, as in struct stream. Set before the module starts, by
 * the layer above.
 */
void components_on_stanza(void (*on_stanza)(struct stream *stream, enum xml_event event,
                                            const struct xml *element));

/*
 * The stream after PREVIOUS (NULL: the first one) in the order of the configuration, or NULL. They
 * live from start to stop.
 */
struct stream *components_next(struct stream *previous);

/* True while every component's stream is up, or another gateway has it (standby = yes). */
bool components_all_up(void);

/* Logs each stream's state. */
void components_dump(void);

#endif
