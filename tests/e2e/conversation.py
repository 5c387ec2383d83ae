"""
A component's stream seen from the server, in which every request is counted: each IQ that went out
whole has exactly one answer, and nothing comes that nobody asked for.

    talk = Conversation(server.accept().log_in())
    talk.say(Stanza(text, Request(id, asker, asked, allowed={None})))
    talk.settle()                           # all has been answered, and once
"""

import dataclasses
import itertools
import select
import ssl
import time
from xml.sax.saxutils import quoteattr

from component import ACCEPT, error_of
from harness import PATIENCE, Trouble

PING = "<ping xmlns='urn:xmpp:ping'/>"
RESULT = None  # as error_of() has it
WAIT = ("wait", "internal-server-error")
GONE = ("cancel", "item-not-found")
numbers = itertools.count(1)


@dataclasses.dataclass(eq=False)
class Request:
    """
    An IQ that wants an answer. ASKED: what the answer is to come from; ALLOWED: the outcomes that
    it may have, None: any; NEEDED: False if it may go unanswered.
    """

    id: str
    asker: str
    asked: str
    allowed: set | None = None
    needed: bool = True
    outcome: tuple | None = None  # of the answer, once it is there
    answer: object = None  # the element

    @property
    def key(self):
        return self.id, self.asker, self.asked


@dataclasses.dataclass
class Stanza:
    """What is sent; REQUEST None: nothing may come of it."""

    text: str | bytes
    request: Request | None = None

    @property
    def data(self):
        return self.text.encode() if isinstance(self.text, str) else self.text


def prepared(address, domain):
    """What an answer comes from that was asked for at ADDRESS (None: at our DOMAIN)."""
    if address is None:
        return domain
    bare, slash, resource = address.partition("/")
    local, at, host = bare.rpartition("@")
    return local + at + host.lower() + slash + resource


def new_iq(kind, payload, sender, domain, to="", id=None, more="", **options):
    """The Stanza of an IQ to DOMAIN, or to TO of its (None: to nobody)."""
    id = f"c{next(numbers)}" if id is None else id
    to = domain if to == "" else to
    text = f"<iq type={quoteattr(kind)} id={quoteattr(id)} from={quoteattr(sender)}"
    text += f"{'' if to is None else ' to=' + quoteattr(to)}{more}>{payload}</iq>"
    return Stanza(text, Request(id, sender, prepared(to, domain), **options))


class Conversation:
    """
    A link that is logged in, until it breaks. EARLIER: the one before it, whose requests may be
    answered here if they weren't there.
    """

    def __init__(self, link, earlier=None):
        self.link, self.domain = link, link.server.domain
        self.asked = earlier.asked if earlier else {}  # requests by their key, as they were sent
        for request in self.unanswered():
            request.needed = False
        self.open = 0  # of those that need an answer, without one
        self.last = b""  # what was sent
        link.socket.setblocking(True)

    # Sending

    def say(self, stanza, size=None):
        """Sends STANZA, in pieces of SIZE bytes; reads meanwhile, since neither side may wait."""
        request, self.last = stanza.request, stanza.data
        if request:
            self.asked.setdefault(request.key, []).append(request)
            self.open += request.needed
        self.push(stanza.data, size or len(stanza.data))

    def push(self, data, size):
        end = time.monotonic() + PATIENCE
        while data:
            left = end - time.monotonic()
            readable, writable, _ = select.select([self.link.socket], [self.link.socket], [], left)
            if not readable and not writable:
                raise Trouble("the component reads nothing, and nothing is there to be read")
            if readable:
                self.hear(0)
            if writable:
                self.link.socket.settimeout(0)
                try:
                    data = data[self.link.socket.send(data[:size]) :]
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass

    # Hearing

    def hear(self, timeout):
        """Takes the answers that come within TIMEOUT; False if nothing did."""
        came = self.link.read(timeout)
        for element in self.link.stanzas:
            self.judge(element)
        self.link.stanzas.clear()
        self.link.bytes = self.link.bytes[-2000:]
        if self.link.closed:
            raise Trouble(f"the component closed its stream: {self.link.bytes!r}")
        return came

    def judge(self, element):
        what = f"{element.tag} {[each.tag for each in element]} {repr(element.attrib)[:500]}"
        what += f" after {self.last[:500]}"
        if element.tag == ACCEPT + "message":  # told to a person, who needs no IQ for that
            return
        assert element.tag == ACCEPT + "iq" and element.get("type") in ("result", "error"), what
        key = element.get("id"), element.get("to"), element.get("from")
        waiting = self.asked.get(key)
        assert waiting, f"nobody waits for {what}"
        request = next((one for one in waiting if one.needed), waiting[0])
        waiting.remove(request)
        if not waiting:
            del self.asked[key]
        error = error_of(element)
        request.outcome, request.answer = error and error[:2], element
        allowed = request.allowed is None or request.outcome in request.allowed
        assert allowed, f"{what} is {request.outcome}, not of {request.allowed}"
        self.open -= request.needed

    def ask(self, stanza):
        """Sends STANZA and waits for its answer; gives its outcome."""
        self.say(stanza)
        self.wait(lambda: stanza.request.answer is not None, f"the answer to {stanza.request}")
        return stanza.request.outcome

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                left = repr(self.unanswered())[:2000]
                raise Trouble(f"waited in vain for {what}; unanswered: {left}")
            self.hear(1)

    def settle(self):
        """Waits for all answers; nothing else comes before a last one."""
        self.wait(lambda: self.open == 0, "all answers")
        self.ask(new_iq("get", PING, f"alice@{self.domain}/settle", self.domain, allowed={RESULT}))

    def unanswered(self):
        return [request for each in self.asked.values() for request in each if request.needed]
