"""Torture: a scenario is run again and again, each time with another call of a daemon failing.

A scenario runs a few times to count the daemon's calls and to see what its log says; then, for each
call and each way in which it may fail, it runs with that one failing (a point). It may end in a
refusal or an error, but never with a wrong byte, a file that looks whole and isn't, or a push that
was acknowledged and lost. After it the daemon lives, its log or a counter tells that something
failed (unless the call was made again and all worked), it has lost neither memory nor a descriptor,
and the scenario works again. Where memory is gone a daemon may abort with a line that says so; then
all that must hold after the next start.

    torturer = Torturer(scenario)
    for point in chosen(points_of(torturer.prepare())):
        torturer.attempt(point)
    torturer.end()                      # raises if anything was wrong

TORTURE=recv:3 (or recv:3:104, with the errno) is the only point that is tried, TORTURE_TRACE=1
shows where in the daemon it was.
"""

import collections
import http.client
import itertools
import os
import re
import signal

from harness import SANITIZER, Trouble, wait_until
from torture import hangs_up, may_end, passes, points_of

STEP = 60  # seconds after which a call to a daemon is taken for hung
CLEAN_RUNS = 4  # before the points: they show what the log says if nothing fails
FAILURES_MAX = 12
LEAKS_EVERY = 20  # points
HUNG_UP = re.compile("Remote end closed connection|Connection reset by peer|Broken pipe")
numbers = itertools.count(1)


class Refused(Exception):
    """The scenario ended early, and its user was told so or cut off."""


def call(daemon, method, path, body=None, okay=(200,)):
    """Calls the API; Refused unless it answers one of OKAY."""
    try:
        status, answer = daemon.call(method, path, body)
    except TimeoutError as hung:
        raise Trouble(f"{method} {path} of {daemon.name} hangs") from hung
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{method} {path}: {error!r}") from error
    if status not in okay:
        raise Refused(f"{method} {path}: {status} {answer}")
    return answer


class Scenario:
    """What is done with DAEMON, which is tortured meanwhile."""

    def __init__(self, daemon, torture):
        self.daemon, self.torture = daemon, torture

    def run(self):
        """Does it. Refused: it ended early; any other exception is a fault of the daemon."""
        raise NotImplementedError

    def check(self):
        """What has to hold for the last run, once no call fails any more."""

    def served(self):
        """True when the daemon serves again."""
        try:
            return self.daemon.call("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def works(scenario):
    """True if it does: the daemons know of each other."""
    try:
        scenario.run()
        return True
    except Refused:
        scenario.served()
        return False


def signature(line):
    """What a log line says, without what differs from one time to the next."""
    words = line.split()
    if len(words) < 4:
        return line
    telling = re.findall(r"\b(?:reason|outcome|status|code|why|failure|result)=(?:\"[^\"]*\"|\S+)",
                         line)
    return re.sub(r"\d+", "N", " ".join([words[1], words[3], *telling]))


class Torturer:
    """Runs SCENARIO at points, and keeps what was wrong."""

    def __init__(self, scenario):
        self.scenario, self.daemon = scenario, scenario.daemon
        self.torture = scenario.torture
        self.tried, self.missed = collections.Counter(), collections.Counter()
        self.failures, self.unchecked = [], []
        self.usual, self.usual_counters, self.descriptors = set(), set(), 0
        self.counted = 0  # points that only a counter tells of

    def prepare(self):
        """Runs it without faults: what the log says then, what is open then; the calls made."""
        wait_until(self.works, what="the scenario to work")
        for _ in range(CLEAN_RUNS):
            read, moved = self.reader(), self.counters()
            with self.torture.watching():
                self.scenario.run()
            self.scenario.check()
            self.usual |= {signature(line) for line in read()}
            self.usual_counters |= moved()
        self.descriptors = self.settled_descriptors()
        return self.torture.counts()

    def works(self):
        return works(self.scenario)

    def settled_descriptors(self):
        """How many are open when nothing goes on: the number stays for a while."""
        seen = []

        def stays():
            seen.append(self.torture.descriptors())
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        wait_until(stays, what="the descriptors to settle")
        return seen[-1]

    def reader(self):
        """A function that gives the daemon's log lines from now on."""
        begin = self.daemon.log.stat().st_size

        def read():
            with open(self.daemon.log, "rb") as log:
                log.seek(begin)
                return log.read().decode(errors="replace").splitlines()

        return read

    def counters(self):
        """A function that gives the counters that have moved from now on."""

        def look():
            _, text = self.daemon.call("GET", "/metrics", token=None)
            return {tuple(line.rsplit(" ", 1)) for line in text.splitlines() if "_total" in line}

        before = look()
        return lambda: {name for name, _ in look() - before}

    def try_point(self, point):
        """One run with POINT failing, and what has to follow."""
        read, moved = self.reader(), self.counters()
        with self.torture.watching(point):
            try:
                self.scenario.run()
                end = "worked"
            except Refused as refused:
                end = str(refused)
        struck = self.torture.struck
        (self.tried if struck else self.missed)[point.kind] += 1
        wait_until(lambda: self.scenario.served() or not self.daemon.alive, what="it to serve")
        if not self.daemon.alive:
            self.start_again(point, read)
        self.scenario.check()
        told = self.check_log(read)
        quiet = end == "worked" and passes(point) or HUNG_UP.search(end) and hangs_up(point)
        if struck and not told and not quiet:
            assert moved() - self.usual_counters, f"no log line, no counter tells of it: {end}"
            self.counted += 1
        read = self.reader()
        wait_until(self.works, STEP, "the scenario to work again")
        self.scenario.check()
        wait_until(lambda: read() or not self.usual, STEP, "its log to go on")
        wait_until(lambda: self.torture.descriptors() <= self.descriptors, STEP,
                   f"the descriptors to become {self.descriptors} again")
        self.unchecked.append(point)
        if len(self.unchecked) >= LEAKS_EVERY:
            self.check_leaks()

    def check_log(self, read):
        """The lines that aren't there without a fault; none may tell of a crash."""
        lines = read()
        text = "\n".join(lines)
        assert not SANITIZER.search(text), text[-5000:]
        return {signature(line) for line in lines} - self.usual

    def check_leaks(self):
        points, self.unchecked = self.unchecked, []
        if points and self.torture.leaks(self.scenario.served):
            raise Trouble(f"memory is lost after {', '.join(map(str, points))}")

    def attempt(self, point):
        """Like try_point(), but keeps a failure; the daemon is started again if it has ended."""
        try:
            self.try_point(point)
        except Exception as failure:
            self.failures.append(f"{point}: {type(failure).__name__}: {failure}")
            print(self.failures[-1], flush=True)
            self.recover()

    def start_again(self, point, read):
        """The daemon has ended: it may, where memory is gone, and says so."""
        status, text = self.daemon.wait_exit(), "\n".join(read())
        assert may_end(point) and status == -signal.SIGABRT and "panic reason=" in text, (
            f"it has ended with status {status}: {text[-5000:]}")
        self.unchecked = []
        self.daemon.start()
        wait_until(self.works, what="the scenario to work after a start")

    def recover(self):
        """After a failure: the daemon runs, and what is open now counts as usual."""
        self.unchecked = []
        if not self.daemon.alive:
            self.daemon.start()
        wait_until(self.works, what="the scenario to work again")
        self.descriptors = max(self.descriptors, self.settled_descriptors())

    def end(self):
        self.check_leaks()
        tried, missed = sum(self.tried.values()), sum(self.missed.values())
        print(f"{type(self.scenario).__name__} {self.daemon.name}: {tried} points, {missed} not "
              f"reached, {self.counted} only counted; {dict(sorted(self.tried.items()))}",
              flush=True)
        assert not self.failures, "\n\n".join(self.failures)


def chosen(points):
    """All of them, or those that the environment names."""
    wanted = os.environ.get("TORTURE")
    if not wanted:
        return points
    kind, *numbers = wanted.split(":")
    return [point for point in points if point.kind == kind and
            [point.first, point.fault][:len(numbers)] == list(map(int, numbers))]


class Start:
    """Starts DAEMON with a call failing: it serves all the same, or says why not and ends."""

    def __init__(self, scenario):
        self.scenario, self.daemon = scenario, scenario.daemon
        self.torture = scenario.torture
        self.serving, self.ended = collections.Counter(), collections.Counter()

    def start(self, point=None):
        """Starts it with POINT failing, and waits until it serves or has ended."""
        self.daemon.stop()
        with self.torture.watching(point):
            self.daemon.start(wait=False)
            wait_until(lambda: not self.daemon.alive or self.serves(), what="it to serve or to end")

    def serves(self):
        listening = f"listening what={self.daemon.listener} "
        return listening in self.daemon.log_text() and self.scenario.served()

    def try_point(self, point):
        self.start(point)
        text = self.daemon.log_text()
        assert not SANITIZER.search(text), text[-5000:]
        if self.daemon.alive:
            self.serving[point.kind] += 1
            wait_until(lambda: works(self.scenario), what="the scenario to work")
            return
        self.ended[point.kind] += 1
        status = self.daemon.wait_exit()
        said = re.search(r" error \S+: |\.conf|OG_TORTURE", text)
        assert status in (1, -signal.SIGABRT) and said, f"status {status}: {text}"


def torture_each(scenario):
    """Every point of SCENARIO."""
    torturer = Torturer(scenario)
    for point in chosen(points_of(torturer.prepare())):
        if len(torturer.failures) < FAILURES_MAX:
            torturer.attempt(point)
    torturer.end()


def torture_share(scenarios, drive):
    """Points of SCENARIOS that the dice choose."""
    drive.seconds /= 2  # three files have a share
    torturers = [Torturer(scenario) for scenario in scenarios]
    points = [points_of(torturer.prepare()) for torturer in torturers]
    for _ in drive:
        number = drive.random.randrange(len(torturers))
        torturers[number].attempt(drive.random.choice(points[number]))
    for torturer in torturers:
        torturer.end()


def torture_start(scenario):
    """Every point of a start of SCENARIO's daemon."""
    start, failures = Start(scenario), []
    start.start()
    for point in chosen(points_of(start.torture.counts())):
        try:
            start.try_point(point)
        except Exception as failure:
            failures.append(f"{point}: {type(failure).__name__}: {failure}")
            print(failures[-1], flush=True)
    print(f"start of {start.daemon.name}: serving {dict(start.serving)}, ended {dict(start.ended)}")
    start.start()
    wait_until(lambda: works(scenario), what="the scenario to work")
    assert not failures, "\n\n".join(failures)
