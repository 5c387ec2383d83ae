/*
 * All ad-hoc commands of a component, and who may run which. A command is a struct in a file of its
 * own, a line here and a row in commands.c.
 */
#ifndef OG_XMPPGW_COMMANDS_COMMANDS_H
#define OG_XMPPGW_COMMANDS_COMMANDS_H

#include "xmppgw/adhoc/adhoc.h"

/* registration.c: Tigase's commands by which a client's device is registered for push. */
extern const struct adhoc_command command_register_device, command_unregister_device;
/* p2.c: the commands of Conversations' family, by which devices are registered and renewed. */
extern const struct adhoc_command command_register_push_fcm, command_unregister_push_fcm;
extern const struct adhoc_command command_register_push_apns, command_unregister_push_apns;
/* limits.c: limits of users and domains, which relayd keeps. */
extern const struct adhoc_command command_show_limits, command_set_limits;
/* usage.c: the bytes of a month by user, domain, relay and in all, as relayd counts them. */
extern const struct adhoc_command command_show_usage;
/* transfers.c: the records of transfers that ended, the newest first, by user, domain and time. */
extern const struct adhoc_command command_list_transfers;
/* streams.c: the bytestreams that live, over all relays. */
extern const struct adhoc_command command_list_streams, command_cut_stream;
/* relays.c: the relays of the registry. */
extern const struct adhoc_command command_list_relays, command_drain_relay;

/* devices.c: the push devices of an account. */
extern const struct adhoc_command command_list_devices, command_show_device, command_delete_device,
        command_test_push;
/* forget.c: what push daemons and relays know of an account. */
extern const struct adhoc_command command_forget_account;
/* credentials.c: what pushd's providers are authorised with. */
extern const struct adhoc_command command_list_credentials, command_set_apns_certificate,
        command_set_fcm_account;
/* push_daemons.c: the push daemons of the registry, what they did and what they have to do. */
extern const struct adhoc_command command_show_push_statistics, command_show_queue,
        command_list_push_daemons, command_drain_push_daemon;

/* What becomes of a request for a command. */
enum commands_access { COMMANDS_UNKNOWN, COMMANDS_FORBIDDEN, COMMANDS_ALLOWED };

/*
 * Finds the command NODE (*COMMAND may become NULL), and says whether the component of STREAM has
 * it for the JID FROM.
 */
enum commands_access commands_find(const char *node, const struct stream *stream, const char *from,
                                   const struct adhoc_command **command);

/*
 * The command after PREVIOUS (NULL: the first one) that FROM may run on STREAM's component and that
 * is offered now; NULL at the end.
 */
const struct adhoc_command *commands_next(const struct adhoc_command *previous,
                                          const struct stream *stream, const char *from);

/* A row of the route table. */
extern const struct iq_service commands_service;

#endif
