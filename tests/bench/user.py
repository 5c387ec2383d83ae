"""A user of an XMPP server, who asks proxies for their address and activates streams."""

import asyncio

BYTESTREAMS = "http://jabber.org/protocol/bytestreams"
AT_ONCE = 100  # activations that are under way
NAME, PASSWORD = "alice", "secret-of-alice"


class User:
    """Logs in to SERVER on LOOP, which runs only while something is asked."""

    def __init__(self, server, loop):
        from chat import Client  # slixmpp takes a moment to load

        self.loop = loop
        self.client = self.run(self.log_in(Client, server))
        self.jid = self.client.boundjid.full

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def log_in(self, client, server):
        return await client(server, NAME, PASSWORD, "bench").__aenter__()

    def address(self, proxy):
        """host:port of the proxy's streamhost."""
        query = f'<query xmlns="{BYTESTREAMS}"/>'
        host = self.run(self.client.query("get", proxy, query)).xml[0][0]
        return f'{host.get("host")}:{host.get("port")}'

    def activate(self, proxy, streams):
        """STREAMS are (sid, target)."""

        async def activate_all():
            for first in range(0, len(streams), AT_ONCE):
                some = streams[first : first + AT_ONCE]
                await asyncio.gather(*(activate(*stream) for stream in some))

        async def activate(sid, target):
            payload = f'<query xmlns="{BYTESTREAMS}" sid="{sid}">'
            payload += f"<activate>{target}</activate></query>"
            await self.client.query("set", proxy, payload)

        self.run(activate_all())

    def log_out(self):
        self.run(self.client.__aexit__())
