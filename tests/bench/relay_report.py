"""The relay's bench as tables, targets and a plot."""

import report
from report import Samples, Target

PACKAGES = ["haproxy", "dante-server", "microsocks", "ejabberd", "prosody"]
TIGASE_MB_PER_S = 21.45  # what Tigase measured with 100 transfers on one machine
KIB, GIB = 1 << 10, 1 << 30
CEILING = 0.83  # what the cores allowed where the targets of direct TCP come from


class Found:
    """Figures by peer: each transfer has its round, so that rounds are compared with themselves."""

    def __init__(self, found):
        self.found = found

    def samples(self, peer, what, figure):
        return Samples(run[figure] for run in self.found.get(peer, {}).get(what, []))

    def median(self, peer, what, figure):
        samples = self.samples(peer, what, figure)
        return samples.median if samples else None

    def by_round(self, peer, count, figure):
        runs = self.found.get(peer, {}).get(f"transfer {count}", [])
        return {run["round"]: run[figure] for run in runs}

    def ratios(self, peer, base, count, figure="gib_per_s"):
        """PEER's figure in parts of BASE's in the same round."""
        ours, theirs = self.by_round(peer, count, figure), self.by_round(base, count, figure)
        return Samples(ours[n] / theirs[n] for n in ours if theirs.get(n))

    def ratio(self, *arguments):
        samples = self.ratios(*arguments)
        return samples.median if samples else None

    def ratio_of_medians(self, peer, base, what, figure):
        """For many runs: less noisy than the median of ratios."""
        ours, theirs = (self.median(name, what, figure) for name in (peer, base))
        return ours / theirs if ours and theirs else None


def transfer_columns(found, peer, count):
    work = f"transfer {count}"
    return [
        found.samples(peer, work, "gib_per_s").text(),
        found.ratios(peer, "direct", count).text(),
        found.samples(peer, work, "cpu_s_per_gib").text(3) if peer != "direct" else "-",
    ]


def kib(value):
    return "-" if value is None else f"{max(value, 0) / KIB:.1f}"


def row(found, peer, notes):
    memory = found.samples(peer, "transfer 100", "memory_mib")
    idle = found.median(peer, "idle", "bytes_per_pair")
    stalled = found.median(peer, "stalled", "bytes_per_pair")
    last = [memory.text(1), kib(idle), kib(stalled)] if peer != "direct" else ["-"] * 3
    one, hundred = (transfer_columns(found, peer, count) for count in (1, 100))
    return [notes["label"], *one, *hundred, *last]


def main_table(found, missing):
    head = ["relay", "1: GiB/s", "of direct", "CPU s/GiB", "100: GiB/s", "of direct", "CPU s/GiB"]
    head += ["MiB at 100", "KiB/idle pair", "KiB/stalled pair"]
    peers = {peer: notes for peer, notes in found.found.items() if "checked" in notes}
    rows = [row(found, peer, notes) for peer, notes in peers.items()]
    rows += [[label, reason, *[""] * 8] for label, reason in missing.items()]
    return report.table(head, rows)


def cores_allow(found, count):
    """The part of direct TCP's speed that is left if all cores are full, load and relay on them."""
    work = f"transfer {count}"
    load = found.median("direct", work, "load_cpu_s_per_gib")
    relay = found.median("relayd", work, "cpu_s_per_gib")
    return load / (load + relay) if load and relay else None


def speed_targets(found):
    goals = {1: 0.75, 100: 0.65}
    for count, goal in goals.items():
        ratio, most = found.ratio("relayd", "direct", count), cores_allow(found, count)
        yield Target(f"relayd, {count} at once: of direct TCP", ratio, goal)
        what = f"relayd, {count} at once: of what the cores allow"
        yield Target(what, ratio and most and ratio / most, goal / CEILING)
    for other, label, goal in (("haproxy", "HAProxy", 0.8), ("ejabberd", "ejabberd", 0.2)):
        for count in goals:
            ratio = found.ratio("relayd", other, count, "cpu_s_per_gib")
            what = f"relayd, {count} at once: CPU per GiB, of {label}'s"
            yield Target(what, ratio, goal, most=True)
    speed = found.median("relayd", "transfer 100", "gib_per_s")
    times = speed and speed * GIB / 1e6 / TIGASE_MB_PER_S
    yield Target("relayd, 100 at once: times Tigase's 21.45 MB/s", times, 100, digits=0)
    for count in goals:
        pair = ("relayd-limits", "relayd", f"turn {count}")
        ratio = found.ratio_of_medians(*pair, "gib_per_s")
        yield Target(f"limits on, {count} at once: of the same without", ratio, 0.97, digits=3)
        ratio = found.ratio_of_medians(*pair, "cpu_s_per_gib")
        what = f"limits on, {count} at once: CPU per GiB, of the same without"
        yield Target(what, ratio, 1.03, most=True, digits=3)


def crowd_targets(found):
    pairs = found.median("crowd-claims", "idle", "pairs") or 0
    for figure, what, limit, unit in (
        ("bytes_per_pair", "own memory of each", 600, "B"),
        ("cpu_s", "CPU time in 3 s", 0.01, "s"),
        ("pipes", "pipes held", 0, ""),
    ):
        value = found.median("crowd-claims", "idle", figure)
        what = f"relayd, {pairs:.0f} idle pairs: {what}"
        yield Target(what, value, limit, unit, most=True, digits=2 if unit == "s" else 0)
    value = found.median("crowd-claims", "churn", "per_cpu_second")
    yield Target("relayd, new streams per CPU second", value, 5000, digits=0)
    for program in ("relayd", "xmppgw"):
        memory = found.found.get(f"{program} at rest", {}).get("private_mib")
        yield Target(f"{program} at rest: private memory", memory, 6, "MiB", most=True)


def notes(found, missing):
    lines = [
        "GiB/s and CPU: median (least-most) of the rounds; ratios are of the same round. CPU: of",
        "all processes of the relay, by their clocks. Memory: private, from smaps_rollup. The",
        "load has both clients of each transfer, on the same machine. HAProxy has one thread and",
        "splices always; dante and microsocks connect to the receiver by themselves; the others",
        "are mediated bytestreams (XEP-0065), found and activated through the XMPP server. What",
        "the cores allow: the load's CPU s/GiB by itself, in parts of its and relayd's together.",
    ]
    for peer in found.found.values():
        lines += [f"{peer['label']}: {failure}" for failure in peer.get("failures", [])]
    lines += [f"Without {label}: {reason}" for label, reason in missing.items()]
    return "\n".join(lines)


def crowd_table(found):
    head = ["relayd by itself", "idle pairs", "B/idle pair", "new streams/s", "per CPU second"]
    rows = []
    for peer in ("crowd-alone", "crowd-claims", "crowd-limits"):
        pairs, each = (found.samples(peer, "idle", key) for key in ("pairs", "bytes_per_pair"))
        streams = (found.samples(peer, "churn", key) for key in ("per_second", "per_cpu_second"))
        label = found.found.get(peer, {}).get("label", peer)
        rows.append([label, pairs.text(0), each.text(0), *(s.text(0) for s in streams)])
    return report.table(head, rows)


def disturbance(found):
    """How quiet the machine was: what others took of it while transfers ran."""
    runs = [run for peer in found.found.values() for count in (1, 100)
            for run in peer.get(f"transfer {count}", [])]
    shares = Samples(100 * run["others_share"] for run in runs)
    return f"other programs took {shares.text(0)} % of the machine during transfers"


def compose(measured, missing, settings):
    """(text, data) of the whole."""
    found = Found(measured)
    targets = [*speed_targets(found), *crowd_targets(found)]
    rounds, seconds = settings["rounds"], settings["seconds"]
    title = f"{report.machine()}\n{rounds} rounds of {seconds:g} s; {settings['network']}"
    parts = [f"{title}\n{disturbance(found)}", main_table(found, missing), crowd_table(found)]
    parts += [report.targets_table(targets), notes(found, missing)]
    data = {"machine": report.machine(), **settings, "versions": report.versions(PACKAGES)}
    data.update(missing=missing, found=measured, targets=[t.record() for t in targets])
    return "\n\n".join(parts), data


PLOT = """\
set yrange [0:*]
$data << EOD
{rows}
EOD
set title "GiB/s (median, least to most)"
set key top right
plot $data using 2:3:4:xtic(1) title "1 transfer", "" using 5:6:7 title "100 transfers"
set title "relay CPU seconds per GiB"
set key top left
set logscale y
set yrange [{least:.4f}:*]
plot $data every ::1 using 8:9:10:xtic(1) title "1 transfer", \
     "" every ::1 using 11:12:13 title "100 transfers"
unset multiplot
"""


def plot_row(found, peer, label):
    cells = [f'"{label}"']
    for figure in ("gib_per_s", "cpu_s_per_gib"):
        for count in (1, 100):
            samples = found.samples(peer, f"transfer {count}", figure)
            if not samples or max(samples) == 0:
                cells += ["NaN"] * 3
            else:
                cells += [f"{v:.4f}" for v in (samples.median, min(samples), max(samples))]
    return " ".join(cells)


def plot(data):
    """relay.svg, by gnuplot."""
    found = Found(data["found"])
    rows = [
        plot_row(found, peer, notes["label"])
        for peer, notes in data["found"].items()
        if "transfer 1" in notes
    ]
    costs = [
        value
        for peer, notes in data["found"].items()
        for count in (1, 100)
        for value in found.samples(peer, f"transfer {count}", "cpu_s_per_gib")
        if "transfer 1" in notes and value > 0
    ]
    # A bar on a logarithmic axis has a length only if the axis begins below it.
    least = min(costs, default=0.02) / 2
    report.plot("relay", PLOT, title=data["machine"], rows="\n".join(rows), least=least)
