"""deploy/import-tigase: what it makes of each kind of dump, and that it sets limits."""

import pathlib
import subprocess

import pytest

from harness import ROOT

PROGRAM = ROOT / "deploy/import-tigase"
DATA = ROOT / "tests/data/import-tigase"
CASES = sorted(path.name for path in DATA.iterdir() if path.suffix != ".expected")
MIB = 1024 * 1024


def run_import(*args):
    """(status, stdout, stderr)."""
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("case", CASES)
def test_each_dump_comes_to_what_is_expected(case):
    expected = (DATA / f"{case}.expected").read_text()
    status, out, _ = run_import(DATA / case)
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
        status, out, _ = run_import(*args, "--apply")
        assert status == 1 and out.endswith("3 accounts set, 2 skipped, 1 bad\n")
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
