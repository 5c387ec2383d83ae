"""The contract: what the tests saw on the wire and in Redis is what schemas/ says.

Runs last, over what this session and others recorded (recorder.py). Every recorded HTTP body must
fit the schema that its path, method and status name; every Redis key must match a row of
schemas/redis.md with its type, and expire if that row says so. After a run of all files
(OG_WHOLE, which tests/run-e2e sets), whatever is documented must have occurred, too.
"""

import functools
import json
import os
import re

import jsonschema
import pytest

import recorder
from harness import ROOT

SCHEMAS = ROOT / "schemas"
DAEMONS = ("relayd", "pushd", "xmppgw")


@pytest.fixture(scope="module", autouse=True)
def recordings():
    recorder.load()


@functools.cache
def rows(daemon):
    """The calls that the daemon's index documents, each with a pattern of its path."""
    index = json.loads((SCHEMAS / daemon / "index.json").read_text())
    return [(row, re.compile(pattern_of(row["path"], "[^/]+") + r"(\?.*)?")) for row in index]


def pattern_of(text, placeholder):
    """A regular expression for TEXT, whose {names} stand for PLACEHOLDER."""
    return placeholder.join(re.escape(part) for part in re.split(r"\{[^}]*\}", text))


@functools.cache
def validator(path):
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    resolver = jsonschema.RefResolver(path.as_uri(), schema)
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


def misfits(name, path, data):
    """What of the JSON text DATA doesn't fit the schema at PATH, as sentences."""
    try:
        body = json.loads(data)
    except ValueError:
        return [f"{name}: is no JSON: {data[:200]!r}"]
    errors = validator(path.resolve()).iter_errors(body)
    return [f"{name}: {error.json_path}: {error.message}" for error in errors]


def row_of(call):
    """The row of the index that documents the call, or None."""
    for row, path in rows(call.daemon):
        if row["method"] == call.method and path.fullmatch(call.path):
            return row
    return None


def meets_the_end(call):
    """True if the daemon was stopping, which any call may meet and no row documents."""
    return call.status == 503 and b"this server is stopping" in call.answer


def complaints(call):
    """What is undocumented about CALL."""
    folder = SCHEMAS / call.daemon
    what = f"{call.daemon} {call.method} {call.path} {call.status}"
    row = row_of(call)
    if row is None:
        if call.status in (404, 405):  # a test that asks for what isn't there
            return misfits(what, SCHEMAS / "error.json", call.answer)
        return [f"{what}: no such call in {folder.name}/index.json"]
    found = []
    if row["request"] and call.status is not None and call.status < 300:
        found += misfits(f"{what} request", folder / row["request"], call.request)
    if call.status is None:
        return found
    if meets_the_end(call):
        return found
    if str(call.status) not in row["responses"]:
        return found + [f"{what}: that status isn't documented"]
    schema = row["responses"][str(call.status)]
    if schema:
        found += misfits(f"{what} response", folder / schema, call.answer)
    elif call.content_type.startswith("application/json"):
        found.append(f"{what}: JSON where no schema is named")
    return found


def fail_on(found):
    different = list(dict.fromkeys(found))
    assert not different, f"{len(different)} misfits:\n" + "\n".join(different[:40])


@pytest.mark.parametrize("daemon", DAEMONS)
def test_every_call_and_answer_fits_its_schema(daemon):
    calls = [call for call in recorder.CALLS if call.daemon == daemon]
    if not calls:
        pytest.skip("this session called nothing of it")
    fail_on(complaint for call in calls for complaint in complaints(call))


def key_rows():
    """The table of schemas/redis.md: (pattern of the key, type, what it says of its life)."""
    for line in (SCHEMAS / "redis.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) >= 5 and cells[0].startswith("`"):
            key = re.compile(pattern_of(cells[0].strip("`"), "[^:]+"))
            yield key, cells[1].strip("`").lower(), cells[3].lower()


def test_every_redis_key_is_in_the_table_with_its_type_and_life():
    if not recorder.KEYS:
        pytest.skip("this session had no Redis")
    table, found = list(key_rows()), []
    for key in recorder.KEYS.values():
        fitting = [row for row in table if row[1] == key.type and row[0].fullmatch(key.name)]
        lives = [life for _, _, life in fitting]
        if not lives:
            found.append(f"{key.name} ({key.type}) matches no row of schemas/redis.md")
        elif not key.expires and not lives[0].startswith("no ttl"):
            found.append(f"{key.name} has no TTL, but its life is: {lives[0]}")
    fail_on(found)


def test_every_registry_record_fits_its_schema():
    records = [key for key in recorder.KEYS.values() if key.value]
    if not records:
        pytest.skip("no daemon registered in this session")
    found = []
    for key in records:
        kind = key.name.split(":")[2]
        found += misfits(key.name, SCHEMAS / "registry" / f"{kind}.json", key.value)
    fail_on(found)


@pytest.fixture
def whole():
    """For what holds only if all files ran."""
    if not os.environ.get("OG_WHOLE"):
        pytest.skip("this session isn't the whole of the tests")


@pytest.mark.parametrize("daemon", DAEMONS)
def test_every_documented_status_occurs(whole, daemon):
    seen = set()
    for call in recorder.CALLS:
        row = row_of(call) if call.daemon == daemon else None
        if row is not None and not meets_the_end(call):
            seen.add((row["method"], row["path"], str(call.status)))
    fail_on(
        f"{daemon} {row['method']} {row['path']} {status}: documented, but it never occurs"
        for row, _ in rows(daemon)
        for status in row["responses"]
        if (row["method"], row["path"], status) not in seen
    )


def test_every_documented_redis_key_occurs(whole):
    fail_on(
        f"{key.pattern}: documented, but no key is like it"
        for key, _, _ in key_rows()
        if not any(key.fullmatch(name) for name in recorder.NAMES)
    )
