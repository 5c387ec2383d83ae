"""The push bench as tables, targets and a plot."""

import notify
import report
from push_runners import EACH, LABELS
from report import Samples, Target

PACKAGES = ["libcurl4", "libnghttp2-14", "libssl3", "libmicrohttpd12", "redis-server"]
PACKAGES += ["nghttp2-client"]
TITLES = {
    "h2load": "h2load",
    "libcurl": "bare libcurl loop",
    "sender": "pushd's sender alone",
    **{f"api {each}": f"pushd through its API, {each} per call" for each in EACH},
}
SHORT = {"h2load": "h2load", "libcurl": "bare libcurl", "sender": "sender alone"}
SHORT.update({f"api {each}": f"API, {each} per call" for each in EACH})


class Found:
    """What was measured; what failed or was left out is None or empty."""

    def __init__(self, found):
        self.found = found

    def __getitem__(self, name):
        return self.found.get(name) or {}

    def samples(self, provider, runner, base=None, figure="per_cpu_second", at="0"):
        """A runner's figure in each round, or in parts of BASE's in the same one."""
        rounds = [round[provider] for round in self["rates"].get(at, [])]
        return Samples(
            round[runner][figure] / (round[base][figure] if base else 1)
            for round in rounds
            if runner in round
        )

    def path(self, what, figure):
        return Samples(run[figure] for run in self["path"].get(what, []))

    def lost(self):
        """In all that was tried; None if nothing was."""
        counts = [run["lost"] for runs in self["path"].values() for run in runs]
        counts += [self[name]["lost"] for name in ("pushd", "redis") if self[name]]
        for runs in self["strangers"].values():
            counts += [run["lost"] for run in runs["alone"] + runs["with"]]
        counts += [self["queue"]["sent"]["lost"]] if self["queue"] else []
        return sum(counts) if counts else None


def median(samples):
    return samples.median if samples else None


def rate_table(found):
    rows = []
    for provider, label in LABELS.items():
        for runner, title in TITLES.items():
            speed = found.samples(provider, runner)
            if not speed:
                continue
            ratio = found.samples(provider, runner, "libcurl").text()
            wall = found.samples(provider, runner, figure="per_second")
            ratio = "" if runner == "libcurl" else ratio
            rows.append([f"{label}, {title}", speed.text(0), ratio, wall.text(0)])
    return report.table(["who", "per CPU second", "of libcurl", "per second"], rows)


def far_table(found):
    trips = list(found["rates"])
    far = [trip for trip in trips if trip != "0"]  # the first table has CPU time of the near
    columns = [(at, "per_second") for at in trips] + [(at, "per_cpu_second") for at in far]
    rows = []
    for provider, label in LABELS.items():
        for runner, title in TITLES.items():
            cells = [found.samples(provider, runner, figure=f, at=at) for at, f in columns]
            if all(cells):
                rows.append([f"{label}, {title}", *(cell.text(0) for cell in cells)])
    head = [f"per second, {trip} ms away" for trip in trips]
    head += [f"per CPU second, {trip} ms" for trip in far]
    return report.table(["who", *head], rows)


def path_table(found):
    figures = {"per_second": 0, "p50_ms": 1, "p99_ms": 1, "most_ms": 1}
    rows = []
    for what, title in (("most", "as fast as it goes"), ("half", "2,000 per second")):
        cells = [found.path(what, name).text(digits) for name, digits in figures.items()]
        cells += [int(sum(found.path(what, n))) for n in ("errors", "unanswered", "lost")]
        rows.append([title, *cells])
    head = ["whole path", "results per second", "p50 ms", "p99 ms", "most ms"]
    return report.table([*head, "errors", "unanswered", "lost"], rows)


STRANGERS = {"alone": "no strangers", "with": "4 strangers"}
STRANGERS_FIGURES = {"per_second": 0, "per_cpu_second": 0, "p50_ms": 1, "p99_ms": 1}


def strangers_table(found):
    """With a ratio to the same round without them."""
    rows = []
    for key, runs in found["strangers"].items():
        for what, title in STRANGERS.items():
            cells = []
            for figure, digits in STRANGERS_FIGURES.items():
                values = Samples(run[figure] for run in runs[what])
                pairs = zip(values, (run[figure] for run in runs["alone"]))
                ratio = Samples(one / other for one, other in pairs).text()
                cells += [values.text(digits)] + ([ratio if what == "with" else ""])
            hands = Samples(run.get("handshakes_per_second", 0) for run in runs[what])
            lost = int(sum(run["lost"] for run in runs[what]))
            rows.append([f"{key}, {title}", *cells, hands.text(0), lost])
    head = ["shaking hands without end", "results per second", "of none"]
    head += ["per CPU second of pushd", "of none", "p50 ms", "of none", "p99 ms", "of none"]
    head += ["handshakes per second", "lost"]
    return report.table(head, rows)


def queue_table(found):
    rows = []
    for row in found["queue"].get("queued", []):
        seconds = f"{row['seconds']:.1f}" if "seconds" in row else ""
        rows.append([row["queued"], f"{row['mib']:.1f}", f"{row['redis_mib']:.1f}", seconds])
    head = ["queued", "pushd's private MiB", "Redis's MiB more", "seconds to queue them"]
    return report.table(head, rows)


def death_table(found):
    rows = []
    figures = ("deaths", "published", "promised", "queued", "unanswered", "lost", "twice")
    figures += ("sent_twice",)
    for name, title in (("pushd", "kill -9 of pushd"), ("redis", "kill -9 of Redis")):
        if found[name]:
            rows.append([title, *(found[name][figure] for figure in figures)])
    head = ["what", "times", "published", "answered sent or queued", "of these queued"]
    head += ["unanswered", "lost", "came twice", "of these answered sent"]
    return report.table(head, rows)


def targets(found):
    for provider, label in LABELS.items():
        share = median(found.samples(provider, "sender", "libcurl"))
        yield Target(f"{label}: sender alone, of bare libcurl", share, 0.9)
        rate = median(found.samples(provider, "api 256"))
        yield Target(f"{label}: through the API, per CPU second", rate, 12000, digits=0)
    rest = found["memory"].get("rest_mib")
    yield Target("pushd at rest: private memory", rest, 6, "MiB", most=True)
    speed = median(found.path("most", "per_second"))
    yield Target("whole path on 2 cores: results per second", speed, 4000, digits=0)
    slowest = median(found.path("half", "p99_ms"))
    yield Target("whole path at 2,000 per second: p99", slowest, 50, "ms", most=True, digits=1)
    yield Target("lost, in all that was tried", found.lost(), 0, most=True, digits=0)


NOTES = """\
Median (least-most) of the rounds; a ratio is of the same round. CPU time is that of the process
alone, from /proc/PID/stat: pushd's with API, devices and sender, or the loop's; it has a core of
its own, the provider, Redis and the load have the rest. All send the same request over one HTTP/2
connection, with as many at once as the provider allows (APNs 1000, FCM 100); the bare loop finds
it made, and h2load hardly makes one at all. 16 calls are always under way. Each device gets one
notification in some seconds, so none is merged. Memory is private, from smaps_rollup.
Whole path: one component link, real xmppgw, pushd and Redis; latency from when a stanza was due to
be sent until its result was read, by the publisher, which has the same two cores as all others.
Strangers: four clients, each of an address of its own, shake hands with the public listener, four
at once each; results per second as fast as it goes, latency at 2,000 per second.
Deaths: under load, with one of a hundred refused by the provider and one answered late; each goes
to another device. What comes twice was on the wire when somebody died, without a verdict."""

FAR = """\
Distance: {distance}. What limits all alike
then are APNs's 65,535 bytes that may be sent before it says that it has read some, and FCM's 100
streams. Debian 12's libcurl spins while it waits for the former."""


def notes(found, settings):
    lines = [NOTES]
    if len(found["rates"]) > 1:
        lines.append(FAR.format(distance=settings["distance"]))
    if "after_mib" in found["memory"]:
        lines.append(f"Memory after the senders' rounds: {found['memory']['after_mib']:.1f} MiB.")
    sent = found["queue"].get("sent")
    if sent:
        lines.append(
            f"When the provider was back, the queued were sent within {sent['seconds']:.1f} s:"
            f" {sent['lost']} lost, {sent['twice']} twice; {sent['mib']:.1f} MiB then."
        )
    lines += [f"Failed: {what}: {why}" for what, why in found["failures"].items()]
    return "\n".join(lines)


def compose(measured, settings):
    """(text, data) of the whole."""
    found = Found(measured)
    goals = list(targets(found))
    title = "{rounds} rounds of {seconds:g} s each, in turns".format(**settings)
    parts = [f"{report.machine()}\n{title}; {settings['network']}"]
    for measured_at_all, table in (
        ("0" in found["rates"], rate_table),
        (len(found["rates"]) > 1, far_table),
        (found["path"], path_table),
        (found["strangers"], strangers_table),
        (found["queue"], queue_table),
        (found["pushd"] or found["redis"], death_table),
    ):
        if measured_at_all:
            parts.append(table(found))
    parts += [report.targets_table(goals), notes(found, settings)]
    data = {"machine": report.machine(), **settings, "versions": report.versions(PACKAGES)}
    data.update(found=measured, targets=[goal.record() for goal in goals])
    return "\n\n".join(parts), data


PLOT = """\
set bmargin 7
set key top right
$speed << EOD
{speed}
EOD
$far << EOD
{far}
EOD
set title "notifications per CPU second (median, least to most)"
set logscale y
set yrange [1000:1000000]
plot $speed using 2:3:4:xtic(1) title "APNs", "" using 5:6:7 title "FCM"
set title "notifications per second over one connection to APNs"
set yrange [100:1000000]
plot {columns}
unset multiplot
"""


def cells(samples):
    return [f"{value:.0f}" for value in (samples.median, min(samples), max(samples))]


def plot_rows(found, keys):
    """A row for each runner that has all: KEYS are (provider, figure, distance) of its columns."""
    for runner, title in SHORT.items():
        samples = [found.samples(p, runner, figure=f, at=at) for p, f, at in keys]
        if all(samples):
            yield " ".join([f'"{title}"', *(cell for some in samples for cell in cells(some))])


def plot(data):
    """push.svg, by gnuplot."""
    found = Found(data["found"])
    if not found["rates"]:
        return
    trips = list(found["rates"])
    speed = plot_rows(found, [(provider, "per_cpu_second", "0") for provider in LABELS])
    keys = [(notify.APNS, "per_second", at) for at in trips]
    columns = (
        f'{"$far" if n == 0 else chr(34) * 2} using {3 * n + 2}:{3 * n + 3}:{3 * n + 4}'
        f'{":xtic(1)" if n == 0 else ""} title "{at} ms away"'
        for n, at in enumerate(trips)
    )
    texts = {"speed": "\n".join(speed), "far": "\n".join(plot_rows(found, keys))}
    report.plot("push", PLOT, title=data["machine"], columns=", ".join(columns), **texts)
