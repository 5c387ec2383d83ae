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
 * CAME is called with a stream that a reload added, LEFT with one that it removed, before it goes;
 * LEFT and CAME with one that begins anew.
 * Both NULL: nobody is told. Set by the layer above.
 */
void components_watch(void (*came)(struct stream *stream), void (*left)(struct stream *stream));

/*
 * The stream after PREVIOUS (NULL: the first one), or NULL. They are those of the configuration,
 * and live until LEFT is called or the module stops.
 */
struct stream *components_next(struct stream *previous);

/*
 * Takes over the sections [component ID] of CONFIG, a struct conf: who may do what changes at once
 * and a secret counts from the next connection on, a stream to another server begins anew, new ones
 * are started and those whose section has gone are drained. No other stream is touched.
 */
void components_reload(void *config);

/* True while every component's stream is up, or another gateway has it (standby = yes). */
bool components_all_up(void);

/* Logs each stream's state. */
void components_dump(void);

#endif
