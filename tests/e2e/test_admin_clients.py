"""What administrators see of the commands in clients for terminals."""

import pytest

from harness import Stage
from stack import Stack
from terminal import Poezio, Profanity

CLIENTS = [Profanity, pytest.param(Poezio, marks=pytest.mark.matrix)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("clients")) as stage:
        keys = {"admins": "root@example.org"}
        server = {"modules": ("adhoc",)}  # profanity asks the server first, then its components
        yield Stack(stage, users=("root",), component_keys=keys, server_keys=server).start()


@pytest.fixture(params=CLIENTS, ids=lambda client: client.__name__.lower())
def client(request, stack):
    with request.param(stack.server, "root", stack.password) as client:
        yield client


def test_a_list_is_shown(stack, client):
    client.ask(stack.relay_jid, "list-relays")
    for relay in stack.relays:
        client.see("List relays", "• Relay", relay.name, relay.address("socks"))


def test_a_list_is_shown_page_by_page(stack, client):
    accounts = [f"user{i:02}@example.org" for i in range(30)]
    for account in accounts:
        assert stack.relays[0].call("PUT", f"/v1/limits/{account}", {"file": 5})[0] in (200, 204)
    client.ask(stack.relay_jid, "show-limits")
    client.see("User (user@domain) or domain")
    client.submit()
    client.see("@example.org", "One transfer", "5B")
    client.submit()
    client.see(*accounts[25:], without=["There is more"])


def test_a_form_is_shown(stack, client):
    client.ask(stack.relay_jid, "set-limits")
    client.see("Set limits", "User (user@domain) or domain", "Limit of one transfer (in MB)")
    client.see("Without effect (verifier = open) at", *(relay.name for relay in stack.relays))


def test_an_error_is_shown(stack, client):
    client.ask(stack.relay_jid, "cut-stream")
    client.leave()
    client.see("There is no stream.")
