/*
 * libpurple without a window; ../README.md says what it is told and what it prints. It has no port
 * for a direct connection, so its files go through a proxy.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <purple.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UI "headless"

static const char *folder;
static const char *proxy;
static GMainLoop *loop;
static PurpleAccount *account;

/* Text in one line. */
static void show(const char *text)
{
	char *line = g_strdelimit(g_strdup(text == NULL ? "" : text), "\r\n", ' ');

	printf("shown %s\n", line);
	g_free(line);
}

/* libpurple's loop is GLib's. */

struct watch {
	PurpleInputFunction function;
	void *data;
};

static gboolean on_watched(GIOChannel *channel, GIOCondition condition, void *data)
{
	const struct watch *watch = data;
	int seen = 0;

	if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
		seen |= PURPLE_INPUT_READ;
	if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL))
		seen |= PURPLE_INPUT_WRITE;
	watch->function(watch->data, g_io_channel_unix_get_fd(channel), seen);
	return TRUE;
}

static guint input_add(int fd, PurpleInputCondition wanted, PurpleInputFunction function,
                       void *data)
{
	struct watch *watch = g_new0(struct watch, 1);
	GIOChannel *channel = g_io_channel_unix_new(fd);
	int events = 0;
	guint id;

	watch->function = function;
	watch->data = data;
	if (wanted & PURPLE_INPUT_READ)
		events |= G_IO_IN | G_IO_HUP | G_IO_ERR;
	if (wanted & PURPLE_INPUT_WRITE)
		events |= G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL;
	id = g_io_add_watch_full(channel, G_PRIORITY_DEFAULT, events, on_watched, watch, g_free);
	g_io_channel_unref(channel);
	return id;
}

static PurpleEventLoopUiOps event_loop = {
	.timeout_add = g_timeout_add,
	.timeout_remove = g_source_remove,
	.input_add = input_add,
	.input_remove = g_source_remove,
	.timeout_add_seconds = g_timeout_add_seconds,
};

/* Windows */

static void *notify_message(PurpleNotifyMsgType type, const char *title, const char *primary,
                            const char *secondary)
{
	char *text =
	        g_strdup_printf("%s: %s %s", title == NULL ? "" : title,
	                        primary == NULL ? "" : primary, secondary == NULL ? "" : secondary);

	show(text);
	g_free(text);
	return NULL;
}

static void *notify_formatted(const char *title, const char *primary, const char *secondary,
                              const char *html)
{
	char *text = purple_markup_strip_html(html);

	notify_message(PURPLE_NOTIFY_MSG_INFO, title, primary, text);
	g_free(text);
	return NULL;
}

static PurpleNotifyUiOps windows = {
	.notify_message = notify_message,
	.notify_formatted = notify_formatted,
};

/* Transfers */

static void on_offered(PurpleXfer *xfer, void *data)
{
	char *path = g_build_filename(folder, purple_xfer_get_filename(xfer), NULL);

	purple_xfer_request_accepted(xfer, path);
	g_free(path);
}

static void on_ended(PurpleXfer *xfer, void *data)
{
	const char *outcome = "failed";
	char *name = g_path_get_basename(purple_xfer_get_local_filename(xfer));

	if (purple_xfer_is_completed(xfer))
		outcome = "complete";
	else if (purple_xfer_get_status(xfer) == PURPLE_XFER_STATUS_CANCEL_LOCAL)
		outcome = "cancelled";
	printf("ended %s %s %s\n",
	       purple_xfer_get_type(xfer) == PURPLE_XFER_SEND ? "sent" : "received", name, outcome);
	g_free(name);
}

static void cancel_all(void)
{
	GList *all = g_list_copy(purple_xfers_get_all());

	for (GList *link = all; link != NULL; link = link->next)
		if (!purple_xfer_is_canceled(link->data) && !purple_xfer_is_completed(link->data))
			purple_xfer_cancel_local(link->data);
	g_list_free(all);
}

/* Commands */

static void obey(char *line)
{
	char **words = g_strsplit(line, " ", 3);

	if (g_strcmp0(words[0], "send") == 0 && g_strv_length(words) == 3)
		serv_send_file(purple_account_get_connection(account), words[1], words[2]);
	else if (g_strcmp0(words[0], "cancel") == 0)
		cancel_all();
	else if (g_strcmp0(words[0], "quit") == 0)
		g_main_loop_quit(loop);
	g_strfreev(words);
}

static gboolean on_command(GIOChannel *commands, GIOCondition condition, void *data)
{
	char *line = NULL;

	while (g_io_channel_read_line(commands, &line, NULL, NULL, NULL) == G_IO_STATUS_NORMAL) {
		obey(g_strchomp(line));
		g_free(line);
	}
	return TRUE;
}

/* Opened for writing too: so the FIFO has no end. */
static void read_commands(const char *path)
{
	GIOChannel *commands = g_io_channel_unix_new(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));

	g_io_add_watch(commands, G_IO_IN, on_command, NULL);
}

/* Logging in */

/*
 * The list of proxies is no part of the interface, but their addresses come in answers to IQs, of
 * which there is a signal.
 */
static gboolean on_iq(PurpleConnection *connection, const char *type, const char *id,
                      const char *from, xmlnode *iq, void *data)
{
	if (g_strcmp0(from, proxy) == 0 && xmlnode_get_child(iq, "query/streamhost") != NULL)
		puts("online");
	return FALSE;
}

static void on_error(PurpleConnection *connection, PurpleConnectionError error, const char *text)
{
	show(text);
	exit(1);
}

/* The one port that direct connections may use is taken. */
static void take_port(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 1) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		perror("a port");
		exit(1);
	}
	purple_prefs_set_bool("/purple/network/ports_range_use", TRUE);
	purple_prefs_set_int("/purple/network/ports_range_start", ntohs(address.sin6_port));
	purple_prefs_set_int("/purple/network/ports_range_end", ntohs(address.sin6_port));
}

static void log_in(char **arguments)
{
	account = purple_account_new(arguments[0], "prpl-jabber");
	purple_account_set_password(account, arguments[1]);
	purple_account_set_string(account, "connect_server", arguments[2]);
	purple_account_set_int(account, "port", atoi(arguments[3]));
	purple_account_set_string(account, "connection_security", "opportunistic_tls");
	purple_account_set_string(account, "ft_proxies", "");
	purple_account_set_bool(account, "auth_plain_in_clear", TRUE);
	purple_accounts_add(account);
	purple_account_set_enabled(account, UI, TRUE);
	purple_savedstatus_activate(purple_savedstatus_new(NULL, PURPLE_STATUS_AVAILABLE));
}

static void watch_signals(void)
{
	static int handle;
	void *xfers = purple_xfers_get_handle();
	static const char *const ends[] = { "file-recv-complete", "file-send-complete",
		                            "file-recv-cancel", "file-send-cancel" };

	purple_signal_connect(xfers, "file-recv-request", &handle, PURPLE_CALLBACK(on_offered),
	                      NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
		purple_signal_connect(xfers, ends[i], &handle, PURPLE_CALLBACK(on_ended), NULL);
	purple_signal_connect(purple_connections_get_handle(), "connection-error", &handle,
	                      PURPLE_CALLBACK(on_error), NULL);
	purple_signal_connect(purple_plugins_find_with_id("prpl-jabber"), "jabber-receiving-iq",
	                      &handle, PURPLE_CALLBACK(on_iq), NULL);
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fputs("usage: purple JID PASSWORD HOST PORT PROXY FOLDER COMMANDS\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	proxy = argv[5];
	folder = argv[6];
	loop = g_main_loop_new(NULL, FALSE);
	purple_util_set_user_dir(folder);
	purple_debug_set_enabled(getenv("PURPLE_DEBUG") != NULL);
	purple_eventloop_set_ui_ops(&event_loop);
	if (!purple_core_init(UI)) {
		fputs("libpurple doesn't start\n", stderr);
		return 1;
	}
	purple_notify_set_ui_ops(&windows);
	purple_set_blist(purple_blist_new());
	take_port();
	watch_signals();
	read_commands(argv[7]);
	log_in(argv + 1);
	g_main_loop_run(loop);
	purple_core_quit();
	return 0;
}
