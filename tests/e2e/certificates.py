"""Credentials of push providers made for a test with the openssl command."""

import base64
import os
import pathlib
import secrets
import subprocess

from harness import ROOT

DAY = 86400


def openssl(*words, **environment):
    done = subprocess.run(
        ["openssl", *map(str, words)], capture_output=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def clock_library(folder):
    """The library that, preloaded, sets a program's clock OG_CLOCK_OFFSET seconds ahead."""
    library = pathlib.Path(folder) / "clock.so"
    if not library.exists():
        source = ROOT / "tests/e2e/clock.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


class Authority:
    """A CA of a test's own, and the certificates that it signs for senders."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "authority"
        self.folder.mkdir(parents=True)
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self.count = 0
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out",
                self.certificate, "-days", 3650, "-subj", "/CN=Authority of a test")

    def path(self, suffix):
        self.count += 1
        return self.folder / f"{self.count}.{suffix}"

    def sign(self, topic, days=300, started_days_ago=0):
        """A certificate for TOPIC of DAYS, with its key: the texts of both."""
        key, request = self.path("key"), self.path("csr")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj",
                f"/UID={topic}/CN=Push {self.count}")
        clock = {}
        if started_days_ago:
            clock = {"LD_PRELOAD": str(clock_library(self.folder)),
                     "OG_CLOCK_OFFSET": str(-started_days_ago * DAY)}
        pem = openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                      "-days", days, "-set_serial", self.count, **clock)
        return pem.decode(), key.read_text()

    def pem(self, topic, **options):
        return "".join(self.sign(topic, **options))

    def p12(self, topic, password, arguments=("-legacy",), **options):
        """The bytes of a .p12; without ARGUMENTS as macOS's Keychain writes it: RC2-40 and 3DES."""
        source = self.path("pem")
        source.write_text(self.pem(topic, **options))
        return openssl("pkcs12", "-export", *arguments, "-in", source, "-passout",
                       f"pass:{password}")

    def locked_pem(self, topic, password, *arguments):
        """Like pem(), with the key encrypted."""
        certificate, key = self.sign(topic)
        source = self.path("key")
        source.write_text(key)
        locked = openssl("pkcs8", "-topk8", "-in", source, "-passout", f"pass:{password}",
                         *arguments)
        return certificate + locked.decode()

    def p8(self, curve="prime256v1"):
        text = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}")
        return text.decode()


def packed(data):
    return base64.b64encode(data).decode()


def master_key(folder, name="master.key"):
    """A file with a master key."""
    path = pathlib.Path(folder) / name
    path.write_text(secrets.token_hex(32) + "\n")
    return path
