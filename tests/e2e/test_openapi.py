"""schemas/openapi.yaml says what pushd serves: no more, no less, and as schemas/pushd/ has it."""

import json
import re

import jsonschema
import pytest
import yaml

from harness import ROOT

SCHEMAS = ROOT / "schemas"
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
ROUTE = re.compile(r'\{ "([A-Z]+)", +"(/[^"]*)", +\w+(, \.open = true)? \}')
DOCUMENT = yaml.safe_load((SCHEMAS / "openapi.yaml").read_text())
INDEX = json.loads((SCHEMAS / "pushd/index.json").read_text())


def operations():
    """{(method, path): operation} of the document."""
    return {
        (method.upper(), path): operation
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def routes(*files):
    """{(method, path): whether it is open} of the tables of routes in FILES."""
    found = {}
    for file in files:
        for method, path, is_open in ROUTE.findall((ROOT / file).read_text()):
            found[method, path] = bool(is_open)
    return found


API = [str(path.relative_to(ROOT)) for path in (ROOT / "pushd/api").glob("*.c")]
INTERNAL = routes("common/daemon.h", *(file for file in API if not file.endswith("/rest.c")))
PUBLIC = routes("pushd/api/rest.c")


def references(value):
    """Every $ref within VALUE."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def resolve(body):
    """BODY, or the component of the document that it stands for."""
    name = (body or {}).get("$ref")
    return DOCUMENT["components"]["responses"][name.split("/")[-1]] if name else body or {}


def schema_of(body):
    """The file that a request's or response's JSON is described by, or None."""
    content = resolve(body).get("content", {})
    return content.get("application/json", {}).get("schema", {}).get("$ref")


def file_of(name):
    """The same as the index names it."""
    return name and ("error.json" if name == "../error.json" else f"pushd/{name}")


def test_it_describes_the_routes_that_are_served():
    assert len(INTERNAL) > 8 and len(PUBLIC) == 2
    assert set(operations()) == set(INTERNAL) | set(PUBLIC)


def test_it_says_which_routes_need_the_token():
    assert DOCUMENT["security"] == [{"token": []}]
    for key, operation in operations().items():
        is_open = PUBLIC.get(key, False) or INTERNAL.get(key, False)
        assert ("security" in operation) == is_open, key
        assert operation.get("security", []) == []
        assert operation["tags"] == ["public" if key in PUBLIC else "internal"]
        assert ("servers" in DOCUMENT["paths"][key[1]]) == (key in PUBLIC)


def test_its_bodies_and_statuses_are_those_of_the_index():
    rows = {(row["method"], row["path"]): row for row in INDEX}
    assert set(rows) == set(operations())
    for key, operation in operations().items():
        row = rows[key]
        assert schema_of(operation.get("requestBody")) == file_of(row["request"]), key
        shown = {status: schema_of(body) for status, body in operation["responses"].items()}
        assert shown == {status: file_of(name) for status, name in row["responses"].items()}, key


FILES = {name for name in references(DOCUMENT) if not name.startswith("#")}


@pytest.mark.parametrize("reference", sorted(FILES))
def test_each_schema_is_there_and_is_one(reference):
    schema = json.loads((SCHEMAS / reference).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)


def test_its_form_is_that_of_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    names = [operation["operationId"] for operation in operations().values()]
    assert len(set(names)) == len(names)
    for path, item in DOCUMENT["paths"].items():
        declared = [one["name"] for one in item.get("parameters", []) if one["in"] == "path"]
        assert declared == re.findall(r"\{(\w+)\}", path)
        assert set(item) <= METHODS | {"parameters", "servers"}
    for key, operation in operations().items():
        assert operation["summary"] and operation["responses"], key
        assert all(resolve(body)["description"] for body in operation["responses"].values())
        assert all(re.fullmatch("[1-5][0-9][0-9]", status) for status in operation["responses"])
    limited = operations()["POST", "/unregister-device/{jid}"]["responses"]["429"]
    assert "Retry-After" in resolve(limited)["headers"]
