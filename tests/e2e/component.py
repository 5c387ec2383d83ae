"""The server's end of XEP-0114, byte by byte: for what real XMPP servers only do on a bad day.

    server = ComponentServer("push.example.org")
    link = server.accept()              # a connection, its header read
    link.log_in()                       # header and handshake, checked
    link.send("<iq …/>")
    answer = link.answer("i1")          # the element with that id
"""

import hashlib
import socket
import time
import xml.etree.ElementTree as ET

from harness import HOST, Trouble

ACCEPT = "{jabber:component:accept}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
    "xmlns:stream='http://etherx.jabber.org/streams' id='{id}' from='{domain}'>"
)
GIVEN_UP = 30  # seconds after which servers take a component's answer for lost
ERROR = (
    "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{text}</text></stream:error>"
    "</stream:stream>"
)


class Link:
    """One connection of a component."""

    def __init__(self, server, connection):
        self.server, self.socket = server, connection
        self.parser = ET.XMLPullParser(("start", "end"))
        self.depth = 0
        self.stanzas = []  # whole elements that nobody has taken
        self.header = None
        self.closed = False  # end tag or end of stream
        self.bytes = b""  # all that came

    def read(self, timeout):
        """Reads what comes within TIMEOUT; False if nothing did."""
        self.socket.settimeout(max(timeout, 0.001))
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return False
        except ConnectionError:
            data = b""
        self.bytes += data
        if data:
            self.parser.feed(data)
            self.take_events()
        else:
            self.closed = True
        return True

    def take_events(self):
        for event, element in self.parser.read_events():
            self.depth += 1 if event == "start" else -1
            if event == "start" and self.depth == 1:
                self.header = element
            elif event == "end" and self.depth == 1:
                self.stanzas.append(element)
            elif event == "end" and self.depth == 0:
                self.closed = True

    def wait(self, condition, timeout=120, what="something from the component"):
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value is not None and value is not False:  # an element without children is false
                return value
            if self.closed or time.monotonic() > end:
                raise Trouble(f"waited in vain for {what}; got {self.bytes[-2000:]!r}")
            self.read(end - time.monotonic())

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def open(self, stream_id="stream-1"):
        """Waits for the component's header and sends ours."""
        self.wait(lambda: self.header is not None, what="a stream header")
        self.send(HEADER.format(id=stream_id, domain=self.server.domain))
        self.stream_id = stream_id

    def handshake(self):
        """The component's handshake, whether it is right or not."""
        return self.wait(lambda: self.take(lambda e: e.tag == ACCEPT + "handshake"))

    def log_in(self, stream_id="stream-1"):
        self.open(stream_id)
        wanted = hashlib.sha1((stream_id + self.server.secret).encode()).hexdigest()
        assert self.handshake().text == wanted
        self.send("<handshake/>")
        return self

    def take(self, match):
        for element in self.stanzas:
            if match(element):
                self.stanzas.remove(element)
                return element
        return None

    def answer(self, stanza_id, timeout=GIVEN_UP):
        """The component's reply to the IQ STANZA_ID, while a server would still wait for it."""
        return self.wait(
            lambda: self.take(lambda e: e.get("id") == stanza_id),
            timeout,
            f"the answer to {stanza_id}",
        )

    def ask(self, stanza_id, kind, payload, sender="alice@example.org/phone", to=None):
        """Sends an IQ and gives its reply."""
        self.send(iq(stanza_id, kind, payload, sender, to or self.server.domain))
        return self.answer(stanza_id)

    def wait_closed(self, timeout=120):
        end = time.monotonic() + timeout
        while not self.closed:
            if time.monotonic() > end:
                raise Trouble("the component didn't close its stream")
            self.read(end - time.monotonic())

    def error(self, condition, text=""):
        """Ends the stream as a server does."""
        self.send(ERROR.format(condition=condition, text=text))
        self.close()

    def close(self):
        self.socket.close()


class ComponentServer:
    """A listener for the connections of one component."""

    def __init__(self, domain, secret="the-secret", port=0):
        self.domain, self.secret = domain, secret
        self.listen(port)

    def listen(self, port=0):
        self.socket = socket.create_server((HOST, port))
        self.port = self.socket.getsockname()[1]

    @property
    def section(self):
        """The component's section in the gateway's configuration."""
        return {"server": f"{HOST}:{self.port}", "secret": self.secret}

    def accept(self, timeout=120):
        self.socket.settimeout(timeout)
        try:
            connection, _ = self.socket.accept()
        except TimeoutError:
            raise Trouble(f"no component connected within {timeout} s") from None
        return Link(self, connection)

    def close(self):
        self.socket.close()


def iq(stanza_id, kind, payload, sender, to):
    return f"<iq type='{kind}' id='{stanza_id}' from='{sender}' to='{to}'>{payload}</iq>"


def error_of(answer):
    """(type, condition, text) of an error reply, or None."""
    if answer.get("type") != "error":
        return None
    error = answer.find(ACCEPT + "error")
    condition, *rest = list(error)
    assert condition.tag.startswith(STANZAS), "the condition comes first"
    return error.get("type"), condition.tag[len(STANZAS):], rest[0].text if rest else None
