"""Killed processes, a provider in trouble and a lost Redis, under load: nothing that was promised
is lost, nothing comes twice without need, no registration goes without cause.

A device's notifications are numbered, in message-count: what is promised for number N is kept when
N arrives, when a newer one does (which has replaced it), when it waits in the store for a device
that is to be left alone, or when the provider called the device dead. OG_SEED repeats a run's
choices (not its timing).
"""

import collections
import datetime
import http.client
import json
import os
import random
import re
import threading
import time

import pytest

from harness import TOKEN, Trouble, wait_until
from notify import APNS, FCM, claim, item, known, metric
from push_indexes import check_push_indexes

RESULTS = ("sent", "queued", "merged")
NOBODY_KNOWS = "nobody knows"
WORDS = (*RESULTS, "gone", "unavailable", NOBODY_KNOWS)
BATCH_MOST = 12
DEADLINE_MS = 4000
ANSWER_WITHIN_MS = 300
SECOND_MS = 1000
CUT_IS_NOTED_MS = 100  # a sender goes on before the other side has seen the end


@pytest.fixture
def seed():
    value = int(os.environ.get("OG_SEED", random.SystemRandom().randrange(1 << 31)))
    print(f"OG_SEED={value}")
    return value


def iso_ms(text):
    """Milliseconds since 1970 of a log line's time."""
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp() * SECOND_MS


class Api:
    """One connection to whichever of PUSHES serves; made anew when it breaks."""

    def __init__(self, pushes, chance):
        self.pushes, self.chance, self.connection = pushes, chance, None

    def connect(self):
        push = self.chance.choice(self.pushes)
        host, port = push.address("api").rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def post(self, path, body):
        """(status, answer), or None when nobody can say what came of it."""
        try:
            if self.connection is None:
                self.connect()
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            self.connection.request("POST", path, json.dumps(body), headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError, Trouble):
            self.close()
            return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Device:
    """A registration, and what was answered to each of its numbered notifications."""

    def __init__(self, claimed):
        self.claimed, self.token = claimed, claimed["token"]
        self.last, self.answers, self.gone = 0, {}, False

    def next_item(self, chance):
        """A message, or now and then only its count, which is of low priority."""
        self.last += 1
        summary = {"count": self.last}
        if chance.random() < 0.8:
            summary.update(sender="juliet@example.org", body=f"message {self.last}")
        return item(self.claimed, summary=summary)


class Load(threading.Thread):
    """Publishes to devices of its own, batch after batch, until it is told to end."""

    def __init__(self, pushes, seed, count):
        super().__init__(daemon=True)
        self.chance = random.Random(seed)
        self.api = Api(pushes, self.chance)
        self.ending = threading.Event()
        self.words = collections.Counter(dict.fromkeys(WORDS, 0))
        self.fault = None
        self.retired = []  # devices that are gone, each with another in its place
        self.devices = [self.new_device() for _ in range(count)]

    def new_device(self):
        body = claim(self.chance.choice((APNS, FCM)))
        while not self.ending.is_set():
            status, answer = self.api.post("/v1/devices", body) or (0, None)
            if status == 200:
                return Device({**body, **answer})
            assert status in (0, 503), answer
        return None

    def run(self):
        try:
            while not self.ending.is_set():
                self.publish()
        except Exception as fault:  # told to the test by stop()
            self.fault = fault
        finally:
            self.api.close()

    def publish(self):
        chosen = self.chance.sample(self.devices, self.chance.randint(1, BATCH_MOST))
        items = [device.next_item(self.chance) for device in chosen]
        body = {"deadline_ms": DEADLINE_MS, "notifications": items}
        status, answer = self.api.post("/v1/notifications", body) or (0, None)
        if status != 200:
            assert status in (0, 503), answer
            outcomes = [{"outcome": NOBODY_KNOWS}] * len(items)
        else:
            outcomes = answer["outcomes"]
        for device, one in zip(chosen, outcomes):
            device.answers[device.last] = one["outcome"]
            self.words[one["outcome"]] += 1
            if one["outcome"] == "gone":
                self.replace(device)

    def replace(self, device):
        device.gone = True
        self.retired.append(device)
        fresh = self.new_device()
        if fresh is not None:
            self.devices[self.devices.index(device)] = fresh
        else:
            self.devices.remove(device)

    def stop(self):
        self.ending.set()
        self.join(60)
        if self.fault:
            raise self.fault


class Chaos:
    """Redis, the fake, two pushd and the load on them; and what has to be true in the end."""

    def __init__(self, stage, seed, loads=3, devices=80, **keys):
        self.chance = random.Random(seed)
        self.redis = stage.redis()
        self.fake = stage.providers()
        sections = self.fake.provider_sections()
        sections = {id: {**section, "interval": "150ms"} for id, section in sections.items()}
        keys = {"answer_within": f"{ANSWER_WITHIN_MS}ms", "lease": "5s", **keys}
        self.pushes = [stage.pushd(f"push-{number}", self.redis, providers=sections, **keys)
                       for number in (1, 2)]
        self.loads = [Load(self.pushes, self.chance.random(), devices) for _ in range(loads)]
        self.outages = []  # [from, to] in ms since 1970, each from a kill until all serves again
        self.requests = collections.defaultdict(list)  # by device token
        self.details = collections.defaultdict(list)  # by token and number, to be shown
        self.next = 1  # the next that is read

    def begin(self):
        for load in self.loads:
            load.start()

    def requests_came(self):
        return sum(one["requests"] for one in self.fake.stats()["providers"].values())

    def wait_for_more(self, least, most):
        """Until a random number of further requests has come: a random moment under load."""
        wanted = self.requests_came() + self.chance.randint(least, most)
        wait_until(lambda: self.requests_came() >= wanted, what="more requests")

    def restart(self, process, meanwhile=lambda: None):
        """Kills PROCESS, starts it after MEANWHILE, and waits until all serves again."""
        self.outages.append([time.time() * SECOND_MS, None])
        process.kill()
        meanwhile()
        process.start()
        wait_until(lambda: all(push.call("GET", "/readyz")[0] == 200 for push in self.pushes))
        self.outages[-1][1] = time.time() * SECOND_MS

    @property
    def words(self):
        """How often each outcome was answered."""
        return sum((load.words for load in self.loads), collections.Counter())

    def stored(self):
        """What waits in Redis, as the number of its notification by node."""
        numbers = {}
        for key in self.redis.command("KEYS", "og:push:note:*"):
            flat = self.redis.command("HGETALL", key)
            note = dict(zip(flat[::2], flat[1::2]))
            if note:
                count = note.get("count") or json.loads(note["item"])["summary"]["count"]
                numbers[note["node"]] = max(int(count), numbers.get(note["node"], 0))
        return numbers

    def read_requests(self):
        """Reads what has come since the last time."""
        while page := self.fake.control("GET", f"/received?from={self.next}&limit=5000"):
            self.next = page[-1]["n"] + 1
            for request in page:
                self.note(request)

    def settled(self):
        """True when nothing waits but for devices that are to be left alone for a minute."""
        self.read_requests()
        tokens = {device.claimed["node"]: device.token for device in self.devices}
        return all(any(answered == 429 for _, answered, _, _ in self.requests[tokens[node]])
                   for node in self.stored())

    def end(self, timeout=180):
        """Ends the load, waits until nothing is on its way and reads what has arrived."""
        for load in self.loads:
            load.stop()
        wait_until(self.settled, timeout, "the store to empty")
        for push in self.pushes:
            wait_until(lambda: metric(push, "outrigger_pushd_requests_in_flight") == 0)
        self.read_requests()

    def note(self, request):
        if request["provider"] == "apns":
            token, data = request["path"].rsplit("/", 1)[1], request["body"]
        elif request["provider"] == "fcm":
            token, data = request["body"]["message"]["token"], request["body"]["message"]["data"]
        else:
            return
        number = int(data["unread-messages"])
        told = request["answered"], request.get("reason")
        self.requests[token].append((number, *told, request["at_ms"]))
        self.details[token, number].append({**request, "headers": None, "body": data, "id":
                                            request["headers"].get("apns-id")})

    @property
    def devices(self):
        return [device for load in self.loads for device in load.devices + load.retired]

    def arrived(self, device):
        """The times at which each number was accepted."""
        times = collections.defaultdict(list)
        for number, answered, _, at_ms in self.requests[device.token]:
            if answered == 200:
                times[number].append(at_ms)
        return times

    def called_dead(self, device):
        return any(reason in ("Unregistered", "UNREGISTERED")
                   for _, _, reason, _ in self.requests[device.token])

    def lost(self):
        """What was promised and not kept."""
        found, stored = [], self.stored()
        for device in self.devices:
            arrived = self.arrived(device)
            newest = max(*arrived, stored.get(device.claimed["node"], 0), 0)
            for number, word in device.answers.items():
                kept = number in arrived if word == "sent" else number <= newest
                if word in RESULTS and not kept and not self.called_dead(device):
                    found.append((device.token[:12], number, word, newest, device.last))
        return found

    def duplicates(self):
        """(all, those that no unknown outcome explains)."""
        every, odd = [], []
        for device in self.devices:
            for number, times in self.arrived(device).items():
                if len(times) > 1:
                    every.append((device.token[:12], number, times))
                    requests = self.details[device.token, number]
                    if not self.killed_meanwhile(times) and not self.cut_meanwhile(requests):
                        word = device.answers.get(number)
                        odd.append((word, *requests))
        return every, odd

    def cut_meanwhile(self, requests):
        """True if the connection that brought the first one had ended when the last one came: the
        answer may have got lost with it."""
        first, *_, last = [one for one in requests if one["answered"] == 200]
        pattern = rf"^(\S+) .* connection-ended id={first['connection']} "
        ended = re.search(pattern, self.fake.log_text(), re.M)
        return ended and iso_ms(ended.group(1)) <= last["at_ms"] + CUT_IS_NOTED_MS

    def killed_meanwhile(self, times):
        """True if something was away while the first was under way, or before the last came: Redis
        may have what it couldn't acknowledge, and a pushd that died may have sent what it had."""
        begin = min(times) - ANSWER_WITHIN_MS - SECOND_MS
        return any(begin <= back and killed <= max(times) for killed, back in self.outages)

    def check_store(self):
        if not any(answered == 429 for one in self.requests.values() for _, answered, _, _ in one):
            for pattern in ("og:push:note:*", "og:push:queue:*", "og:push:slot:*"):
                assert not self.redis.command("KEYS", pattern)
        check_push_indexes(self.redis)

    def check_registrations(self):
        """Gone if and only if the provider said so."""
        for device in self.devices:
            assert known(self.pushes[0], device.claimed) == (not self.called_dead(device)), (
                device.token[:12], device.gone, self.requests[device.token][-3:])

    def report(self):
        words = self.words
        every, odd = self.duplicates()
        print(dict(words), "requests", sum(map(len, self.requests.values())), "twice", len(every))
        return words, every, odd

    def check(self):
        words, _, odd = self.report()
        assert not self.lost()
        assert not odd
        self.check_store()
        self.check_registrations()
        assert sum(words[word] for word in RESULTS) > sum(words.values()) / 2
        return words


def slow_answers(chaos, seed, share=0.1):
    """So that some have no verdict in time, and are stored while they are on the wire."""
    chaos.fake.script({"match": {"share": share, "seed": seed},
                       "answer": {"delay_ms": 2 * ANSWER_WITHIN_MS}})


@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.matrix)])
def test_pushd_killed_again_and_again_loses_nothing(bare, seed, times):
    chaos = Chaos(bare, seed)
    slow_answers(chaos, seed)
    chaos.begin()
    kills = 0
    while kills < times or not (chaos.words["merged"] and chaos.words[NOBODY_KNOWS]):
        kills += 1
        assert kills < 10 * times
        chaos.wait_for_more(20, 200)
        chaos.restart(chaos.chance.choice(chaos.pushes))
    chaos.wait_for_more(20, 200)
    chaos.end()
    words = chaos.check()
    assert words["queued"] and words["merged"] and words[NOBODY_KNOWS]
    assert not words["gone"]


@pytest.mark.parametrize("times", [2, pytest.param(5, marks=pytest.mark.matrix)])
def test_redis_killed_again_and_again_loses_nothing(bare, seed, times):
    chaos = Chaos(bare, seed)
    slow_answers(chaos, seed)
    chaos.begin()
    for _ in range(times):
        chaos.wait_for_more(100, 400)
        before = chaos.words["unavailable"]
        chaos.restart(chaos.redis, lambda: wait_until(
            lambda: chaos.words["unavailable"] > before))
    chaos.wait_for_more(100, 400)
    chaos.end()
    words = chaos.check()
    assert words["queued"] and words["unavailable"]
    assert not words["gone"]


def trouble(seed):
    """What both providers say now and then instead of 200; a timestamp of 1 is long ago."""
    now_and_then = {"retry-after": "1"}
    for provider, dead, hot in ((APNS, "Unregistered", "TooManyRequests"),
                                (FCM, "UNREGISTERED", "QUOTA_EXCEEDED")):
        name = provider.split("-")[0]
        shares = [(0.01, {"reason": dead}), (0.01, {"reason": hot, "headers": now_and_then})]
        if provider == APNS:
            shares.append((0.005, {"reason": "ExpiredToken", "timestamp": 1}))
        for share, answer in shares:
            seed += 1
            yield {"match": {"provider": name, "share": share, "seed": seed}, "answer": answer}
        busy = {"status": 503, "headers": now_and_then}
        yield {"match": {"provider": name, "every": 1000}, "answer": busy}
        yield {"match": {"provider": name, "every": 1999}, "answer": {"goaway": {}}}


def had_all_trouble(fake):
    """True once each provider has done all that is scripted."""
    stats = fake.stats()["providers"]
    return all({"429", "503"} <= stats[name]["statuses"].keys() and
               {"goaway", "silent"} <= stats[name]["faults"].keys() for name in ("apns", "fcm"))


@pytest.mark.matrix  # each kind of its trouble alone is in test_push_errors and test_push_sender
def test_a_provider_in_trouble_loses_nothing_and_costs_no_registration(bare, seed):
    chaos = Chaos(bare, seed, lease="20s")
    slow_answers(chaos, seed, 0.01)
    chaos.fake.script(*trouble(seed))
    chaos.begin()
    chaos.wait_for_more(3000, 4000)
    chaos.fake.script({"match": {"for_ms": 30000}, "answer": {"silent": True}})
    wait_until(lambda: "silent" in str(chaos.fake.stats()["providers"]))
    time.sleep(30)  # it is to be silence under load
    chaos.wait_for_more(500, 1000)
    wait_until(lambda: had_all_trouble(chaos.fake), 300, what="each kind of trouble")
    chaos.end()
    words = chaos.check()
    assert words["queued"] and words["gone"]
    kept = [device for device in chaos.devices if not device.gone and any(
        reason == "ExpiredToken" for _, _, reason, _ in chaos.requests[device.token])]
    assert kept
