"""README.md and deploy/*.md: their code blocks are executed, their links lead somewhere."""

import asyncio
import hashlib
import json
import re
import socket
import subprocess

import pytest
import yaml

import demo
import readme
import stack as whole
from harness import HOST, ROOT, free_port
from servers import EJABBERD_CONFIG, Ejabberd, Prosody
from test_run import Run

DOMAIN = "example.net"  # of the pages
DOCKER = "172.17.0.1"  # this machine as containers see it
NOT_RUN_MOST = 15


def only(kind):
    (block,) = readme.blocks(kind)
    return block.text


def fill(text, values):
    """TEXT with what an operator fills in; all of it must be there."""
    for old, new in values.items():
        assert old in text, f"{old} isn't in the pages any more"
        text = text.replace(old, str(new))
    return text


def start_stack(stage, kind, monkeypatch):
    """The whole stack around the server KIND."""
    monkeypatch.setitem(whole.SERVERS, "readme", kind)
    return whole.Stack(stage, "readme", domain=DOMAIN).start()


# The pages


def test_every_block_says_how_it_is_tested():
    found = readme.blocks()
    not_run = [block for block in found if block.mark == "not run"]
    assert 0 < len(not_run) <= NOT_RUN_MOST
    tested = {block.says for block in found if block.mark == "test"}
    assert tested == set(readme.KINDS)


def test_a_block_without_a_mark_is_found():
    text = "Do this:\n\n```sh\nrm x\n```\n"
    with pytest.raises(ValueError, match="page.md:3: "):
        readme.blocks_of("page.md", text)
    marked = readme.blocks_of("page.md", text.replace("```sh", "<!-- test: shell -->\n```sh"))
    assert marked == [("test", "shell", "rm x\n", "page.md:4")]


@pytest.mark.parametrize("page", readme.pages(), ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.M)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif not link.startswith("https://"):
            assert (page.parent / link).is_file(), link


def test_the_lines_of_env_are_those_of_its_example():
    text = (ROOT / "README.md").read_text()
    text = text[text.index("## Run it in five minutes") : text.index("## Upgrade")]
    named = set(re.findall(r"`([A-Z][A-Z0-9_]{4,})[=`]", text))
    lines = (ROOT / "deploy/.env.example").read_text().splitlines()
    assert len(named) > 8
    assert named <= {line.split("=")[0] for line in lines}


def test_the_charts_are_made_of_the_tables(tmp_path):
    subprocess.run([ROOT / "tests/bench/pictures.py", tmp_path], check=True)
    for name in ("relay.svg", "push.svg"):
        drawn = (tmp_path / name).read_text()
        kept = (ROOT / "deploy/pictures" / name).read_text()
        assert drawn == kept, f"{name} is older than README's table: run tests/bench/pictures.py"


# Commands


def test_make_knows_what_it_is_told_to_make():
    known = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for line in only("make").splitlines():
        program, target = line.split("#")[0].split()
        assert program == "make"
        assert re.search(rf"^make {target} ", known, re.M), line


def command_of_table(row):
    """The first command in README's table of what one does to work on the code."""
    text = (ROOT / "README.md").read_text().split("## Working on it")[1]
    (line,) = [one for one in text.splitlines() if one.startswith(f"| {row}")]
    return line.split("`")[1]


def test_one_module_and_one_of_its_tests_run_alone():
    command = command_of_table("run the unit tests of one module")
    done = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unit: 1 passed, 0 failed" in done.stdout.splitlines()


def test_an_editor_learns_how_each_file_is_compiled(tmp_path):
    would = subprocess.run(["make", "-Bn", "V=1", f"BUILD={tmp_path}", "all", "unit-programs"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["tests/compile-commands"], cwd=ROOT, input=would, capture_output=True,
                          text=True, check=True)
    commands = {one["file"]: one["arguments"] for one in json.loads(done.stdout)}
    assert {"relayd/main.c", "common/base/loop.c", "tests/fakes/apns.c"} <= set(commands)
    assert "-I." in commands["relayd/main.c"] and "-D_GNU_SOURCE" in commands["relayd/main.c"]


def test_shell_blocks_run_beside_the_demonstration(stage, tmp_path):
    up = stage.run(Run(stage))
    build = tmp_path / "top/build"
    build.mkdir(parents=True)
    (build / "run").symlink_to(up.home)
    (build / "relayd").symlink_to(stage.binary("relayd"))
    shown = ""
    for block in readme.blocks("shell"):
        done = subprocess.run(
            ["sh", "-e"], input=block.text, cwd=build.parent, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block.where}: {done.stderr}"
        shown += done.stdout
    assert '"streams":[]' in shown  # the API took the token
    assert "/3/device/" in shown  # what the pretend APNs got
    assert "peer-secret = (hidden)" in shown  # relayd's configuration
    assert up.stop() == 0


# Configuration


def test_dockers_configuration_is_json():
    assert json.loads(only("daemon.json")) == {"experimental": True, "ip6tables": True}


def test_pushd_takes_the_providers(stage):
    fake = stage.providers()
    config = stage.folder / "pushd.conf"
    text = fill(only("pushd"), {"/run/secrets/providers": fake.set})
    config.write_text(f"[daemon]\nredis = redis://{HOST}\napi-token = token-of-the-tests\n{text}")
    command = [stage.binary("pushd"), "-n", "-c", config]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "pushd: the configuration is right\n")


# XMPP servers


def secrets_of(server):
    """The components' secrets by the names that stand for them."""
    jids = {"PROXY_SECRET": f"proxy.{DOMAIN}", "PUSH_SECRET": f"push.{DOMAIN}"}
    return {name: server.secret(jid) for name, jid in jids.items()}


class ReadmeProsody(Prosody):
    """Prosody that has its components, and what they need, from the pages alone."""

    def write_config(self):
        super().write_config()
        base = self.config.read_text().partition("\nComponent ")[0]
        base = re.sub(r"^component_.*\n", "", base, flags=re.M)
        base = fill(base, {'"smacks", ': "", ', "cloud_notify"': ""})
        includes = 'Include "outrigger.cfg.lua"\nInclude "items.cfg.lua"\n'
        self.config.write_text(f"{base}\n{includes}")
        values = {"5347": self._component_port, DOCKER: "127.0.0.2"}
        values.update(secrets_of(self))
        (self.folder / "outrigger.cfg.lua").write_text(fill(only("prosody"), values))
        (self.folder / "items.cfg.lua").write_text(only("prosody items"))


class ReadmeEjabberd(Ejabberd):
    """ejabberd that has its components, and what they need, from the pages alone."""

    def write_config(self):
        port = free_port()
        self.ports = dict.fromkeys(self.secrets, port)
        values = {"5347": port, DOCKER: HOST}
        values.update(secrets_of(self))
        base = EJABBERD_CONFIG.format(
            hosts=f'"{self.domain}"',
            c2s=self.c2s_port,
            api=self.api_port,
            host=HOST,
            components="",
            items="",
            rooms="",
        )
        config = yaml.safe_load(base)
        del config["modules"]["mod_push"], config["modules"]["mod_stream_mgmt"]
        for text in (fill(only("ejabberd"), values), only("ejabberd items")):
            added = yaml.safe_load(text)
            config["listen"] += added.get("listen", [])
            config["modules"].update(added["modules"])
        self.config.write_text(json.dumps(config))  # which is YAML


async def check_phone(stack):
    """What a phone finds at its server."""
    client = stack.client(stack.user1)
    client.register_plugin("xep_0198")  # stream management
    enabled = client.future_of("sm_enabled")
    async with client:
        await asyncio.wait_for(enabled, 20)
        _, features = await client.info(client.boundjid.bare)
        assert "urn:xmpp:push:0" in features
        listed = await client.items(DOMAIN)
        own = {f"proxy.{DOMAIN}", f"push.{DOMAIN}"}
        assert {*own, "proxy.example.com", "push.example.com"} <= set(listed)
        for _ in range(20):  # whichever connection the server takes for each
            identities, _ = await client.info(f"push.{DOMAIN}")
            assert ("pubsub", "push") in identities


def log_in_component(host, port, name, secret):
    """A connection of the component NAME, by hand; what the server said to its handshake."""
    with socket.create_connection((host, port), 10) as link:
        link.sendall(
            b"<stream:stream xmlns='jabber:component:accept' "
            b"xmlns:stream='http://etherx.jabber.org/streams' to='" + name.encode() + b"'>"
        )
        header = ""
        while not (found := re.search(r"<stream:stream[^>]* id=['\"]([^'\"]+)['\"]", header)):
            header += link.recv(4096).decode()
        digest = hashlib.sha1((found[1] + secret).encode()).hexdigest()
        link.sendall(f"<handshake>{digest}</handshake>".encode())
        answer = ""
        while "<handshake" not in answer and (more := link.recv(4096).decode()):
            answer += more
        return answer


@pytest.mark.parametrize("kind", [ReadmeProsody, ReadmeEjabberd])
def test_the_server_serves_phones_by_the_pages_settings(stage, kind, monkeypatch, run):
    stack = start_stack(stage, kind, monkeypatch)
    run(check_phone(stack))
    run(demo.show_pushes(stack, lambda line: None))


def test_prosody_lets_a_component_in_that_comes_back(stage, monkeypatch):
    stack = start_stack(stage, ReadmeProsody, monkeypatch)
    name, port = stack.push_jid, stack.server.component_port(stack.push_jid)
    answer = log_in_component("127.0.0.2", port, name, stack.server.secret(name))
    assert "<handshake" in answer
