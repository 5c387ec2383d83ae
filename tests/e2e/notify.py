"""Calls of pushd's internal API, as a gateway makes them, and looks at what the providers got."""

import itertools
import random
import threading

from harness import wait_until

APNS, FCM = "apns-binary-api", "fcm-xmpp-api"
COMPONENT, DOMAIN = "push.example.org", "example.org"
IN_FLIGHT = "outrigger_pushd_requests_in_flight"
HELD = 3600000  # a delay_ms that nobody lives to see the end of

counter = itertools.count(1)


def apns_token():
    return "".join(random.choices("0123456789abcdef", k=64))


def fcm_token():
    return f"fcm-{next(counter)}:APA91b{random.getrandbits(64):x}"


def new_owner():
    return f"user{next(counter)}@{DOMAIN}"


def claim(provider=APNS, **more):
    """The body of a registration; a fresh owner and token unless MORE says otherwise."""
    token = apns_token() if provider == APNS else fcm_token()
    body = {"component": COMPONENT, "owner": new_owner(), "provider": provider, "token": token}
    return {**body, "dialect": "tigase", **more}


def register(push, provider=APNS, **more):
    """Registers a device: its claim, with node and secret."""
    body = claim(provider, **more)
    status, answer = push.call("POST", "/v1/devices", body)
    assert status == 200, answer
    return {**body, **answer}


def item(device, **more):
    """A notification for DEVICE; without MORE, one that says nothing."""
    return {"component": COMPONENT, "domain": DOMAIN, "node": device["node"], **more}


def publish(push, *items, deadline_ms=8000):
    """The outcomes of ITEMS."""
    body = {"deadline_ms": deadline_ms, "notifications": list(items)}
    status, answer = push.call("POST", "/v1/notifications", body)
    assert status == 200, answer
    assert len(answer["outcomes"]) == len(items)
    return answer["outcomes"]


def outcome(push, device, deadline_ms=8000, **more):
    """The outcome of one notification, as a word."""
    return publish(push, item(device, **more), deadline_ms=deadline_ms)[0]["outcome"]


def script(fake, token, status=None, reason=None, times=None, **answer):
    """Makes the provider answer the next TIMES (None: all) requests for TOKEN that way."""
    match = {"token": token} if times is None else {"token": token, "times": times}
    if status is not None:
        answer["status"] = status
    if reason is not None:
        answer["reason"] = reason
    fake.script({"match": match, "answer": answer})


def got(fake, token):
    """The requests that came for TOKEN, in their order."""

    def is_for(request):
        body = request["body"]
        message = body.get("message", {}) if isinstance(body, dict) else {}
        return request["path"].endswith("/" + token) or message.get("token") == token

    return [request for request in fake.received() if is_for(request)]


def known(push, device):
    """True while DEVICE is registered."""
    status, _ = push.call("GET", f"/v1/devices/{device['node']}")
    assert status in (200, 404)
    return status == 200


def metric(push, name, **label):
    """A metric's number."""
    _, text = push.call("GET", "/metrics")
    labels = ",".join(f'{key}="{value}"' for key, value in label.items())
    wanted = f"{name}{{{labels}}} " if labels else f"{name} "
    for line in text.splitlines():
        if line.startswith(wanted):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def meanwhile(push, act, *items, fake=None, **more):
    """
    The outcomes of ITEMS; ACT is called once the first of them is on the wire. What FAKE holds back
    (delay_ms=HELD) is answered after that.
    """
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.extend(publish(push, *items, **more)))
    before = metric(push, IN_FLIGHT)
    thread.start()
    wait_until(lambda: metric(push, IN_FLIGHT) > before)
    act()
    while fake and thread.is_alive():
        fake.hasten()
        thread.join(0.02)
    thread.join()
    return outcomes


def sooner(push, fake, provider, work):
    """
    What WORK returns: it has to end before a call is answered whose device PROVIDER says nothing
    about, which is the case when answer-within is over.
    """
    device, answers = register(push, provider), []
    script(fake, device["token"], silent=True, times=1)
    silent = lambda: answers.append(outcome(push, device, deadline_ms=60000))
    thread = threading.Thread(target=silent)
    before = metric(push, IN_FLIGHT)
    thread.start()
    wait_until(lambda: metric(push, IN_FLIGHT) > before)
    result = work()
    assert answers == [], "it came too late"
    thread.join()
    assert answers == ["queued"]
    return result
