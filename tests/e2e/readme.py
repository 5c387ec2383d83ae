"""The code blocks of README.md and deploy/*.md, each marked by a comment that no reader sees.

    <!-- test: shell -->
    ```sh
    curl "$FAKE_CONTROL/received"
    ```

The mark's word says how a test executes the block (KINDS); "not run: REASON" says why none does.
"""

import collections
import re

from harness import ROOT

KINDS = {
    "make": "make commands: what they name is there",
    "shell": "runs by sh -e from the project's top, beside what `make run` starts",
    "stack": "runs by sh -e in deploy/, where Docker is: deploy-test does that, in this order",
    "demo": "runs by sh -e from the project's top, where Docker is, and stays up until Ctrl-C",
    "balancer": "as stack, on the way to one port for all relays",
    "tigase": "runs by sh -e beside a dump, a table of devices and a token (test_import_tigase.py)",
    "daemon.json": "the configuration of Docker's daemon",
    "pushd": "sections of pushd's configuration",
    "prosody": "a file that Prosody's configuration includes",
    "prosody items": "another",
    "stunnel": "a configuration of stunnel (test_component_tls.py)",
    "ejabberd": "what is added to ejabberd.yml",
    "ejabberd items": "more of it",
}
MARK = re.compile(r"<!-- (test|not run): (.+) -->")

# mark: "test" or "not run"; says: the kind, or the reason; where: "README.md:12"
Block = collections.namedtuple("Block", "mark says text where")


def pages():
    return [ROOT / "README.md", *sorted((ROOT / "deploy").glob("*.md"))]


def blocks_of(name, text):
    """The blocks of a page, in order; ValueError for one that has no mark in the line before it."""
    found, lines = [], text.splitlines()
    at = 0
    while at < len(lines):
        if lines[at].lstrip().startswith("```"):
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            mark = MARK.fullmatch(lines[at - 1].strip()) if at else None
            if mark is None:
                raise ValueError(f"{name}:{at + 1}: a code block without a mark before it")
            body = "".join(line.strip("\n") + "\n" for line in lines[at + 1 : end])
            found.append(Block(mark[1], mark[2], body, f"{name}:{at + 1}"))
            at = end
        at += 1
    return found


def blocks(kind=None):
    """All blocks of all pages, README.md first; with KIND those that are tested so."""
    found = []
    for page in pages():
        found += blocks_of(str(page.relative_to(ROOT)), page.read_text())
    return [block for block in found if kind is None or (block.mark, block.says) == ("test", kind)]


def stack_blocks():
    """
    What an operator types to run the compose stack: Blocks, in order, for deploy-test.

    Each .text is for `sh -e` in a clean clone's deploy/ folder, and expects what those before it
    left there. Variables stand for what an operator chooses; the caller sets them:

        DOMAIN            the XMPP server's domain
        CERTIFICATE, KEY  PEM files for push.$DOMAIN

    What .env holds may come from the environment, which wins in docker-compose: the project's name,
    ports, images. Between `make-secrets` and `up` the caller does what the text says in words: it
    puts a provider's files into secrets/pushd/providers and edits config/pushd.conf.
    """
    return blocks("stack")
