"""README's quick start of the stack, as an operator types it in a clean clone."""

import subprocess

import readme
from containers import DOMAIN, Stack
from test_c_stack import new_certificate



def prepare_providers(stack):
    """What the text says in words: a provider's files, and pushd.conf without the other section."""
    folder = stack.deploy / "secrets/pushd/providers"
    key = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        capture_output=True, check=True,
    ).stdout
    (folder / "apns.p8").write_bytes(key)
    config = stack.deploy / "config/pushd.conf"
    text = config.read_text()
    begin, end = text.index("[provider fcm-xmpp-api]"), text.index("# What each provider may have")
    config.write_text(text[:begin] + text[end:])


def test_the_quick_start_brings_the_stack_up(folder, tmp_path):
    stack = Stack(folder / "readme")
    del stack.environment["COMPOSE_FILE"]  # .env's
    certificate, key = new_certificate(tmp_path)
    values = {"DOMAIN": DOMAIN, "CERTIFICATE": certificate, "KEY": key}
    shown = ""
    with stack:
        for block in readme.stack_blocks():
            if " up " in block.text:
                prepare_providers(stack)
            shown += stack.run("sh", "-e", "-c", block.text, **values)[1]
            if " up " in block.text:
                stack.wait_healthy()
                services = {container.service for container in stack.containers()}
        assert "make-secrets: wrote" in shown
        assert "outrigger_pushd_provider_sent_total" in shown
        assert services >= {"redis", "relay1", "relay2", "relay3", "pushd", "xmppgw", "https"}
