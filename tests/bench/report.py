"""What a bench found: medians with their ranges, tables as text, targets, files in build/bench."""

import json
import os
import pathlib
import re
import statistics
import subprocess

from harness import ROOT

PLOT_HEAD = """\
set terminal svg size 1100,520 font "sans-serif,12" background rgb "white"
set output "{out}"
set multiplot layout 1,2 title "{title}" font ",13"
set style data histogram
set style histogram errorbars gap 1 lw 1
set style fill solid 0.8 border -1
set xtics rotate by -35 scale 0
set grid ytics
"""
FOLDER = pathlib.Path(os.environ.get("OG_BUILD", ROOT / "build")).resolve() / "bench"


class Samples(list):
    """One figure, measured some times."""

    @property
    def median(self):
        return statistics.median(self)

    def text(self, digits=2):
        """The median, and from where to where it went."""
        if not self:
            return "-"
        low, middle, high = (f"{v:.{digits}f}" for v in (min(self), self.median, max(self)))
        return middle if len(self) == 1 else f"{middle} ({low}-{high})"


def table(head, rows):
    """Columns under HEAD, in Markdown that reads as text, too."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines
    )


class Target:
    """A row of what is to be reached: at least (or at most) LIMIT; FIGURE None: not measured."""

    def __init__(self, what, figure, limit, unit="", most=False, digits=2):
        self.what, self.figure, self.limit, self.unit = what, figure, limit, unit
        self.most, self.digits = most, digits

    @property
    def verdict(self):
        if self.figure is None:
            return "not measured"
        met = self.figure <= self.limit if self.most else self.figure >= self.limit
        return "met" if met else "MISSED"

    def row(self):
        sign = "at most" if self.most else "at least"
        figure = "-" if self.figure is None else f"{self.figure:.{self.digits}f} {self.unit}"
        limit = f"{sign} {self.limit:.{self.digits}f} {self.unit}"
        return [self.what, limit.strip(), figure.strip(), self.verdict]

    def record(self):
        fields = ("what", "figure", "limit", "unit", "verdict")
        return {name: getattr(self, name) for name in fields}


def targets_table(targets):
    return table(["what", "target", "measured", ""], [target.row() for target in targets])


def machine():
    """The machine in one line: it belongs to every figure."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    parts = [f"{os.cpu_count()} x {cpu.group(1) if cpu else os.uname().machine}"]
    parts += [f"Linux {os.uname().release}", system.group(1) if system else ""]
    return ", ".join(filter(None, parts))


def versions(packages):
    """{package: version} of what is installed of PACKAGES."""
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return {}
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if line[-1] != " ")


def write(name, text, data):
    """NAME.txt and NAME.json in build/bench."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.txt").write_text(text + "\n")
    (FOLDER / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")
    print(f"Written: {FOLDER}/{name}.txt, {name}.json")


def plot(name, script, head=PLOT_HEAD, **texts):
    """NAME.svg in build/bench by gnuplot: two histograms, unless HEAD says otherwise; SCRIPT and
    HEAD have what TEXTS names in them."""
    out = FOLDER / f"{name}.svg"
    script = (head + script).format(out=out, **texts)
    try:
        done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
    except FileNotFoundError:
        print("No plot: gnuplot is not installed")
        return
    print(f"Written: {out}" if done.returncode == 0 else f"No plot: {done.stderr.strip()}")
