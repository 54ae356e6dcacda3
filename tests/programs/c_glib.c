/* SPDX-License-Identifier: MIT */
/* needs: libglib2.0-dev pc:gio-2.0 */
/* needs: gcc gcc */
/* build: cc -Wall -Wextra -o {out}/run {file} $(pkg-config --cflags --libs gio-2.0) */
/* run: {out}/run {host} {port} */
/* set: fast */
/* glib: GSocketClient, synchronous and ten at once, with its time-out. */
#include <gio/gio.h>
#include <stdlib.h>

#define MANY 10

static int left = MANY;
static GHashTable *said;

/* With several addresses to a name, which one is reached first is for glib's own clock to decide: shown once only. */
static char *outcome(GSocketConnection *c, GError *e, gboolean detail)
{
	GIOStream *io = G_IO_STREAM(c);
	GSocketAddress *peer;
	char got[6] = "", *text, *host;

	if (!c) {
		text = g_strdup_printf("%s %d %s", g_quark_to_string(e->domain), e->code, e->message);
		g_error_free(e);
		return text;
	}
	g_output_stream_write_all(g_io_stream_get_output_stream(io), "hello", 5, NULL, NULL, NULL);
	g_input_stream_read_all(g_io_stream_get_input_stream(io), got, 5, NULL, NULL, NULL);
	peer = g_socket_connection_get_remote_address(c, NULL);
	host = g_inet_address_to_string(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(peer)));
	text = !detail ? g_strdup(got) : g_strdup_printf("%s %s %d", got, host, g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(peer)));
	g_free(host);
	g_object_unref(peer);
	g_object_unref(c);
	return text;
}

static void on_connect(GObject *client, GAsyncResult *result, gpointer loop)
{
	GError *e = NULL;
	GSocketConnection *c = g_socket_client_connect_to_host_finish(G_SOCKET_CLIENT(client), result, &e);
	char *text = outcome(c, e, FALSE);

	g_hash_table_insert(said, text, GINT_TO_POINTER(GPOINTER_TO_INT(g_hash_table_lookup(said, text)) + 1));
	if (--left == 0)
		g_main_loop_quit(loop);
}

int main(int argc, char *argv[])
{
	GSocketClient *client = g_socket_client_new();
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	GError *e = NULL;
	GSocketConnection *c;
	GHashTableIter it;
	gpointer text, n;

	if (argc < 3)
		return 2;
	said = g_hash_table_new(g_str_hash, g_str_equal);
	g_socket_client_set_timeout(client, 1);
	c = g_socket_client_connect_to_host(client, argv[1], (guint16)atoi(argv[2]), NULL, &e);
	g_print("%s\n", outcome(c, e, TRUE));
	for (int i = 0; i < MANY; i++)
		g_socket_client_connect_to_host_async(client, argv[1], (guint16)atoi(argv[2]), NULL, on_connect, loop);
	g_main_loop_run(loop);
	g_hash_table_iter_init(&it, said);
	while (g_hash_table_iter_next(&it, &text, &n))
		g_print("%d %s\n", GPOINTER_TO_INT(n), (char *)text);
	return 0;
}
