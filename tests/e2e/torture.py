"""Makes the n-th of a daemon's calls fail: the end of tests/torture/preload.c that tests see.

    torture = Torture(relay)            # before RELAY starts
    relay.start()
    with torture.watching():            # counts the calls meanwhile
        …
    torture.counts()                    # {"recv": 12, …}
    with torture.watching(Point("recv", 3, errno.ECONNRESET)):
        …                               # the third recv() fails
    torture.struck                      # how many calls were made to fail
"""

import contextlib
import dataclasses
import errno
import functools
import mmap
import os
import pathlib
import re
import struct
import subprocess

from harness import ROOT, Trouble, wait_until

SHORT = -1  # only one byte is taken or given; where that can't be, the library's other failure
KINDS_MAX, NAME_BYTES = 96, 40
HEAD = struct.Struct("=4Ii3I")
COUNTING, KIND, FIRST, TIMES, FAULT, TRACE, STRUCK, LEAKS = range(0, 32, 4)
NAMES = HEAD.size + 4 * KINDS_MAX
SIZE = NAMES + KINDS_MAX * NAME_BYTES
NO_LEAK, LEAK = 2, 3

# libcurl's and c-ares' numbers.
CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT, CURLM_OUT_OF_MEMORY, CURLM_INTERNAL_ERROR = 27, 2, 3, 4
ARES_ENOMEM, ARES_EFILE = 15, 14
NO = 1  # the library's only failure

FULL = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
# Each call, and what it may fail with.
FAULTS = {
    "read": (errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.EIO, SHORT),
    "write": (errno.EINTR, errno.EAGAIN, errno.EPIPE, errno.ENOSPC, SHORT),
    "writev": (errno.EAGAIN, errno.EPIPE, SHORT),
    "send": (errno.EAGAIN, errno.ECONNRESET, errno.EPIPE, errno.ENOBUFS, SHORT),
    "sendto": (errno.EAGAIN, errno.ENETUNREACH),
    "sendmsg": (errno.EAGAIN, errno.ECONNRESET, SHORT),
    "sendfile64": (errno.EAGAIN, errno.EIO),
    "recv": (errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.ETIMEDOUT, SHORT),
    "recvfrom": (errno.EAGAIN, errno.ECONNREFUSED),
    "recvmsg": (errno.EAGAIN, errno.ECONNRESET),
    "splice": (errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.EPIPE, errno.ENOMEM, SHORT),
    "accept4": (errno.EINTR, errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENOBUFS, *FULL),
    "connect": (errno.ECONNREFUSED, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EADDRNOTAVAIL,
                errno.EPERM),
    "socket": (errno.EAFNOSUPPORT, errno.EACCES, errno.ENOBUFS, *FULL),
    "socketpair": FULL,
    "bind": (errno.EADDRINUSE, errno.EACCES),
    "listen": (errno.EADDRINUSE,),
    "pipe2": FULL,
    "eventfd": FULL,
    "epoll_create1": FULL,
    "epoll_ctl": (errno.ENOSPC, errno.ENOMEM),
    "epoll_wait": (errno.EINTR,),
    "signalfd": FULL,
    "open": (errno.ENOENT, errno.EACCES, errno.EIO, errno.EINTR, *FULL),
    "fopen": (errno.ENOENT, errno.EACCES, *FULL),
    "getrandom": (errno.ENOSYS,),
    "fcntl": (errno.EMFILE,),
    "getsockname": (errno.ENOBUFS,),
    "redisAsyncConnect": (errno.ECONNREFUSED, errno.EMFILE, SHORT),
    "redisAsyncConnectUnix": (errno.ENOENT, SHORT),
    "redisAsyncCommand": (NO,),
    "redisAsyncFormattedCommand": (NO,),
    "redisFormatCommandArgv": (NO,),
    "redisvFormatCommand": (NO,),
    "redisBufferWrite": (NO,),
    "curl_global_init": (CURLE_FAILED_INIT,),
    "curl_easy_init": (NO,),
    "curl_easy_setopt": (CURLE_OUT_OF_MEMORY,),
    "curl_easy_getinfo": (CURLE_OUT_OF_MEMORY,),
    "curl_multi_init": (NO,),
    "curl_multi_setopt": (CURLM_OUT_OF_MEMORY,),
    "curl_multi_add_handle": (CURLM_OUT_OF_MEMORY, CURLM_INTERNAL_ERROR),
    "curl_multi_socket_action": (CURLM_OUT_OF_MEMORY,),
    "MHD_start_daemon": (NO,),
    "MHD_add_connection": (NO,),
    "MHD_create_response_from_buffer": (NO,),
    "MHD_add_response_header": (NO,),
    "MHD_queue_response": (NO,),
    "MHD_run": (NO,),
    "ares_init_options": (ARES_ENOMEM, ARES_EFILE),
    "SSL_CTX_new": (NO,),
    "SSL_CTX_load_verify_locations": (NO,),
    "SSL_new": (NO,),
    "SSL_set_fd": (NO,),
    "SSL_set1_host": (NO,),
    "SSL_connect": (errno.ECONNRESET, SHORT),
    "SSL_do_handshake": (errno.ECONNRESET, SHORT),
    "SSL_read": (errno.ECONNRESET, SHORT),
    "SSL_write": (errno.ECONNRESET, SHORT),
    **dict.fromkeys((
        "RAND_bytes", "BIO_new", "BIO_new_mem_buf", "EVP_MD_CTX_new", "EVP_DigestInit_ex",
        "EVP_DigestSignInit", "EVP_DigestSign", "EVP_DigestVerifyInit", "EVP_CIPHER_CTX_new",
        "EVP_EncryptInit_ex", "EVP_EncryptUpdate", "EVP_EncryptFinal_ex", "EVP_DecryptInit_ex",
        "EVP_DecryptUpdate", "EVP_DecryptFinal_ex", "PEM_read_bio_PrivateKey",
        "PEM_read_bio_X509", "PEM_write_bio_PKCS8PrivateKey", "PEM_write_bio_PUBKEY",
        "PEM_write_bio_X509", "PKCS12_parse", "d2i_PKCS12", "X509_digest"), (NO,)),
}
# What a program repeats or waits for without a word; what it, or libcurl on another connection,
# does again anyway; and errors of a connection that has failed before it was accepted (accept(2)).
PASSING = (errno.EINTR, errno.EAGAIN, SHORT)
REPEATED = {"MHD_run", "curl_multi_socket_action", "epoll_wait", "epoll_ctl", "getsockname",
            "redisAsyncFormattedCommand",
            "read", "recv", "send", "sendmsg", "connect", "SSL_connect", "SSL_read", "SSL_write"}
FAILED_BEFORE = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)
# The end of one connection, which whoever is at its other end sees himself.
HANG_UPS = (errno.ECONNRESET, errno.ETIMEDOUT, errno.EPIPE)
# These fail when memory is gone (or the system lacks what it must have): a daemon says so and
# aborts.
FATAL = {
    "getrandom", "redisFormatCommandArgv", "redisvFormatCommand", "curl_global_init",
    "curl_easy_init", "curl_easy_setopt", "curl_easy_getinfo", "curl_multi_init",
    "curl_multi_setopt", "curl_multi_add_handle", "MHD_create_response_from_buffer",
    "MHD_add_response_header", "SSL_CTX_new", "SSL_new", "SSL_set_fd", "SSL_set1_host",
    "RAND_bytes", "BIO_new", "BIO_new_mem_buf", "EVP_MD_CTX_new", "EVP_DigestInit_ex",
    "EVP_DigestSignInit", "EVP_DigestSign", "EVP_DigestVerifyInit", "EVP_CIPHER_CTX_new",
    "EVP_EncryptInit_ex", "EVP_EncryptUpdate", "EVP_EncryptFinal_ex", "EVP_DecryptInit_ex",
    "EVP_DecryptUpdate", "PEM_write_bio_PKCS8PrivateKey", "PEM_write_bio_PUBKEY",
    "PEM_write_bio_X509", "X509_digest",
}
FATAL_MOST = 3  # points of such a call, each of which costs a start


@dataclasses.dataclass(frozen=True)
class Point:
    """The call that is made to fail: the FIRST (from 1) of KIND and as many more as TIMES says."""

    kind: str
    first: int
    fault: int
    times: int = 1

    def __str__(self):
        names = {SHORT: "short"}
        known = self.kind.islower() and self.kind[:4] not in ("curl", "ares")
        fault = names.get(self.fault) or (errno.errorcode.get(self.fault) if known else self.fault)
        return f"{self.kind}:{self.first}:{fault}" + (f"x{self.times}" if self.times > 1 else "")


@functools.cache
def library(folder):
    """Builds the library that is preloaded."""
    path = pathlib.Path(folder) / "torture.so"
    source = ROOT / "tests/torture/preload.c"
    build = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-shared", "-fPIC", "-o", path]
    subprocess.run([*build, source], check=True)
    return path


def sanitizer_of(program):
    """The sanitizer's library that PROGRAM wants to be the first one, or None."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = re.search(r"libasan\S* => (\S+)", told)
    return found and found.group(1)


class Torture:
    """The board of one daemon, which is there before the daemon starts."""

    def __init__(self, daemon):
        self.daemon = daemon
        path = daemon.folder / "torture"
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as file:
            self.board = mmap.mmap(file.fileno(), SIZE)
        first = sanitizer_of(daemon.argv[0])
        preload = ":".join(filter(None, (first, str(library(daemon.stage.folder)))))
        # Not by the environment of the harness: only the daemon is to have it.
        daemon.argv = ["env", f"LD_PRELOAD={preload}", f"OG_TORTURE={path}", *daemon.argv]

    def get(self, place):
        return struct.unpack_from("=I", self.board, place)[0]

    def set(self, place, value):
        struct.pack_into("=i" if place == FAULT else "=I", self.board, place, value)

    @functools.cached_property
    def kinds(self):
        """The number of each call."""
        raw = self.board[NAMES:NAMES + KINDS_MAX * NAME_BYTES]
        names = [raw[at:at + NAME_BYTES].rstrip(b"\0").decode()
                 for at in range(0, len(raw), NAME_BYTES)]
        kinds = {name: number for number, name in enumerate(names) if name}
        if kinds.keys() != FAULTS.keys():
            raise Trouble(f"only one knows of {sorted(kinds.keys() ^ FAULTS.keys())}")
        return kinds

    def counts(self):
        """How often each call was made while it was watched the last time."""
        numbers = struct.unpack_from(f"={KINDS_MAX}I", self.board, HEAD.size)
        return {kind: numbers[at] for kind, at in self.kinds.items() if numbers[at]}

    @property
    def struck(self):
        """How many calls were made to fail while it was watched the last time."""
        return self.get(STRUCK)

    def arm(self, point=None):
        """Counts from now on, and makes POINT fail."""
        self.set(COUNTING, 0)
        struct.pack_into(f"={KINDS_MAX}I", self.board, HEAD.size, *([0] * KINDS_MAX))
        self.set(STRUCK, 0)
        self.set(TRACE, int(bool(os.environ.get("TORTURE_TRACE"))))
        self.set(FIRST, point.first if point else 0)
        if point:
            self.set(KIND, self.kinds[point.kind])
            self.set(TIMES, point.times)
            self.set(FAULT, point.fault)
        self.set(COUNTING, 1)

    def disarm(self):
        self.set(COUNTING, 0)

    @contextlib.contextmanager
    def watching(self, point=None):
        self.arm(point)
        try:
            yield
        finally:
            self.disarm()

    def leaks(self, wake):
        """Whether the daemon has lost memory by now; WAKE has its loop turn."""
        self.set(LEAKS, 1)
        wake()
        wait_until(lambda: self.get(LEAKS) in (NO_LEAK, LEAK), what="a look for leaks")
        return self.get(LEAKS) == LEAK

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))


def begin_tortured(daemon):
    """Starts DAEMON, with a board: both."""
    torture = Torture(daemon)
    return daemon.start(), torture


def passes(point):
    """True if nobody needs to hear of POINT, as long as all works."""
    return (point.fault in PASSING or point.kind in REPEATED or
            (point.kind == "accept4" and point.fault in FAILED_BEFORE))


def hangs_up(point):
    """True if POINT is the end of a connection."""
    return point.kind in ("read", "recv", "write", "send", "sendmsg") and point.fault in HANG_UPS


def may_end(point):
    """True if the daemon may abort at POINT."""
    return point.kind in FATAL or (point.kind == "redisAsyncConnect" and point.fault == SHORT)


def points_of(counts):
    """Every point of what was counted; of calls that end the daemon the first, last and middle."""
    points = []
    for kind, count in sorted(counts.items()):
        numbers = range(1, count + 1)
        if kind in FATAL and count > FATAL_MOST:
            numbers = 1, count // 2 + 1, count
        points += [Point(kind, n, fault) for n in numbers for fault in FAULTS[kind]]
    return points
