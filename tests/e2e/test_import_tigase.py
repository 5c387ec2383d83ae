"""deploy/import-tigase and from-tigase.md: what becomes of each kind of dump and setting."""

import datetime
import pathlib
import re
import subprocess

import pytest

import readme
from harness import ROOT, wait_until
from notify import APNS, FCM, got, item, publish, script
from stack import SERVERS, Stack

PROGRAM = ROOT / "deploy/import-tigase"
DATA = ROOT / "tests/data/import-tigase"
CASES = sorted(path.name for path in DATA.iterdir() if path.suffix != ".expected")
MIB = 1024 * 1024


def run_import(*args):
    """(status, stdout, stderr)."""
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("case", CASES)
def test_each_dump_comes_to_what_is_expected(case):
    expected = (DATA / f"{case}.expected").read_text()
    status, out, _ = run_import(DATA / case, "--month", "202611")
    assert out == expected
    assert status == (1 if "\nbad " in "\n" + expected else 0)


def test_numbers_are_bytes_on_demand():
    _, out, _ = run_import(DATA / "header.csv", "--unit", "bytes")
    assert "set   alice@example.org: file 10B (filesize_limit 10)" in out
    assert "set   example.net: domain forbidden" in out


@pytest.mark.parametrize("case", ["mysql.sql", "postgres-insert.sql", "postgres-copy.sql"])
def test_a_dump_that_ends_early_is_refused_or_taken_as_far_as_it_is_whole(tmp_path, case):
    data = (DATA / case).read_bytes()
    whole = set(run_import(DATA / case)[1].splitlines())
    for size in range(0, len(data), 97):
        path = tmp_path / "part.sql"
        path.write_bytes(data[:size])
        status, out, error = run_import(path)
        assert status in (0, 1) or (error.startswith("import-tigase: ") and not out)
        accounts = [line for line in out.splitlines() if line.startswith(("set ", "skip "))]
        assert set(accounts) <= whole


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"a,b\n1,2\n",
        b"user_id,filesize_limit\na@b,1\n",
        b"user_id,filesize_limit,transfer_limit_per_user,transfer_limit_per_domain\na@b,1\n",
        b"CREATE TABLE other (x int);\n",
        b"INSERT INTO tig_socks5_users VALUES (1, 0x41);\n",
        b"INSERT INTO tig_push_devices VALUES ('a','b','c','d','e');\n",
        b"service_jid,device_id\na,b\n",
        b"uid,direction,transferred_bytes,transfer_timestamp\n1,0,5,2026-11-01\n",
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    status, out, error = run_import(path)
    assert (status, out) == (2, "")
    assert error.startswith("import-tigase: ") and error.count("\n") == 1


def test_wrong_options_are_refused():
    assert run_import()[0] == 2
    assert run_import(DATA / "header.csv", "--apply")[0] == 2
    assert run_import(DATA / "nothing.csv")[0] == 2
    assert run_import(DATA / "header.csv", "--month", "202613")[0] == 2
    assert run_import(DATA / "header.csv", "--provider", "x")[0] == 2
    assert run_import(DATA / "header.csv", "--apply", "--token-file", "/nonexistent")[0] == 2


@pytest.fixture
def token(tmp_path, stage):
    path = pathlib.Path(tmp_path) / "token"
    path.write_text(stage.token + "\n")
    return path


def test_only_with_apply_the_limits_are_set_and_again_they_are_the_same(stage, token):
    relay = stage.relayd(redis=stage.redis(), verifier="limits")
    args = DATA / "mysql.sql", "--url", relay.url(), "--token-file", token
    run_import(*args)
    assert relay.call("GET", "/v1/limits")[1]["limits"] == []
    for _ in range(2):
        status, out, _ = run_import(*args, "--apply", "--month", "202611")
        assert status == 1 and "3 accounts set, 2 skipped, 1 bad\n" in out
        assert out.endswith("3 sums of usage set, 0 skipped, 0 bad\n")
        rows = {row["account"]: row for row in relay.call("GET", "/v1/limits")[1]["limits"]}
        assert set(rows) == {
            "alice@example.org",
            "example.org",
            "space\\20cadet@example.org",
        }
        assert rows["alice@example.org"]["file"] == 10 * MIB
        assert rows["alice@example.org"]["user"] == 500 * MIB
        assert not rows["alice@example.org"].get("domain")
        assert rows["example.org"]["domain"] == 3000 * MIB
        assert rows["space\\20cadet@example.org"]["user"] == -1


def test_a_relay_that_refuses_or_is_away_is_told_of_for_each_row(stage, token):
    relay = stage.relayd(redis=stage.redis(), verifier="limits")
    url = relay.url()
    token.write_text("wrong")
    args = DATA / "header.csv", "--url", url, "--token-file", token, "--apply"
    status, out, _ = run_import(*args)
    assert status == 1 and out.count("relayd answered 401") == 2
    assert relay.stop() == 0
    status, out, _ = run_import(*args)
    assert status == 1 and out.endswith("0 accounts set, 0 skipped, 2 bad\n")


def test_both_parties_are_charged_on_demand_and_all_files_count():
    args = DATA / "postgres-copy.sql", DATA / "devices.csv", "--month", "202611"
    _, out, _ = run_import(*args, "--charge", "both", "--provider", f"{FCM}=fcm-2")
    assert "usage space\\20cadet@example.org: 1049576B\n" in out
    assert "usage example.org: 2098152B\n" in out and "usage global: 1049576B\n" in out
    assert "at push.example.org: fcm-2 fcm:AP" in out


# The page

PAGE = ROOT / "deploy/from-tigase.md"


def rows_of_page(title):
    """The cells of the table under TITLE."""
    part = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def names_in(cell):
    return re.findall(r"`([^`]+)`", cell)


DEVICES = """service_jid,user_jid,node,provider,device_id
push.example.org,alice@example.org,01#ALICE,{apns},00AA11BB
push.example.org,alice@example.org,01#ALICE,{fcm},fcm:APA91-alice
push.example.org,bob@example.org,01#BOB,{apns},00aa11cc
"""
DUMP = """
COPY tig_socks5_users (uid, user_id, filesize_limit, transfer_limit_per_user,
 transfer_limit_per_domain) FROM stdin;
1\talice@example.org\t0\t500\t0
\\.
COPY tig_socks5_connections (uid, direction, transferred_bytes, transfer_timestamp) FROM stdin;
1\t0\t{first}\t{month}-01 00:00:00
1\t0\t{second}\t{month}-01 00:00:01
\\.
"""


def fill_folder(folder, second):
    month = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")
    (folder / "tigase.sql").write_text(DUMP.format(month=month, first=1000, second=second))
    (folder / "devices.csv").write_text(DEVICES.format(apns=APNS, fcm=FCM))
    if not (folder / "deploy").exists():
        (folder / "deploy").symlink_to(ROOT / "deploy")


def usage_of(relay, account):
    rows = relay.call("GET", f"/v1/usage?account={account}")[1]["usage"]
    return [row["bytes"] for row in rows]


def test_after_the_pages_commands_no_phone_falls_silent(stage, token):
    redis, fake = stage.redis(), stage.providers()
    relay, push = stage.relayd(redis=redis, verifier="limits"), stage.pushd("push", redis, fake)
    urls = {"http://127.0.0.1:7650": relay.url(), "http://127.0.0.1:7660": push.url()}

    def do(block):
        text = block.text
        for shown, real in urls.items():
            text = text.replace(shown, real)
        done = subprocess.run(["sh", "-e"], input=text, cwd=token.parent, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    look, apply = readme.blocks("tigase")
    fill_folder(token.parent, 500)
    assert "3 devices to be registered" in do(look)
    assert not redis.command("KEYS", "og:push:*") and not usage_of(relay, "global")
    for second in (500, 700):
        fill_folder(token.parent, second)
        out = do(apply)
        assert "1 accounts set" in out and "3 devices registered, 0 skipped, 0 bad" in out
        assert usage_of(relay, "alice@example.org") == [1000 + second]
        assert usage_of(relay, "global") == usage_of(relay, "example.org") == [1000 + second]
    assert relay.call("GET", "/v1/limits/alice@example.org")[1]["user"] == 500 * MIB
    outcomes = publish(push, item({"node": "01#ALICE"}), item({"node": "01#BOB"}))
    assert [one["outcome"] for one in outcomes] == ["sent", "sent"]
    for device_token in ("00aa11bb", "fcm:APA91-alice", "00aa11cc"):
        assert len(got(fake, device_token)) == 1


def test_a_device_that_pushd_does_not_take_is_told_of(stage, token):
    push = stage.pushd("push", stage.redis(), stage.providers())
    path = token.parent / "devices.csv"
    path.write_text(DEVICES.format(apns=APNS, fcm="nobody"))
    args = path, "--push-url", push.url(), "--token-file", token, "--apply"
    status, out, _ = run_import(*args)
    assert status == 1 and "pushd answered 400" in out and "no such provider" in out
    assert out.endswith("2 devices registered, 0 skipped, 1 bad\n")
    wrong = token.parent / "wrong"
    wrong.write_text("wrong")
    _, out, _ = run_import(*args, "--push-token-file", wrong)
    assert out.count("pushd answered 401") == 3


def test_at_pushds_rate_devices_are_registered_one_after_the_other(stage, token):
    push = stage.pushd("push", stage.redis(), stage.providers(), registration_rate=1,
                       registration_burst=1)
    path = token.parent / "devices.csv"
    path.write_text(DEVICES.format(apns=APNS, fcm=FCM))
    args = path, "--push-url", push.url(), "--token-file", token, "--apply"
    status, out, _ = run_import(*args)
    assert (status, out.splitlines()[-1]) == (0, "3 devices registered, 0 skipped, 0 bad")


class Aliased:
    """A server's user with two devices, whose server publishes to the node that Tigase gave out."""

    phone, tablet, node = "00aa11bb", "fcm:APA91-alice", "01#ALICE"  # as in DEVICES

    def __init__(self, stack, run):
        self.stack, self.run = stack, run

    def take_over(self, token):
        path = token.parent / "devices.csv"
        path.write_text(DEVICES.format(apns=APNS, fcm=FCM))
        status, out, _ = run_import(
            path, "--push-url", self.stack.push.url(), "--token-file", token, "--apply")
        assert status == 0 and "3 devices registered" in out

    async def enable(self):
        """As the app did when Tigase's component was there: without a secret."""
        async with self.stack.client("alice") as phone:
            await phone.enable_push(self.stack.push_jid, self.node)

    async def write(self):
        async with self.stack.client("bob") as peer:
            peer.send_message(f"alice@{self.stack.domain}", "Are you there?", mtype="chat")

    def pushes(self):
        """How many requests came for each of the devices."""
        return tuple(len(got(self.stack.fake, token)) for token in (self.phone, self.tablet))

    def message_pushes(self, phone, tablet):
        """A message comes, and with it the PHONEth and the TABLETth push."""
        self.run(self.write())
        wait_until(lambda: self.pushes() == (phone, tablet), what=f"{phone} and {tablet} pushes")

    def devices(self):
        path = f"/v1/devices?owner=alice@{self.stack.domain}"
        found = self.stack.push.call("GET", path)[1]["devices"]
        return [device["provider"] for device in found]

    def gone(self):
        """How often the server was answered that the registration is dead."""
        return len(re.findall(self.stack.server.gone, self.stack.server.log_text()))


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_goes_on_with_tigases_node_until_all_its_devices_are_gone(
    stage, run, token, server
):
    user = Aliased(Stack(stage, server).start(), run)
    fake, alias = user.stack.fake, f"og:push:alias:{user.node}"
    user.take_over(token)
    run(user.enable())
    user.message_pushes(1, 1)
    script(fake, user.phone, 410, "Unregistered")
    user.message_pushes(2, 2)
    wait_until(lambda: user.devices() == [FCM], what="the dead one to go")
    user.message_pushes(2, 3)
    assert user.stack.redis.command("SCARD", alias) == 1
    script(fake, user.tablet, 404, "UNREGISTERED")
    user.message_pushes(2, 4)
    user.stack.server.wait_log(user.stack.server.gone)
    assert user.gone() == 1, "only when all were"
    assert not user.devices() and not user.stack.redis.command("EXISTS", alias)


def asked(stage, program, option, *lines):
    """What PROGRAM says with OPTION of a configuration with LINES more."""
    config = stage.folder / f"{program}-page.conf"
    config.write_text("\n".join(["[daemon]", "api-token = token-of-the-tests", *lines, ""]))
    command = [stage.binary(program), option, "-c", config]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_every_setting_of_the_page_is_one_of_ours_and_an_old_name_leads_to_it(stage):
    rows = rows_of_page("Settings")
    assert len(rows) > 15
    section = {"relayd": [], "pushd": ["[provider a]", "kind = apns"]}
    for program, lines in section.items():
        keys = set(re.findall(r"^#?([\w-]+) =", asked(stage, program, "-T", *lines), re.M))
        for theirs, ours, where in rows:
            if where != program:
                continue
            assert set(names_in(ours)[:1]) <= keys, ours
            for name in set(names_in(theirs)) - keys:
                said = asked(stage, program, "-n", *lines, f"{name} = x")
                assert f"{name} is retired: " in said, said


def test_every_statistic_of_the_page_is_counted(stage):
    redis = stage.redis()
    daemons = {"relayd": stage.relayd(redis=redis),
               "pushd": stage.pushd("push", redis, stage.providers())}
    told = {name: daemon.call("GET", "/metrics")[1] for name, daemon in daemons.items()}
    rows = rows_of_page("Statistics")
    assert len(rows) > 7
    for _, ours, where in rows:
        assert f"# TYPE {names_in(ours)[0]} " in told[where], ours


def test_every_command_of_the_page_is_there():
    schemas = (ROOT / "schemas/openapi.yaml").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "xmppgw/commands").glob("*.c"))
    rows = rows_of_page("Commands")
    assert len(rows) > 4
    for _, ours in rows:
        for name in names_in(ours):
            if " " in name:
                assert f"\n  {name.split()[1]}:\n" in schemas
            else:
                assert f'"{name}"' in sources, name
