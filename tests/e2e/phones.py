"""
Honest phones beside all that misbehaves: each is registered by its app, its server publishes to it,
and every publish that was answered well has to be one push.

    phones = Phones(fake)
    phone = phones.add(talk, APNS)          # TALK: a Conversation of the push component
    talk.say(phones.publish(phone))
    phones.check()
"""

import collections
import itertools

from conversation import GONE, RESULT, WAIT, new_iq
from harness import wait_until
from notify import APNS, apns_token, fcm_token
from test_xmppgw import DOMAIN, command, fields_of, publish

numbers = itertools.count(1)


class Phone:
    def __init__(self, provider, owner, number):
        self.provider, self.owner, self.id = provider, owner, f"phone-{number}"
        self.token = apns_token() if provider == APNS else fcm_token()
        self.node = self.secret = None
        self.requests = []  # publishes

    def registration(self):
        """What its app asks for: Siskin for APNs, Conversations for FCM."""
        if self.provider == APNS:
            return command("register-device", provider=APNS, device_token=self.token)
        return command("register-push-fcm", token=self.token, android_id=self.id)

    def removal(self):
        if self.provider == APNS:
            return command("unregister-device", device_token=self.token)
        return command("unregister-push-fcm", android_id=self.id)


class Phones:
    """Those whose registrations nothing may cost. The providers FAKE are only asked here."""

    def __init__(self, fake):
        self.fake, self.all = fake, []
        self.pushed, self.next = collections.Counter(), 0

    def add(self, talk, provider):
        number = next(numbers)
        phone = Phone(provider, f"honest{number}@{DOMAIN}", number)
        self.register(talk, phone)
        self.all.append(phone)
        return phone

    def register(self, talk, phone):
        """Registers PHONE, or renews its registration, which gives it what it had."""

        def registered():
            asked = new_iq("set", phone.registration(), f"{phone.owner}/phone", talk.domain)
            return talk.ask(asked) is RESULT and asked.request

        answer = wait_until(registered, what="a registration").answer
        fields = fields_of(answer, "result" if phone.provider == APNS else "form")
        got = [fields.get(name, (None, [None]))[1][0] for name in ("node", "secret")]
        assert phone.node in (None, got[0]) and phone.secret in (None, got[1]), "another node"
        phone.node, phone.secret = got

    def remove(self, talk, phone):
        """Its user has had enough."""
        removal = lambda: new_iq("set", phone.removal(), f"{phone.owner}/phone", talk.domain)
        wait_until(lambda: talk.ask(removal()) in (RESULT, GONE), what="it to be unregistered")
        self.all.remove(phone)

    def publish(self, phone, component, body="Hello", **options):
        """The Stanza with which its server publishes."""
        payload = publish(phone.node, body, phone.secret)
        stanza = new_iq("set", payload, DOMAIN, component, allowed={RESULT, WAIT}, **options)
        phone.requests.append(stanza.request)
        return stanza

    def reach(self, talk):
        """Publishes to each until it has another push."""
        for phone in self.all:
            until = lambda: talk.ask(self.publish(phone, talk.domain)) is RESULT
            wait_until(until, what="a publish that is answered well")
        self.check()

    def check(self):
        """Each publish that was answered well was a push, and none was more than one."""
        for phone in self.all:
            done = [one for one in phone.requests if one.answer is not None]
            good = sum(one.outcome is RESULT for one in done)
            wait_until(lambda: self.count(phone) >= good, what=f"{good} pushes")
            assert self.count(phone) <= len(phone.requests), f"{phone.token} was told twice"

    def count(self, phone):
        """How many pushes it has had."""
        for request in self.fake.received(self.next):
            self.next = request["n"] + 1
            body = request["body"] if isinstance(request["body"], dict) else {}
            token = body.get("message", {}).get("token") or request["path"].rsplit("/")[-1]
            self.pushed[token] += 1
        return self.pushed[phone.token]
