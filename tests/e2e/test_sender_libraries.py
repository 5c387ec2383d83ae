"""
Libraries with which others send pushes (tests/senders, from npm, unchanged) against the pretend
providers: what each reports of a push that is taken, of a dead token, of a provider that is busy or
away, and of a refused account.
"""

import fcntl
import hashlib
import json
import os
import re
import subprocess

import pytest

from certificates import openssl
from harness import ROOT

# They are fetched from a registry, which not every machine that runs the tests may reach.
pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("fresh")]

HERE = ROOT / "tests/senders"
PATIENCE_S = 900  # on a busy machine
TOKEN, DEVICE = "t" * 152, "ab" * 32


def install(folder):
    """Installs what package-lock.json names into FOLDER, unless it is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    wanted, stamp = hashlib.sha256(lock).hexdigest(), folder / "installed"
    with open(folder / "lock", "w") as guard:
        fcntl.lockf(guard, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        (folder / "package-lock.json").write_bytes(lock)
        (folder / "package.json").write_bytes((HERE / "package.json").read_bytes())
        done = subprocess.run(
            ["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.write_text(wanted)


@pytest.fixture(scope="module")
def modules():
    folder = ROOT / "build/senders"
    install(folder)
    return folder / "node_modules"


@pytest.fixture
def account(fake):
    return fake.set / "service-account.json"


@pytest.fixture
def send(fake, modules):
    """Runs one of tests/senders with a job: what the library reports of each token."""
    hosts = dict.fromkeys(
        ("fcm.googleapis.com", "oauth2.googleapis.com", "api.push.apple.com"), fake.address("fake")
    )
    hosts["api.sandbox.push.apple.com"] = fake.address("sandbox")
    settings = {
        "NODE_PATH": str(modules),
        "NODE_EXTRA_CA_CERTS": str(fake.ca),
        "SENDERS_HOSTS": json.dumps(hosts),
    }

    def run(program, *tokens, **job):
        words = ["node", "--require", HERE / "redirect.js", HERE / f"{program}.js"]
        done = subprocess.run(
            list(map(str, words)), input=json.dumps({**job, "tokens": tokens}), text=True,
            capture_output=True, timeout=PATIENCE_S, env={**os.environ, **settings},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run


def answered(fake, provider):
    """How each request to PROVIDER was answered, in order."""
    return [entry["answered"] for entry in fake.received() if entry["provider"] == provider]


def other_account(account, **members):
    """The service account with other MEMBERS, in a file of its own."""
    path = account.with_name("other-account.json")
    path.write_text(json.dumps({**json.loads(account.read_text()), **members}))
    return str(path)


def other_key(tmp_path):
    key = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", "RSA", "-out", key)
    return key.read_text()


# google-auth-library and firebase-admin: Google's OAuth, and FCM over HTTP/1.1 and HTTP/2


@pytest.fixture(params=["google-auth", "firebase", "firebase each"])
def google(request, send, account):
    """(Its name, what sends to tokens.) With "each" firebase-admin does so over HTTP/2."""
    program, *each = request.param.split()

    def to(*tokens, account=account):
        project = json.loads(open(account).read())["project_id"]
        return send(program, *tokens, account=str(account), project=project, each=bool(each))

    return program, to


def test_fcm_takes_a_push(fake, google):
    program, send = google
    reports = send(TOKEN, "another")
    names = [report["name"] for report in reports]
    assert all(re.fullmatch(r"projects/fake-project/messages/\S+", name) for name in names)
    assert len(set(names)) == 2
    assert answered(fake, "oauth") == [200]  # one grant is for both
    first = fake.received()[1]
    assert (first["provider"], first["body"]["message"]["token"]) == ("fcm", TOKEN)


# What FCM's codes are to firebase-admin; google-auth-library passes the codes on.
REFUSALS = {
    "UNREGISTERED": (404, "registration-token-not-registered"),
    "INVALID_ARGUMENT": (400, "invalid-argument"),
    "SENDER_ID_MISMATCH": (403, "mismatched-credential"),
    "QUOTA_EXCEEDED": (429, "message-rate-exceeded"),
    "THIRD_PARTY_AUTH_ERROR": (401, "third-party-auth-error"),
    "INTERNAL": (500, "internal-error"),
}


def test_fcm_refuses_a_push(fake, google):
    program, send = google
    fake.script(*({"match": {"token": code}, "answer": {"reason": code}} for code in REFUSALS))
    reports = send(*REFUSALS, TOKEN)
    assert reports.pop()["name"]  # what comes after all that is taken
    if program == "google-auth":
        told = [(report["status"], report["codes"]) for report in reports]
        assert told == [(status, [code]) for code, (status, _) in REFUSALS.items()]
    else:
        told = [report["code"] for report in reports]
        assert told == [f"messaging/{name}" for _, name in REFUSALS.values()]


def test_fcm_is_away_for_a_moment(fake, google):
    """firebase-admin tries again after Retry-After; who calls google-auth-library has to."""
    program, send = google
    away = {"status": 503, "headers": {"retry-after": "0"}}
    fake.script({"match": {"provider": "fcm", "times": 1}, "answer": away})
    [report] = send(TOKEN)
    if program == "google-auth":
        assert (report["status"], report["codes"]) == (503, ["UNAVAILABLE"])
    else:
        assert report["name"] and answered(fake, "fcm") == [503, 200]


def test_oauth_refuses_an_unknown_account(google, account):
    _, send = google
    [report] = send(TOKEN, account=other_account(account, client_email="x@example.org"))
    assert "invalid_grant" in report["message"] and "account not found" in report["message"]


def test_oauth_refuses_another_key(google, account, tmp_path):
    _, send = google
    [report] = send(TOKEN, account=other_account(account, private_key=other_key(tmp_path)))
    assert "invalid_grant" in report["message"] and "Invalid JWT Signature" in report["message"]


def test_oauth_is_away_for_a_moment(fake, google):
    _, send = google
    fake.script({"match": {"provider": "oauth", "times": 1}, "answer": {"status": 503}})
    [report] = send(TOKEN)
    assert report["name"] and answered(fake, "oauth") == [503, 200]


# @parse/node-apn: APNs, with a provider token or with a certificate


@pytest.fixture(params=["token", "certificate"])
def apple(request, send, fake):
    """Sends alerts, with a signing key or a certificate; OPTIONS are of the library's Provider."""
    certificate = str(fake.set / "apns-certificate.pem")
    key = {"key": str(fake.set / "apns.p8"), "keyId": "FAKEKEY001", "teamId": "FAKETEAM01"}
    mine = {"token": key} if request.param == "token" else {"cert": certificate, "key": certificate}

    def to(*devices, notification=None, **options):
        options = {"production": True, **mine, **options}
        wanted = notification or {"pushType": "alert", "alert": "Romeo?"}
        return send("apn", *devices, options=options, topic=fake.topic, notification=wanted)

    return to


def test_apns_takes_a_push(fake, apple):
    assert apple(DEVICE, "cd" * 32) == [{"device": DEVICE}, {"device": "cd" * 32}]
    first, second = fake.received()
    assert first["connection"] == second["connection"]
    assert (first["environment"], first["body"]["aps"]) == ("production", {"alert": "Romeo?"})


def test_apns_has_a_sandbox(fake, apple):
    fake.environments(sandbox=[DEVICE])
    assert apple(DEVICE, production=False) == [{"device": DEVICE}]
    [report] = apple(DEVICE)
    assert (report["status"], report["reason"]) == (400, "BadDeviceToken")


def test_apns_takes_a_background_push(apple):
    quiet = {"pushType": "background", "priority": 5, "contentAvailable": 1}
    assert apple(DEVICE, notification=quiet) == [{"device": DEVICE}]


def test_apns_refuses_a_push(fake, apple):
    reasons = {
        "a1": (410, "Unregistered"),
        "a2": (400, "BadDeviceToken"),
        "a3": (400, "DeviceTokenNotForTopic"),
        "a4": (413, "PayloadTooLarge"),
    }
    rules = ({"match": {"token": device}, "answer": {"reason": reason}}
             for device, (_, reason) in reasons.items())
    fake.script(*rules)
    reports = apple(*reasons, DEVICE)
    assert reports.pop() == {"device": DEVICE}
    told = {report["device"]: (report["status"], report["reason"]) for report in reports}
    assert told == reasons
    assert [report.get("timestamp", 0) > 0 for report in reports] == [True, False, False, False]
    assert answered(fake, "apns") == [410, 400, 400, 413, 200]


@pytest.mark.parametrize("status, reason", [(429, "TooManyRequests"), (503, "ServiceUnavailable")])
def test_apns_is_busy(fake, apple, status, reason):
    """The library tries three times again."""
    fake.script({"match": {"token": DEVICE}, "answer": {"reason": reason}},
                {"match": {"token": "cd" * 32, "times": 1}, "answer": {"reason": reason}})
    refused, taken = apple(DEVICE, "cd" * 32)
    assert (refused["status"], refused["reason"]) == (status, reason)
    assert taken == {"device": "cd" * 32}
    assert answered(fake, "apns") == [status] * 5 + [200]


def test_apns_ends_a_connection_in_order(fake, apple):
    """The push after a GOAWAY goes over another connection."""
    fake.script({"match": {"token": DEVICE, "times": 1},
                 "answer": {"status": 200, "goaway": {"last": 1000}}})
    assert apple(DEVICE, "cd" * 32) == [{"device": DEVICE}, {"device": "cd" * 32}]
    first, second = fake.received()
    assert first["connection"] != second["connection"]


def test_apns_refuses_another_signing_key(send, fake):
    key = {"key": str(fake.set / "apns.p8"), "keyId": "OTHERKEY01", "teamId": "FAKETEAM01"}
    options = {"production": True, "token": key}
    [report] = send("apn", DEVICE, options=options, topic=fake.topic, notification={})
    assert (report["status"], report["reason"]) == (403, "InvalidProviderToken")


def test_apns_refuses_another_topic(send, fake):
    certificate = str(fake.set / "apns-certificate.pem")
    options = {"production": True, "cert": certificate, "key": certificate}
    [report] = send("apn", DEVICE, options=options, topic="org.example.other", notification={})
    assert (report["status"], report["reason"]) == (400, "TopicDisallowed")
