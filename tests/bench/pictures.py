#!/usr/bin/python3
"""pictures.py [FOLDER]: README's two tables of figures as bar charts, relay.svg and push.svg.

Default: deploy/pictures. They are made of the tables, so that a picture and its table never differ.
"""

import html
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH, LEFT, RIGHT = 720, 250, 86  # of a picture; of its names and of the last figure
BAR, GAP, HEAD, FOOT = 21, 12, 84, 14

STYLE = """\
.page { fill: #ffffff }
text { fill: #1f2328 }
.title { font-size: 22px; font-weight: bold }
.first { fill: #1f5fa8 }
.second { fill: #e08a1e }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 }
text { fill: #e6edf3 }
.first { fill: #6cb0f5 }
.second { fill: #f0a94a }
}
"""


def table(text, first):
    """The rows of the Markdown table whose head begins with FIRST, as lists of cells."""
    lines = text[text.index(f"| {first} |"):].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(text):
    """The figure that a cell shows; None for "-"."""
    return None if text == "-" else float(text.replace(",", ""))


class Panel:
    """One chart: ROWS are (name, figures as the table shows them), SERIES what the figures are."""

    def __init__(self, title, series, rows, least=None):
        """LEAST: the scale is logarithmic and begins there; else it begins at 0."""
        self.title, self.series, self.least = title, series, least
        self.rows = [(name, texts) for name, texts in rows if number(texts[0]) is not None]
        self.most = max(number(text) for _, texts in self.rows for text in texts)
        self.height = HEAD + len(self.rows) * (BAR * len(series) + GAP) + FOOT

    def length(self, value):
        share = value / self.most
        if self.least:
            share = math.log(value / self.least) / math.log(self.most / self.least)
        return share * (WIDTH - LEFT - RIGHT)

    def legend(self, y):
        yield f'<text class="title" x="16" y="{y + 32}">{html.escape(self.title)}</text>'
        for kind, x, label in zip(("first", "second"), (LEFT, LEFT + 210), self.series):
            yield f'<rect class="{kind}" x="{x}" y="{y + 50}" width="18" height="18"/>'
            yield f'<text x="{x + 26}" y="{y + 66}">{html.escape(label)}</text>'

    def bars(self, y):
        for name, texts in self.rows:
            place = f'x="{LEFT - 10}" y="{y + BAR * len(texts) / 2 + 7:g}" text-anchor="end"'
            yield f"<text {place}>{html.escape(name)}</text>"
            for kind, text in zip(("first", "second"), texts):
                long = self.length(number(text))
                yield (f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{long:.1f}" '
                       f'height="{BAR - 2}"/>')
                yield f'<text x="{LEFT + long + 6:.1f}" y="{y + BAR - 5}">{text}</text>'
                y += BAR
            y += GAP

    def draw(self, y):
        return [*self.legend(y), *self.bars(y + HEAD)]


def picture(title, panels):
    height = sum(panel.height for panel in panels)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
             'font-family="sans-serif" font-size="19">',
             f"<title>{title}</title>", f"<style>\n{STYLE}</style>",
             f'<rect class="page" width="{WIDTH}" height="{height}" rx="16"/>']
    y = 0
    for panel in panels:
        lines += panel.draw(y)
        y += panel.height
    return "\n".join([*lines, "</svg>"]) + "\n"


def relay(readme):
    rows = table(readme, "relay, on loopback")
    cells = [(name, one.split(", "), hundred.split(", ")) for name, one, hundred, _ in rows]
    series = ("1 transfer", "100 transfers")
    speed = [(name, (one[0], hundred[0])) for name, one, hundred in cells]
    cpu = [(name, (one[1], hundred[1])) for name, one, hundred in cells]
    panels = [
        Panel("GiB per second: more is better", series, speed),
        Panel("CPU seconds per GiB, logarithmic: less is better", series, cpu, least=0.02),
    ]
    return picture("What relays carry, and what that costs", panels)


def push(readme):
    rows = table(readme, "pushes per CPU second")
    rows = [(re.sub(r"^pushd through its API", "API", name), texts) for name, *texts in rows]
    panel = Panel("Pushes per CPU second: more is better", ("APNs", "FCM"), rows)
    return picture("Pushes per CPU second", [panel])


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "deploy/pictures"
    readme = (ROOT / "README.md").read_text()
    (folder / "relay.svg").write_text(relay(readme))
    (folder / "push.svg").write_text(push(readme))


if __name__ == "__main__":
    main()
