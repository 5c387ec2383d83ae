"""What goes on in a stack while a test does something to it: transfers, publishes, HTTPS calls.

Each is a thread that keeps an account of what it was promised; a test ends it, and then looks
whether all promises were kept.
"""

import collections
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time

import bytestream as bs
import component
from harness import Trouble, wait_until
from notify import APNS, FCM, claim

BLOCK = 16 * 1024
PAUSE = 0.05  # between a transfer's blocks: about 300 KiB/s
PUSH_JID, LOAD_DOMAIN, LOAD_SECRET = "push.example.org", "load.example.org", "load"
DEVICES = 12
OUTSTANDING = 8
PUBLISH_PAUSE = 0.05
ANSWER_WITHIN = 40


# Transfers


class Transfer(threading.Thread):
    """
    A transfer through STACK's relays that goes on until finish(): from the requester to the target
    at a pace. PORTS: where its two halves come in; default: the balancer. NAMESPACE: where its
    clients are.
    """

    under_way = set()

    def __init__(self, stack, ports=None, host="127.0.0.1", namespace=None):
        super().__init__(daemon=True)
        one, two = ports or (stack.relay_port, stack.relay_port)
        call = namespace.call if namespace else lambda function, *a, **o: function(*a, **o)
        self.name, self.began = bs.new_hash(), time.monotonic()
        self.source = call(bs.half, None, self.name, address=f"{host}:{one}")
        self.sink = call(bs.half, None, self.name, address=f"{host}:{two}")
        for half in (self.source, self.sink):
            half.settimeout(None)  # a direction may be silent for long
        self.owner = self.activate(stack)
        self.halves = self.owner.call("GET", f"/v1/streams/{self.name}")[1]["halves"]
        hosts = {half["address"].rsplit(":", 1)[0] for half in self.halves}
        others = [r for r in stack.relays() if r != self.owner and r.address() in hosts]
        self.relays = [self.owner, *others]  # that its bytes go through
        self.finishing = threading.Event()
        self.sent, self.digest, self.error = 0, hashlib.sha256(), None
        self.back, self.there = bs.Receiver(self.source), bs.Receiver(self.sink)
        self.under_way.add(self)
        self.start()

    def activate(self, stack):
        """The relay that has the stream, which is active then."""
        for relay in stack.relays():
            if bs.activate(relay, self.name)[0] == 200:
                return relay
        raise Trouble(f"no relay has the stream {self.name}")

    @classmethod
    def eventually(cls, stack, **options):
        """One that begins as soon as it can: a service has just come back."""

        def begin():
            try:
                return cls(stack, **options)
            except (OSError, AssertionError, Trouble):
                return None

        return wait_until(begin, 60, "a transfer")

    def run(self):
        block = os.urandom(BLOCK)
        try:
            while not self.finishing.is_set():
                self.source.sendall(block)
                self.sent += len(block)
                self.digest.update(block)
                time.sleep(PAUSE)
            self.source.shutdown(socket.SHUT_WR)
            self.there.join()
            self.sink.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = error
        finally:
            self.under_way.discard(self)

    def wait_bytes(self, count=4 * BLOCK):
        """Until COUNT bytes more have come through."""
        wanted = self.there.count + count
        wait_until(lambda: self.there.count >= wanted, 60, f"{count} bytes more of {self.name}")

    def wait_seconds(self, seconds):
        """Until it has gone on for SECONDS."""
        wait_until(lambda: time.monotonic() - self.began > seconds, seconds + 5, "time to pass")

    def finish(self):
        """Ends it in order."""
        self.finishing.set()
        return self

    def check_whole(self, seconds=0):
        """Both ends have the same bytes, and both have seen an orderly end."""
        self.join(120)
        count, digest, ended = self.there.result()
        assert (count, ended) == (self.sent, "end"), (self.name, self.sent, count, self.error)
        assert digest == self.digest.hexdigest()
        assert self.back.result()[2] == "end"
        assert time.monotonic() - self.began >= seconds
        self.close()

    def check_cut(self, ends):
        """It ended before its time, for both sides, each in one of ENDS."""
        back, there = self.back.result(120)[2], self.there.result(120)[2]
        assert not self.finishing.is_set()
        self.finishing.set()
        self.join(120)
        if isinstance(self.error, ConnectionResetError):
            back = "reset"  # who sends may be told of it before who reads, and then alone
        assert {back, there} <= set(ends), (self.name, back, there)
        self.close()

    def close(self):
        self.source.close()
        self.sink.close()


def bridged(stack):
    """A transfer whose halves are on two relays."""
    for _ in range(20):
        transfer = Transfer(stack)
        if len(transfer.relays) == 2:
            return transfer
        transfer.finish().check_whole()
    raise Trouble("of 20 transfers none has its halves on two relays")


# Publishes


class Client:
    """A component's own end of XEP-0114, over tests/e2e/component.py's stream."""

    def __init__(self, address):
        server = collections.namedtuple("Server", "domain")(LOAD_DOMAIN)
        self.link = component.Link(server, socket.create_connection(address, 5))
        self.link.send(
            "<stream:stream xmlns='jabber:component:accept' "
            f"xmlns:stream='http://etherx.jabber.org/streams' to='{LOAD_DOMAIN}'>"
        )
        self.link.wait(lambda: self.link.header is not None, 10, "Prosody's header")
        key = self.link.header.get("id") + LOAD_SECRET
        self.link.send(f"<handshake>{hashlib.sha1(key.encode()).hexdigest()}</handshake>")
        self.link.wait(lambda: self.link.take(is_handshake), 10, "Prosody's handshake")

    def publish(self, id, node, text):
        fields = {
            "FORM_TYPE": "urn:xmpp:push:summary",
            "message-count": "1",
            "last-message-sender": "juliet@example.org",
            "last-message-body": text,
        }
        form = "".join(f"<field var='{k}'><value>{v}</value></field>" for k, v in fields.items())
        payload = (
            f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item>"
            f"<notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data'>{form}</x>"
            "</notification></item></publish></pubsub>"
        )
        self.link.send(component.iq(id, "set", payload, LOAD_DOMAIN, PUSH_JID))

    def answers(self, timeout):
        """The answers that have come, or come within TIMEOUT."""
        if not self.link.stanzas:
            self.link.read(timeout)
        if self.link.closed:
            raise ConnectionError("Prosody has closed the stream")
        found, self.link.stanzas = self.link.stanzas, []
        return found

    def close(self):
        self.link.close()


def is_handshake(element):
    return element.tag == component.ACCEPT + "handshake"


class Publishes(threading.Thread):
    """
    Publishes through Prosody and the gateway, as a server whose users have registered: numbered
    notes, of which `promised` has those that were answered "result". Errors that say "later" and
    answers that never came are no promises; an error that ends a registration is a fault.
    """

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.ending = stack, threading.Event()
        self.promised, self.waiting, self.words = set(), {}, collections.Counter()
        self.number, self.fault, self.client = 0, None, None
        self.nodes = [self.register(n) for n in range(DEVICES)]
        self.start()
        self.wait_promises()

    def register(self, number):
        body = claim(APNS if number % 2 else FCM, owner=f"user{number}@{LOAD_DOMAIN}")
        status, answer = self.stack.containers("pushd")[0].call("POST", "/v1/devices", body)
        assert status == 200, answer
        return answer["node"]

    def run(self):
        try:
            while not self.ending.is_set() or self.waiting:
                try:
                    self.step()
                except (OSError, Trouble):
                    self.lose()
        except Exception as fault:  # told to the test by check()
            self.fault = fault

    def step(self):
        if self.client is None:
            for prosody in self.stack.containers("prosody"):
                self.client = Client((prosody.address(), 5347))
            if self.client is None:
                raise ConnectionError("Prosody isn't there")
        if not self.ending.is_set() and len(self.waiting) < OUTSTANDING:
            self.number += 1
            self.waiting[f"n{self.number}"] = time.monotonic()
            node = self.nodes[self.number % DEVICES]
            self.client.publish(f"n{self.number}", node, f"note-{self.number}.")
        for answer in self.client.answers(PUBLISH_PAUSE):
            self.note(answer)
        late = time.monotonic() - ANSWER_WITHIN
        for id in [id for id, since in self.waiting.items() if since < late]:
            del self.waiting[id]
            self.words["no answer"] += 1

    def note(self, answer):
        if self.waiting.pop(answer.get("id"), None) is None:
            return
        error = component.error_of(answer)
        self.words[error[1] if error else "result"] += 1
        if error is None:
            self.promised.add(int(answer.get("id")[1:]))

    def lose(self):
        """The stream is gone, and with it the answers that were to come."""
        self.words["no answer"] += len(self.waiting)
        self.waiting = {}
        if self.client is not None:
            self.client.close()
            self.client = None
        self.ending.wait(0.2)

    def wait_promises(self, count=10):
        """Until COUNT more were promised."""
        wanted = len(self.promised) + count
        what = f"{count} promised pushes more; {self.words} {self.fault}"
        wait_until(lambda: len(self.promised) >= wanted, 90, what)

    def check(self):
        """Ends it. Each promised push is at a provider, once Redis has none that waits."""
        self.ending.set()
        self.join(ANSWER_WITHIN + 30)
        assert self.fault is None and not self.is_alive(), self.fault
        assert self.words["item-not-found"] == 0, self.words
        stack = self.stack
        wait_until(lambda: stack.redis("ZCARD", "og:push:notes") == 0, 120, "an empty queue")
        missing = self.promised - delivered(stack)
        assert not missing, f"{len(missing)} promised pushes are lost: {sorted(missing)[:20]}"
        return self.words


def delivered(stack):
    """The numbers of the notes that the providers took."""
    found, first, most = set(), 0, 5000
    while True:
        page = stack.providers("GET", f"/received?from={first}&limit={most}")
        taken = [record for record in page if record["answered"] == 200]
        found |= {int(n) for n in re.findall(r"note-(\d+)\.", json.dumps(taken))}
        if len(page) < most:
            return found
        first = page[-1]["n"] + 1


# HTTPS calls


class Calls(threading.Thread):
    """
    Apps that unregister by HTTPS, each call on a connection of its own, while a certificate from
    TRUSTED (PEM files) is shown: `failed` has what went wrong, `seen` the certificates.
    """

    def __init__(self, stack, *trusted):
        super().__init__(daemon=True)
        self.stack, self.trusted = stack, trusted
        self.ending = threading.Event()
        self.failed, self.seen, self.count = [], [], 0
        self.start()

    def run(self):
        while not self.ending.wait(0.1):
            try:
                status, _, certificate = unregister(self.stack, self.trusted)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                continue
            self.count += 1
            if certificate not in self.seen:
                self.seen.append(certificate)
            if status not in (200, 429):  # an address may only ask so often
                self.failed.append(status)

    def wait_calls(self, count=5):
        wanted = self.count + count
        wait_until(lambda: self.count >= wanted or self.failed, 60, "HTTPS calls")

    def check(self):
        self.ending.set()
        self.join(30)
        assert self.failed == []
        return self.seen


def unregister(stack, trusted, account=f"nobody@{LOAD_DOMAIN}", token="none"):
    """An app's call on the published port: (status, answer, the certificate as DER)."""
    context = ssl.create_default_context()
    for pem in trusted:
        context.load_verify_locations(pem)
    body = json.dumps({"account": account, "provider": APNS, "device-token": token})
    with socket.create_connection(("127.0.0.1", stack.https_port), 20) as link:
        with context.wrap_socket(link, server_hostname=PUSH_JID) as tls:
            certificate = tls.getpeercert(True)
            connection = http.client.HTTPConnection(PUSH_JID)
            connection.sock = tls
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/unregister-device/{PUSH_JID}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), certificate
