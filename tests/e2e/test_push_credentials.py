"""Credentials: every form, checked, replaced while pushes are under way, shared, and their end."""

import concurrent.futures
import http.client
import http.server
import json
import re
import ssl
import subprocess
import threading
import time

import jsonschema
import pytest

from certificates import DAY, Authority, clock_library, master_key, packed
from chat import Client
from harness import HOST, ROOT, wait_until
from notify import (
    APNS, FCM, HELD, apns_token, got, item, metric, outcome, publish, register, script,
)
from servers import Prosody

TOPIC = "org.example.chat"
PATH = f"/v1/providers/{APNS}/credential"
PASSWORD = "mellon-of-the-test"


@pytest.fixture
def redis(stage):
    return stage.redis()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def fake(stage, authority):
    """Pretend providers that take certificates of our authority, too."""
    return stage.providers(args=["--client-ca", authority.certificate])


@pytest.fixture
def master(tmp_path):
    return master_key(tmp_path)


def sections(fake, apns=None):
    """The two providers, that of APNs with the keys APNS as its credential, if they are given."""
    both = {name: {**keys, "interval": "0"} for name, keys in fake.provider_sections().items()}
    if apns is not None:
        kept = {key: both[APNS][key] for key in ("kind", "endpoint", "ca_file", "interval")}
        both[APNS] = {**kept, **apns}
    return both


def start(stage, redis, fake, apns=None, name="push-1", **keys):
    """A pushd; APNS: its APNs provider's keys, by default those of the demonstration."""
    return stage.pushd(name, redis, fake, providers=sections(fake, apns), **keys)


def put(push, credential, path=PATH, **more):
    return push.call("PUT", path, {"credential": credential, **more})


def signers(fake):
    """The different authorizations that APNs saw."""
    requests = [request for request in fake.received() if request["provider"] == "apns"]
    return {request["headers"].get("authorization") for request in requests}


def send(push, fake, **keys):
    """Registers a device and sends to it: the outcome, and the requests that came."""
    device = register(push, **keys)
    return outcome(push, device), got(fake, device["token"])


def ahead(push, folder, days):
    """Sets the clock of PUSH, which isn't running, DAYS ahead."""
    asan = push.stage.sanitizer_env["ASAN_OPTIONS"]
    push.env = {
        **push.stage.sanitizer_env,
        "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0",
        "LD_PRELOAD": str(clock_library(folder)),
        "OG_CLOCK_OFFSET": str(int(days * DAY)),
    }


# Files


def test_a_keychain_file_signs_in_and_gives_the_topic(stage, redis, fake, authority, tmp_path):
    file = tmp_path / "push.p12"
    file.write_bytes(authority.p12(TOPIC, PASSWORD))
    push = start(stage, redis, fake, {"cert_file": file, "cert_password": PASSWORD})
    word, (request,) = send(push, fake)
    assert word == "sent" and request.get("certificate") is True
    assert "authorization" not in request["headers"]
    assert request["headers"]["apns-topic"] == TOPIC
    dump = subprocess.run([*push.argv, "-T"], capture_output=True, text=True)
    assert "cert-password = (hidden)" in dump.stdout and PASSWORD not in dump.stdout


FAULTS = {
    "wrong-password": (lambda ca: ca.p12(TOPIC, "other"), "has another password"),
    "expired": (lambda ca: ca.pem(TOPIC, days=30, started_days_ago=100).encode(), "expired on 20"),
    "other-key": (
        lambda ca: (ca.sign(TOPIC)[0] + ca.sign(TOPIC)[1]).encode(),
        "has a private key that doesn't match the certificate",
    ),
    "other-topic": (
        lambda ca: ca.pem("org.example.other").encode(),
        f"is for the topic org.example.other, not for {TOPIC}",
    ),
    "no-key": (lambda ca: ca.sign(TOPIC)[0].encode(), "has no private key"),
    "wrong-curve": (lambda ca: ca.p8("secp384r1").encode(), "is no key on the curve P-256"),
    "cut-off": (lambda ca: ca.p12(TOPIC, PASSWORD)[:-7], "is no PKCS #12 file"),
    "hashed-p12": (
        lambda ca: ca.p12(TOPIC, PASSWORD, ["-iter", "100001", "-nomaciter"]),
        "has its password hashed more than 100000 times (iterations)",
    ),
    "hashed-pem": (
        lambda ca: ca.locked_pem(TOPIC, PASSWORD, "-iter", "100001").encode(),
        "has its password hashed more than 100000 times (iterations)",
    ),
    "garbage": (lambda ca: b"garbage", "is neither a .p12 file, nor PEM with a certificate"),
}


def prepare(stage, redis, fake, authority, tmp_path, fault, **keys):
    """A pushd with a file that has FAULT, not started; and what it must say of the file."""
    make, words = FAULTS[fault]
    file = tmp_path / "push.p12"
    file.write_bytes(make(authority))
    apns = {"topic": TOPIC, "cert_file": file, "cert_password": PASSWORD}
    push = stage.pushd("push-1", redis, fake, start=False, providers=sections(fake, apns), **keys)
    return push, f"cert-file {file} {words}"


def complaint(push):
    """What -n says, which must be that something is wrong."""
    done = subprocess.run([*push.argv, "-n"], capture_output=True, text=True)
    assert done.returncode == 1 and PASSWORD not in done.stderr
    return done.stderr


def providers(push):
    return {one["id"]: one for one in push.call("GET", "/v1/providers")[1]["providers"]}


def check_only_apns_is_out(push, words):
    """The other provider serves as ever."""
    assert f'credential-refused provider={APNS} from=file reason="{words}' in push.log_text()
    assert PASSWORD not in push.log_text()
    wait_until(lambda: providers(push)[APNS]["state"] == "credential")
    found = providers(push)
    assert found[FCM]["state"] == "ready"
    assert outcome(push, register(push)) == "unavailable"
    assert outcome(push, register(push, provider=FCM)) == "sent"
    assert providers(push)[APNS]["state"] == "credential"
    return found[APNS]["credential"]


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"expired"}))
def test_a_file_at_fault_is_refused_at_start_in_plain_words(
    stage, redis, fake, authority, tmp_path, fault
):
    push, words = prepare(stage, redis, fake, authority, tmp_path, fault)
    assert f"[provider {APNS}]: {words}" in complaint(push)
    push.clean = (1,)
    assert push.start(wait=False).wait_exit() == 1
    assert f"[provider {APNS}]: {words}" in push.log_text()
    assert PASSWORD not in push.log_text()


def test_a_file_that_has_expired_stops_its_own_provider_alone(
    stage, redis, fake, authority, tmp_path
):
    push, words = prepare(stage, redis, fake, authority, tmp_path, "expired")
    assert f"[provider {APNS}]: {words}" in complaint(push)
    credential = check_only_apns_is_out(push.start(), words)
    findings = providers(push)[APNS]["findings"]
    assert re.match(r"It expired on \d{4}-\d\d-\d\d: nothing can be sent with it.$", findings[0])
    assert any(finding.startswith("The file is refused: ") for finding in findings)
    assert (credential["kind"], credential["source"]) == ("certificate", "file")
    assert credential["expires_ms"] < 1000 * time.time() and credential["topic"] == TOPIC
    push.wait_log(f"credential-expires provider={APNS} days=0")
    file = push.sections[f"provider {APNS}"]["cert_file"]
    file.write_bytes(authority.p12(TOPIC, PASSWORD))
    push.popen.send_signal(1)
    push.wait_log("credential-replaced .*form=certificate from=file")
    assert send(push, fake)[0] == "sent"
    found = providers(push)[APNS]
    expires, calls = found["findings"]
    assert found["state"] == "ready" and re.match(r"It expires on .* in \d+ days", expires)
    assert calls == f"It isn't for calls ({TOPIC}.voip): they are sent as alerts."


@pytest.mark.parametrize("fault", FAULTS)
def test_where_one_can_be_set_a_file_at_fault_stops_its_own_provider_alone(
    stage, redis, fake, authority, tmp_path, fault, master
):
    push, words = prepare(stage, redis, fake, authority, tmp_path, fault, master_key_file=master)
    assert f"[provider {APNS}]: {words}" in complaint(push)
    check_only_apns_is_out(push.start(), words)
    findings = providers(push)[APNS]["findings"]
    assert any(one.startswith("The file is refused: ") and words in one for one in findings)
    assert put(push, authority.pem(TOPIC))[0] == 200
    assert send(push, fake)[0] == "sent"
    push.stop()
    push.start()  # with a bad file and a good one in Redis
    push.wait_log("credential-replaced .*form=certificate from=redis")
    assert send(push, fake)[0] == "sent"
    found = providers(push)[APNS]
    assert (found["state"], found["credential"]["source"]) == ("ready", "stored")


def test_the_master_key_is_changed_and_what_it_sealed_stays(
    stage, redis, fake, authority, tmp_path, master
):
    new = master_key(tmp_path, "new.key")
    push = start(stage, redis, fake, {"topic": TOPIC}, master_key_file=master)
    assert put(push, authority.pem(TOPIC))[0] == 200

    def restart(**keys):
        push.stop()
        daemon = {**push.sections["daemon"], **keys}
        push.configure({**push.sections, "daemon": daemon})
        push.start()
        push.wait_log("credential-replaced .*form=certificate from=redis")
        assert send(push, fake)[0] == "sent"

    restart(master_key_file_also=new)
    restart(master_key_file=new, master_key_file_also=master)
    push.wait_log(f"sealed-anew key=push:credential:{APNS}")
    master.unlink()
    restart(master_key_file_also=None)


def test_a_second_master_key_is_checked_as_the_first(stage, redis, fake, tmp_path, master):
    def told(**keys):
        return complaint(stage.pushd("push-1", redis, fake, start=False, **keys))

    (tmp_path / "bad.key").write_text("0123")
    also = {"master_key_file_also": tmp_path / "bad.key"}
    assert "master-key-file-also needs master-key-file" in told(**also)
    words = f"master-key-file-also {tmp_path}/bad.key has no key of 32 bytes in 64 hex digits"
    assert words in told(master_key_file=master, **also)


def test_a_certificate_that_ends_meanwhile_is_a_credential_fault(
    stage, redis, fake, authority, tmp_path
):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC, days=10))
    push = start(stage, redis, fake, {"cert_file": file})
    push.stop()
    ahead(push, tmp_path, 11)
    push.start()
    assert outcome(push, register(push)) == "unavailable"
    push.wait_log("provider-open .*reason=credential-not-valid fault=credential")


def test_the_providers_are_told_with_what_they_sign_in(stage, redis, fake, authority, master):
    push = start(stage, redis, fake, {"topic": TOPIC}, master_key_file=master)
    wait_until(lambda: providers(push)[APNS]["state"] == "credential")
    found = providers(push)
    assert found[APNS]["credential"] == {"kind": "none"}
    assert found[APNS]["findings"] == ["There is none: nothing can be sent."]
    assert found[FCM]["credential"] == {"kind": "service-account", "source": "file"}
    assert put(push, authority.pem(TOPIC))[0] == 200
    credential = providers(push)[APNS]["credential"]
    assert credential.pop("expires_ms") > 1000 * time.time()
    assert credential == {"kind": "certificate", "source": "stored", "topic": TOPIC}
    ids = {"key_id": "FAKEKEY001", "team_id": "FAKETEAM01"}
    assert put(push, (fake.set / "apns.p8").read_text(), **ids)[0] == 200
    found = providers(push)[APNS]
    assert found["credential"] == {"kind": "key", "source": "stored"}
    signed = "Requests are signed as key FAKEKEY001 of team FAKETEAM01."
    assert found["findings"] == [signed]
    device = register(push)
    script(fake, device["token"], 403, "InvalidProviderToken")
    assert outcome(push, device) == "unavailable"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    refused = rf"Refused by the provider since {today[:4]}-\d\d-\d\d \(InvalidProviderToken\)\."
    assert re.fullmatch(refused, providers(push)[APNS]["findings"][1])
    fake.reset()
    wait_until(lambda: outcome(push, device) == "sent", what="the provider to take it")
    assert providers(push)[APNS]["findings"] == [signed]


def test_a_file_is_read_again_on_sighup_and_one_at_fault_is_not_used(
    stage, redis, fake, authority, tmp_path
):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC))
    push = start(stage, redis, fake, {"topic": TOPIC, "cert_file": file})
    devices = [register(push) for _ in range(3)]
    assert outcome(push, devices[0]) == "sent"
    file.write_text(authority.pem("org.example.other"))
    push.popen.send_signal(1)
    push.wait_log(r"config-refused .*is for the topic org\.example\.other")
    assert outcome(push, devices[1]) == "sent"
    file.write_text(authority.pem(TOPIC))
    push.popen.send_signal(1)
    push.wait_log("credential-replaced .*form=certificate from=file")
    assert outcome(push, devices[2]) == "sent"
    first, second, third = [request["connection"] for device in devices
                            for request in got(fake, device["token"])]
    assert first == second != third


def test_the_files_themselves_may_be_others_after_sighup(stage, redis, fake, authority, tmp_path):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC))
    push = start(stage, redis, fake)
    device = register(push)
    assert outcome(push, device) == "sent"
    provider = push.sections[f"provider {APNS}"]
    for key in ("key_file", "key_id", "team_id"):
        del provider[key]
    provider["cert_file"] = file
    push.configure(push.sections)
    push.popen.send_signal(1)
    push.wait_log("credential-replaced .*form=certificate from=file")
    assert "config-needs-restart" not in push.log_text()
    assert outcome(push, device) == "sent"
    certified = [request.get("certificate", False) for request in got(fake, device["token"])]
    assert certified == [False, True]


# A certificate for calls beside the other one

CALL = {"priority": "high", "encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}
VOIP = f"{TOPIC}.voip"


def with_calls(authority, tmp_path, **options):
    """The keys of a provider with one certificate for alerts and one, with OPTIONS, for calls."""
    file, calls = tmp_path / "push.pem", tmp_path / "calls.p12"
    file.write_text(authority.pem(TOPIC))
    calls.write_bytes(authority.p12(VOIP, PASSWORD, **options))
    return {"topic": TOPIC, "cert_file": file, "voip_cert_file": calls,
            "voip_cert_password": PASSWORD}


def ring(push, fake, device):
    """Sends a call to DEVICE: the push type that it came as, and its connection."""
    seen = len(got(fake, device["token"])) + len(got(fake, device["second_token"]))
    assert outcome(push, device, **CALL) == "sent"
    requests = got(fake, device["token"]) + got(fake, device["second_token"])
    assert len(requests) == seen + 1
    last = max(requests, key=lambda one: one["n"])
    assert last["certificate"] is True
    return last["headers"]["apns-push-type"], last["connection"]


def test_calls_go_by_their_own_certificate_and_all_else_by_the_other(
    stage, redis, fake, authority, tmp_path
):
    push = start(stage, redis, fake, with_calls(authority, tmp_path))
    device = register(push, second_token=apns_token())
    kind, calls = ring(push, fake, device)
    assert kind == "voip"
    assert outcome(push, device) == "sent"  # with the other's certificate: TopicDisallowed
    (request,) = got(fake, device["token"])
    assert request["headers"]["apns-push-type"] == "alert" and request["connection"] != calls
    assert ring(push, fake, register(push, second_token=apns_token())) == ("voip", calls)
    found = providers(push)[APNS]
    assert (found["state"], found["credential"]["topic"]) == ("ready", TOPIC)
    assert not any("calls" in one for one in found["findings"])
    credential = found["call_credential"]
    assert credential.pop("expires_ms") > 1000 * time.time()
    assert credential == {"kind": "certificate", "source": "file", "topic": VOIP}
    assert "credential-incomplete" not in push.log_text()
    dump = subprocess.run([*push.argv, "-T"], capture_output=True, text=True)
    assert "voip-cert-password = (hidden)" in dump.stdout and PASSWORD not in dump.stdout


@pytest.mark.parametrize("make, words", [
    (lambda ca: ca.pem("org.example.other.voip"),
     f"is for the topic org.example.other.voip, not for {TOPIC}"),
    (lambda ca: ca.pem(TOPIC), rf"isn't for calls ({VOIP})"),
    (lambda ca: ca.sign(VOIP)[0] + ca.sign(VOIP)[1],
     "has a private key that doesn't match the certificate"),
    (lambda ca: ca.p8(), "is neither a .p12 file, nor PEM with a certificate and its key"),
], ids=["other-topic", "no-calls", "other-key", "key"])
def test_a_file_for_calls_at_fault_is_refused_at_start(
    stage, redis, fake, authority, tmp_path, master, make, words
):
    keys = with_calls(authority, tmp_path)
    keys["voip_cert_file"].write_text(make(authority))
    push = stage.pushd("push-1", redis, fake, start=False, providers=sections(fake, keys),
                       master_key_file=master)
    words = f"[provider {APNS}]: voip-cert-file {keys['voip_cert_file']} {words}"
    assert words in complaint(push)
    push.clean = (1,)
    assert push.start(wait=False).wait_exit() == 1
    assert words in push.log_text()


def test_without_a_valid_certificate_for_calls_they_come_as_alerts_until_one_is_there(
    stage, redis, fake, authority, tmp_path
):
    keys = with_calls(authority, tmp_path, days=30, started_days_ago=100)
    push = stage.pushd("push-1", redis, fake, start=False, providers=sections(fake, keys))
    words = f"voip-cert-file {keys['voip_cert_file']} expired on 20"
    assert f"[provider {APNS}]: {words}" in complaint(push)
    push.start()
    assert f'credential-refused provider={APNS} from=file reason="{words}' in push.log_text()
    device = register(push, second_token=apns_token())
    assert ring(push, fake, device)[0] == "alert"
    push.wait_log("provider-open .*reason=credential-not-valid fault=credential .* for=calls")
    assert outcome(push, device) == "sent"
    assert providers(push)[APNS]["state"] == "ready"
    wait_until(lambda: events(redis))
    (event,) = events(redis)
    assert (event["provider"], event["days"]) == (APNS, 0)
    assert re.match(
        rf"The certificate for calls \(voip-cert-file\) of the push provider {APNS} expired on "
        r"20\d\d-\d\d-\d\d: calls are sent as alerts until", event["text"])
    name = "outrigger_pushd_credential_expires_seconds"
    assert metric(push, name, provider=APNS) < 0  # the first that ends counts
    keys["voip_cert_file"].write_bytes(authority.p12(VOIP, PASSWORD))
    push.popen.send_signal(1)
    push.wait_log("credential-replaced .*form=certificate from=voip-cert-file")
    assert ring(push, fake, device)[0] == "voip"


def test_a_certificate_for_calls_may_come_and_go_with_sighup(
    stage, redis, fake, authority, tmp_path
):
    keys = with_calls(authority, tmp_path)
    both = {key: keys.pop(key) for key in ("voip_cert_file", "voip_cert_password")}
    push = start(stage, redis, fake, keys)
    device = register(push, second_token=apns_token())
    assert ring(push, fake, device)[0] == "alert"
    assert f"isn't for calls ({VOIP}): they are sent as alerts" in push.log_text()
    for more, kind, words in ((both, "voip", "form=certificate"), ({}, "alert", "form=none")):
        push.sections[f"provider {APNS}"] = {**sections(fake, keys)[APNS], **more}
        push.configure(push.sections)
        push.popen.send_signal(1)
        push.wait_log(f"credential-replaced provider={APNS} {words}")
        assert ring(push, fake, device)[0] == kind
        assert ("call_credential" in providers(push)[APNS]) is (kind == "voip")
    assert "config-needs-restart" not in push.log_text()


# Certificates that the provider refuses within TLS

TLS = {"tls-1.2": ["--tls12"], "tls-1.3": []}
REFUSALS = {
    "bad": "tls-bad-certificate",
    "expired": "tls-certificate-expired",
    "revoked": "tls-certificate-revoked",
    "unknown-ca": "tls-unknown-ca",
    "close": "tls-closed-at-certificate",
}


@pytest.fixture(params=TLS)
def refusing(stage, authority, request):
    """Pretend providers that are to refuse certificates."""
    return stage.providers(args=["--client-ca", authority.certificate, *TLS[request.param]])


def findings_with(push, words):
    return [one for one in providers(push)[APNS]["findings"] if words in one]


@pytest.mark.parametrize("how, reason", REFUSALS.items(), ids=REFUSALS)
def test_calls_whose_certificate_is_refused_within_tls_come_as_alerts(
    stage, redis, refusing, authority, tmp_path, how, reason
):
    push = start(stage, redis, refusing, with_calls(authority, tmp_path), answer_within="60s")
    device = register(push, second_token=apns_token())
    refusing.refuse(VOIP, how)
    for _ in range(2):
        assert ring(push, refusing, device)[0] == "alert"
    push.wait_log(f"provider-open provider={APNS} reason={reason} fault=credential .* for=calls "
                  "credential=voip-cert-file")
    assert providers(push)[APNS]["state"] == "ready"
    (finding,) = findings_with(push, "refused")
    assert re.fullmatch(r"The certificate for calls \(voip-cert-file\) is refused by the provider "
                        rf"since \d{{4}}-\d\d-\d\d \({reason}\): calls are sent as alerts\.",
                        finding)
    refusing.refuse()
    wait_until(lambda: ring(push, refusing, device)[0] == "voip")
    assert findings_with(push, "refused") == []


@pytest.mark.parametrize("how, reason", REFUSALS.items(), ids=REFUSALS)
def test_a_certificate_that_is_refused_within_tls_is_a_credential_fault(
    stage, redis, refusing, authority, tmp_path, how, reason
):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC))
    push = start(stage, redis, refusing, {"cert_file": file}, answer_within="60s")
    device = register(push)
    refusing.refuse(TOPIC, how)
    assert outcome(push, device, deadline_ms=60000) == "unavailable"
    push.wait_log(f"provider-open provider={APNS} reason={reason} fault=credential .*"
                  "credential=cert-file")
    assert redis.command("ZCARD", "og:push:notes") == 0
    (finding,) = findings_with(push, "refused")
    assert re.fullmatch(r"The certificate \(cert-file\) is refused by the provider since "
                        rf"\d{{4}}-\d\d-\d\d \({reason}\)\.", finding)
    refusing.refuse()
    wait_until(lambda: outcome(push, device) == "sent")
    assert findings_with(push, "refused") == []


def test_two_connections_that_end_at_the_certificate_are_no_credential_fault(
    stage, redis, refusing, authority, tmp_path
):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC))
    push = start(stage, redis, refusing, {"cert_file": file}, answer_within="60s")
    refusing.refuse(TOPIC, "close", times=2)
    assert outcome(push, register(push), deadline_ms=60000) == "sent"
    push.wait_log("provider-failed .*tls-closed-at-certificate")
    assert "provider-open" not in push.log_text()


# Set by the API


@pytest.fixture
def settable(stage, redis, fake, master):
    """A pushd whose APNs credential is to be set."""
    return start(stage, redis, fake, {"topic": TOPIC}, master_key_file=master, answer_within="8s")


def test_without_one_notifications_are_unavailable_until_one_is_set(
    settable, fake, authority
):
    device = register(settable)
    assert outcome(settable, device) == "unavailable"
    status, answer = put(settable, packed(authority.p12(TOPIC, PASSWORD)), password=PASSWORD)
    assert status == 200, answer
    assert answer["form"] == "certificate" and answer["topics"] == [TOPIC]
    assert any("It expires on 20" in finding for finding in answer["findings"])
    wait_until(lambda: outcome(settable, device) == "sent")
    assert got(fake, device["token"])[0]["certificate"] is True


def announced(redis, name):
    """The ids of the providers that pushd NAME shows to gateways."""
    text = redis.command("GET", f"og:registry:push:{name}")
    return {one["id"] for one in json.loads(text)["providers"]} if text else None


def test_a_provider_is_announced_while_it_has_a_credential(settable, redis, authority):
    wait_until(lambda: announced(redis, "push-1") == {FCM})
    assert put(settable, authority.pem(TOPIC))[0] == 200
    wait_until(lambda: announced(redis, "push-1") == {APNS, FCM})
    assert settable.call("DELETE", PATH)[0] == 204
    wait_until(lambda: announced(redis, "push-1") == {FCM})


def test_a_certificate_that_is_not_for_calls_is_named(settable, authority):
    status, answer = put(settable, authority.pem(TOPIC))
    lack = f"isn't for calls ({TOPIC}.voip): they are sent as alerts"
    assert status == 200 and f"It {lack}." in answer["findings"]
    assert f'credential-incomplete provider={APNS} reason="it {lack}"' in settable.log_text()


def test_every_form_can_be_set(settable, fake, authority):
    p8 = (fake.set / "apns.p8").read_text()
    ids = {"key_id": "FAKEKEY001", "team_id": "FAKETEAM01"}
    assert put(settable, p8)[0] == 400  # whose key?
    for credential, form in (
        (p8, "key"),
        (packed(p8.encode()), "key"),
        (authority.pem(TOPIC), "certificate"),
        (packed(authority.pem(TOPIC).encode()), "certificate"),
    ):
        status, answer = put(settable, credential, **(ids if form == "key" else {}))
        assert (status, answer.get("form")) == (200, form), answer
        word, (request,) = send(settable, fake)
        assert word == "sent" and request.get("certificate", False) is (form == "certificate")
    account = (fake.set / "service-account.json").read_text()
    status, answer = put(settable, account, f"/v1/providers/{FCM}/credential")
    assert (status, answer["form"]) == (200, "service-account")


@pytest.mark.parametrize("fault", FAULTS)
def test_one_at_fault_is_refused_and_the_old_one_stays(settable, fake, authority, redis, fault):
    assert put(settable, authority.pem(TOPIC))[0] == 200
    kept = redis.command("GET", f"og:push:credential:{APNS}")
    make, words = FAULTS[fault]
    ids = {"key_id": "FAKEKEY001", "team_id": "FAKETEAM01"} if fault == "wrong-curve" else {}
    status, answer = put(settable, packed(make(authority)), password=PASSWORD, **ids)
    assert (status, answer["error"]) == (400, "bad_request")
    assert answer["message"].startswith(f"credential: it {words}")
    assert redis.command("GET", f"og:push:credential:{APNS}") == kept
    word, (request,) = send(settable, fake)
    assert word == "sent" and request.get("certificate") is True


def test_wrong_calls_have_their_errors(settable, stage, redis, fake, authority):
    pem = authority.pem(TOPIC)
    assert put(settable, pem, "/v1/providers/nobody/credential")[0] == 404
    for body in ({}, {"credential": 1}, {"credential": pem, "more": 1}, {"credential": "!"}, []):
        status, answer = settable.call("PUT", PATH, body)
        assert (status, answer["error"]) == (400, "bad_request"), body
    account = (fake.set / "service-account.json").read_text()
    assert put(settable, account)[0] == 400
    assert put(settable, pem, f"/v1/providers/{FCM}/credential")[0] == 400
    plain = start(stage, redis, fake, name="push-2")
    status, answer = put(plain, pem)
    assert (status, answer["error"]) == (409, "conflict") and "master-key-file" in answer["message"]
    redis.kill()
    settable.wait_log("redis-away")
    assert put(settable, pem)[0] == 503


def hasten(fake, work):
    """Until WORK is done, what FAKE holds back is answered."""
    while not work.done():
        fake.hasten()
        concurrent.futures.wait([work], timeout=0.02)


def test_it_is_replaced_while_pushes_are_in_flight(settable, fake, authority):
    assert put(settable, authority.pem(TOPIC))[0] == 200
    devices = [register(settable) for _ in range(30)]
    assert outcome(settable, devices[0]) == "sent"
    fake.script({"match": {"provider": "apns"}, "answer": {"delay_ms": HELD}})
    before = len(fake.received())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        work = pool.submit(publish, settable, *(item(device) for device in devices[1:]))
        wait_until(lambda: len(fake.received()) > before, what="the first to be in flight")
        assert put(settable, authority.pem(TOPIC))[0] == 200
        hasten(fake, work)
        words = {outcome["outcome"] for outcome in work.result()}
    assert words <= {"sent", "queued"} and "sent" in words
    for device in devices[1:]:
        wait_until(lambda: got(fake, device["token"]), what="what was queued to be sent")
        assert len(got(fake, device["token"])) == 1
    connections = {r["connection"] for r in fake.received() if r["provider"] == "apns"}
    assert len(connections) == 2


def test_a_refusal_of_the_old_one_says_nothing_of_the_new_one(settable, fake, authority):
    assert put(settable, authority.pem(TOPIC))[0] == 200
    device, other = register(settable), register(settable)
    script(fake, device["token"], 403, "BadCertificate", times=1, delay_ms=HELD)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        work = pool.submit(outcome, settable, device)
        wait_until(lambda: got(fake, device["token"]), what="it to be in flight")
        assert put(settable, authority.pem(TOPIC))[0] == 200
        hasten(fake, work)
        assert work.result() == "sent"
    assert [one["answered"] for one in got(fake, device["token"])] == [403, 200]
    assert outcome(settable, other) == "sent"
    assert "provider-open" not in settable.log.read_text()


def test_the_others_take_it_within_seconds_and_give_it_back(
    stage, redis, fake, authority, master, settable
):
    file = fake.provider_sections()[APNS]["key_file"]
    keys = {"topic": TOPIC, "key_file": file, "key_id": "FAKEKEY001", "team_id": "FAKETEAM01"}
    other = start(stage, redis, fake, keys, name="push-2", master_key_file=master)
    assert put(settable, authority.pem(TOPIC))[0] == 200
    other.wait_log("credential-replaced .*form=certificate from=redis")
    word, (request,) = send(other, fake)
    assert word == "sent" and request.get("certificate") is True
    other.stop()
    other.start()  # it is there after a restart
    other.wait_log("credential-replaced .*form=certificate from=redis")
    assert settable.call("DELETE", PATH)[0] == 204
    other.wait_log("credential-replaced .*form=key from=file")
    word, (request,) = send(other, fake)
    assert word == "sent" and request.get("certificate", False) is False
    settable.wait_log("credential-replaced .*form=none from=nowhere")
    assert outcome(settable, register(settable)) == "unavailable"


def test_what_is_sealed_with_another_key_or_tampered_with_is_not_used(
    stage, redis, fake, authority, settable, tmp_path
):
    assert put(settable, authority.pem(TOPIC))[0] == 200
    other = start(stage, redis, fake, {"topic": TOPIC}, name="push-2",
                  master_key_file=master_key(tmp_path, "other.key"))
    other.wait_log("credential-refused .*another master key")
    assert outcome(other, register(other)) == "unavailable"
    key = f"og:push:credential:{APNS}"
    sealed = redis.command("GET", key)
    redis.command("SET", key, sealed[:99] + ("A" if sealed[99] != "A" else "B") + sealed[100:])
    settable.wait_log("credential-refused .*from=redis")
    word, (request,) = send(settable, fake)
    assert word == "sent" and request.get("certificate") is True


def test_no_secret_is_told_to_anybody(stage, redis, fake, authority, settable, tmp_path):
    secrets = [PASSWORD, "PRIVATE KEY", "ya29.", "eyJ"]
    put(settable, packed(authority.p12(TOPIC, PASSWORD)), password=PASSWORD)
    put(settable, packed(authority.p12(TOPIC, PASSWORD)), password=PASSWORD + "x")
    ids = {"key_id": "FAKEKEY001", "team_id": "FAKETEAM01"}
    status, answer = put(settable, (fake.set / "apns.p8").read_text(), **ids)
    assert status == 200
    assert send(settable, fake)[0] == "sent" and send(settable, fake, provider=FCM)[0] == "sent"
    settable.popen.send_signal(10)
    wait_until(lambda: "state draining=no" in settable.log_text())
    told = [settable.log_text(), json.dumps(answer)]
    told += [redis.command("GET", key) for key in redis.command("KEYS", "og:push:credential:*")]
    told += [redis.command("GET", key) for key in redis.command("KEYS", "og:push:bearer:*")]
    assert len(told) == 5
    assert [secret for secret in secrets for text in told if secret in text] == []


# Shared


def test_all_pushd_show_one_token_of_each_kind(stage, redis, fake, master):
    pushes = [start(stage, redis, fake, name=f"push-{n}", master_key_file=master)
              for n in range(3)]
    for push in pushes:
        assert send(push, fake)[0] == "sent" and send(push, fake, provider=FCM)[0] == "sent"
    pushes[0].stop()
    pushes[0].start()
    assert send(pushes[0], fake)[0] == "sent"
    assert len(signers(fake)) == 1
    assert len([r for r in fake.received() if r["provider"] == "oauth"]) == 1
    made = [line for push in pushes for line in push.log_text(True).splitlines()
            if "access-token-made" in line]
    assert len(made) == 2


def test_a_fresh_token_is_not_signed_anew_whatever_the_provider_says(stage, redis, fake, master):
    pushes = [start(stage, redis, fake, name=f"push-{n}", master_key_file=master)
              for n in range(2)]
    for push in pushes:
        device = register(push)
        script(fake, device["token"], 403, "ExpiredProviderToken")
        assert outcome(push, device) == "unavailable"
    assert len(signers(fake)) == 1


def test_an_old_token_is_signed_anew_by_one_for_all(stage, redis, fake, master, tmp_path):
    pushes = [start(stage, redis, fake, name=f"push-{n}", master_key_file=master)
              for n in range(2)]
    for push in pushes:
        assert send(push, fake)[0] == "sent"
        push.stop()
    fake.stop()
    for lock in redis.command("KEYS", "og:push:bearer-lock:*"):
        redis.command("DEL", lock)  # Redis's clock doesn't jump
    minutes = 51 / (24 * 60)
    for process in (fake, *pushes):
        ahead(process, tmp_path, minutes)
        process.start()
    for push in pushes:
        assert send(push, fake)[0] == "sent"
    assert len(signers(fake)) == 1  # since the fake's start
    made = [line for push in pushes for line in push.log_text(True).splitlines()
            if f"access-token-made provider={APNS}" in line]
    assert len(made) == 2


def test_of_many_that_need_a_token_at_once_one_makes_it(stage, redis, fake, master):
    fake.script({"match": {"provider": "oauth"}, "answer": {"delay_ms": 1500}})
    pushes = [stage.pushd(f"push-{n}", redis, fake, start=False, providers=sections(fake),
                          master_key_file=master) for n in range(4)]
    for push in pushes:
        push.start(wait=False)
    for push in pushes:
        push.wait_log(f"access-token-(made|shared) provider={FCM}")
        push.wait_log(f"access-token-(made|shared) provider={APNS}")
    text = "".join(push.log_text() for push in pushes)
    assert len([r for r in fake.received() if r["provider"] == "oauth"]) == 1
    assert text.count(f"access-token-made provider={FCM}") == 1
    assert text.count(f"access-token-made provider={APNS}") == 1


def test_a_dead_maker_of_a_token_holds_nobody_up_for_long(stage, redis, fake, master):
    push = start(stage, redis, fake, master_key_file=master)
    assert send(push, fake, provider=FCM)[0] == "sent"
    (name,) = [key for key in redis.command("KEYS", "og:push:bearer:*")
               if redis.command("PTTL", key) > 3550000]
    lock = name.replace(":bearer:", ":bearer-lock:")
    push.stop()
    redis.command("DEL", name)
    redis.command("SET", lock, "1", "PX", "1500")
    push.start()
    wait_until(lambda: send(push, fake, provider=FCM)[0] == "sent")
    assert redis.command("EXISTS", name) == 1


def test_a_redis_that_takes_nothing_more_stops_no_provider(stage, redis, fake, master):
    push = start(stage, redis, fake, master_key_file=master)
    devices = [register(push), register(push, provider=FCM)]
    push.stop()
    for key in redis.command("KEYS", "og:push:bearer*"):
        redis.command("DEL", key)
    redis.command("CONFIG", "SET", "maxmemory", "1")
    push.start()
    for device in devices:
        wait_until(lambda: outcome(push, device) == "sent")
    assert len(push.log_text().split("access-token-made")) == 3
    assert "access-token-unshared" in push.log_text()


# Their end


def events(redis):
    entries = redis.command("XRANGE", "og:events", "-", "+")
    found = [json.loads(fields[1]) for _, fields in entries]
    schema = json.loads((ROOT / "schemas/pushd/event.json").read_text())
    for event in found:
        jsonschema.Draft202012Validator(schema).validate(event)
    return found


def test_each_threshold_is_told_once_by_one_of_the_fleet(stage, redis, fake, authority, tmp_path):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC, days=40))
    keys = {"cert_file": file}
    pushes = [start(stage, redis, fake, keys, name=f"push-{n}") for n in range(2)]
    name = "outrigger_pushd_credential_expires_seconds"
    for push in pushes:
        wait_until(lambda: metric(push, name, provider=APNS) > 39.9 * DAY)
    assert f'{name}{{provider="{FCM}"}}' not in pushes[0].call("GET", "/metrics")[1]
    told = []
    for days, threshold in ((11, 30), (12, None), (27, 14), (33, 7), (37, 3), (39.5, 1)):
        for push in pushes:
            push.stop()
            ahead(push, tmp_path, days)
            push.start()
        told += [threshold] if threshold else []
        wait_until(lambda: [event["days"] for event in events(redis)] == told)
    assert [event["provider"] for event in events(redis)] == [APNS] * len(told)
    logs = "".join(push.log_text(True) for push in pushes)
    for days in told:
        assert logs.count(f"credential-expires provider={APNS} days={days}\n") == 1
    assert 0 < metric(pushes[0], name, provider=APNS) < DAY


def test_what_was_told_by_one_that_died_is_not_told_again(stage, redis, fake, authority, tmp_path):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC, days=10))
    push = start(stage, redis, fake, {"cert_file": file})
    push.wait_log(f"credential-expires provider={APNS} days=14")
    push.kill()
    other = start(stage, redis, fake, {"cert_file": file}, name="push-2")
    file.write_text(authority.pem(TOPIC, days=2))
    other.popen.send_signal(1)
    other.wait_log(f"credential-expires provider={APNS} days=3")
    assert [event["days"] for event in events(redis)] == [14, 3]


def test_the_last_day_is_told_in_hours(stage, redis, fake, authority, tmp_path):
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC, days=1))
    push = start(stage, redis, fake, {"cert_file": file})
    push.wait_log(f"credential-expires provider={APNS} days=1")
    (event,) = events(redis)
    assert event["days"] == 1
    assert re.search(r"expires on 20\d\d-\d\d-\d\d, in 2[34] hours", event["text"])


def test_the_admins_get_a_message(stage, redis, fake, authority, tmp_path, run):
    component, secret = "push.example.org", "of the component"
    server = stage.run(Prosody(stage, "example.org", {component: secret}))
    server.add_user("root", "secret")
    address = f"127.0.0.1:{server.component_port(component)}"
    section = {"server": address, "secret": secret, "role": "push"}
    section["admins"] = "root@example.org"
    gateway = stage.xmppgw(redis, {component: section})
    gateway.wait_log("stream-up")
    file = tmp_path / "push.pem"
    file.write_text(authority.pem(TOPIC, days=10))

    async def work():
        async with Client(server, "root", "secret") as client:
            start(stage, redis, fake, {"cert_file": file})
            message = await client.messages.get()
            return message["from"].bare, message["subject"], message["body"]

    sender, subject, body = run(work())
    assert sender == component and subject == "A push credential expires"
    assert re.match(rf"The certificate of the push provider {APNS} expires on 20\d\d-", body)
    gateway.wait_log("event-told")


class WithoutH2(http.server.BaseHTTPRequestHandler):
    """Passes what is asked over HTTP/1.1 on to the pretend provider that its class names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trusts = ssl.create_default_context(cafile=self.fake.ca)
        there = http.client.HTTPSConnection(self.fake.address("fake"), context=trusts)
        there.request("POST", self.path, body, dict(self.headers))
        answer = there.getresponse()
        text = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def test_a_token_endpoint_without_h2_gives_tokens_too(stage, redis, fake, tmp_path):
    handler = type("Handler", (WithoutH2,), {"fake": fake})
    server = http.server.ThreadingHTTPServer((HOST, 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(fake.set / "server.pem", fake.set / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account = json.loads((fake.set / "service-account.json").read_text())
    account["token_uri"] = f"https://{HOST}:{server.server_port}/token"
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    section = {**fake.provider_sections()[FCM], "service_account_file": file}
    push = stage.pushd("push-without-h2", redis, providers={FCM: section})
    try:
        wait_until(lambda: outcome(push, register(push, FCM)) == "sent")
    finally:
        server.shutdown()
        server.server_close()
    assert fake.stats()["connections"]["http1"] == 1
