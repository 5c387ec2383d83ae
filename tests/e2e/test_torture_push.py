"""Torture of pushd: publishes, retries, registrations and credentials while its calls fail."""

import contextlib
import http.client
import json

import pytest

from certificates import master_key
from harness import Trouble, wait_until
from notify import APNS, COMPONENT, FCM, claim, item, known, register, script
from torture import begin_tortured
from torturer import (
    STEP, Refused, Scenario, call, numbers, torture_each, torture_share, torture_start,
)


class Pushes(Scenario):
    """One notification for DEVICE, of a number of its own, and what PROVIDER gets."""

    provider, usual = APNS, "sent"

    def __init__(self, daemon, torture, fake):
        super().__init__(daemon, torture)
        self.fake, self.next, self.got = fake, 1, set()
        self.device = register(daemon, self.provider)

    def arrived(self, number):
        """True if the notification NUMBER has been accepted."""
        while page := self.fake.control("GET", f"/received?from={self.next}&limit=5000"):
            self.next = page[-1]["n"] + 1
            for request in page:
                body = request["body"] if isinstance(request["body"], dict) else {}
                data = body.get("message", {}).get("data", body)
                if request["answered"] == 200 and "unread-messages" in data:
                    self.got.add(int(data["unread-messages"]))
        return number in self.got

    def send(self):
        """Publishes: (number, outcome)."""
        number = next(numbers)
        summary = {"count": number, "sender": "juliet@example.org", "body": "hello"}
        body = {"deadline_ms": 5000, "notifications": [item(self.device, summary=summary)]}
        answer = call(self.daemon, "POST", "/v1/notifications", body)
        return number, answer["outcomes"][0]["outcome"]

    def run(self):
        number, outcome = self.send()
        assert outcome != "gone", "the device is called gone"
        if outcome == "unavailable":
            raise Refused(outcome)
        if outcome == "sent":
            assert self.arrived(number), "a notification is said to be sent and isn't"
        wait_until(lambda: self.arrived(number), STEP, f"the {outcome} notification {number}")
        if outcome != self.usual:
            raise Refused(outcome)

    def check(self):
        assert known(self.daemon, self.device), "the registration is lost"


class Retry(Pushes):
    """The provider is busy once: the notification is stored, and sent from there."""

    provider, usual = FCM, "queued"

    def send(self):
        script(self.fake, self.device["token"], 503, "UNAVAILABLE", times=1)
        return super().send()


class Registration(Scenario):
    """A device comes, comes again, and goes."""

    def run(self):
        body = claim(APNS)
        answer = call(self.daemon, "POST", "/v1/devices", body)
        again = call(self.daemon, "POST", "/v1/devices", body)
        assert again["node"] == answer["node"], "the same device has another node"
        path = f"/v1/devices/{answer['node']}"
        found = call(self.daemon, "GET", path, okay=(200, 404))
        assert found.get("owner") == body["owner"], f"an acknowledged device is {found}"
        call(self.daemon, "DELETE", path, okay=(200, 204))
        found = call(self.daemon, "GET", path, okay=(200, 404))
        assert "owner" not in found, f"a removed device is {found}"


class Unregister(Scenario):
    """An app unregisters its device over the public listener."""

    def run(self):
        self.device, self.told = None, False
        body = claim(APNS)
        self.device = {**body, **call(self.daemon, "POST", "/v1/devices", body)}
        wanted = {"account": body["owner"], "provider": APNS, "device-token": body["token"]}
        number = next(numbers)
        headers = {"X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                   "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self.daemon.address("public"), timeout=STEP)
        with contextlib.closing(connection):
            try:
                connection.request("POST", f"/unregister-device/{COMPONENT}", json.dumps(wanted),
                                   headers)
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
            except TimeoutError as hung:
                raise Trouble("a public request hangs") from hung
            except (OSError, http.client.HTTPException) as error:
                raise Refused(repr(error)) from error
        if status != 200:
            raise Refused(f"{status} {text}")
        self.told = True

    def check(self):
        if self.told:
            assert not known(self.daemon, self.device), "an unregistered device is still there"


class Credential(Pushes):
    """An operator sets a credential; what is sent after that is sent with it."""

    def run(self):
        body = {"credential": (self.fake.set / "apns.p8").read_text(), "key_id": "FAKEKEY001",
                "team_id": "FAKETEAM01"}
        call(self.daemon, "PUT", f"/v1/providers/{APNS}/credential", body)
        super().run()


def push(stage, redis=None):
    """A pushd, its board, and its providers."""
    fake = stage.providers()
    keys = {"trusted_proxies": "127.0.0.0/8", "master_key_file": master_key(stage.folder),
            "answer_within": "500ms"}
    daemon = stage.pushd("push-1", redis or stage.redis(), fake, start=False, **keys)
    return *begin_tortured(daemon), fake


SCENARIOS = {
    "publish": lambda stage: Pushes(*push(stage)),
    "retry": lambda stage: Retry(*push(stage)),
    "registration": lambda stage: Registration(*push(stage)[:2]),
    "unregister": lambda stage: Unregister(*push(stage)[:2]),
    "credential": lambda stage: Credential(*push(stage)),
}


@pytest.mark.matrix
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_point(bare, name):
    torture_each(SCENARIOS[name](bare))


@pytest.mark.matrix
def test_each_point_of_a_start(bare):
    torture_start(SCENARIOS["publish"](bare))


def test_a_share_of_the_points(bare, drive):
    torture_share([SCENARIOS[drive.random.choice(list(SCENARIOS))](bare)], drive)
