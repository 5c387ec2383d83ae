"""XMPP clients for terminals, run on a screen of their own: what a user of them sees."""

import fcntl
import os
import pathlib
import pty
import pwd
import shutil
import struct
import subprocess
import tempfile
import termios
import threading

import pyte

from harness import Trouble, wait_until

LINES, COLUMNS = 60, 120


class Terminal:
    """USER's client on a pseudo-terminal of LINES by COLUMNS; "with" logs in and ends it."""

    argv = ()  # with {home} and the like
    file = configuration = ""  # below the home, and what is in it
    online = ""  # what the screen says once the user is logged in

    def __init__(self, server, user, password):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream, self.lock = pyte.ByteStream(self.screen), threading.Lock()
        self.home = tempfile.mkdtemp(prefix="outrigger-terminal-")
        self.words = {"server": server, "user": user, "password": password, "home": self.home}
        self.popen = self.reader = self.master = None

    def __enter__(self):
        path = pathlib.Path(self.home, self.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.configuration.format(**self.words))
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        folders = {f"XDG_{name}_HOME": f"{self.home}/{name.lower()}"
                   for name in ("CONFIG", "DATA", "CACHE", "STATE")}
        self.popen = subprocess.Popen(
            [*as_nobody(self.home), *(word.format(**self.words) for word in self.argv)],
            env={"PATH": os.environ["PATH"], "HOME": self.home, "TERM": "linux",
                 "LANG": "C.UTF-8", **folders},
            cwd=self.home, start_new_session=True, stdin=slave, stdout=slave, stderr=slave,
        )
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        try:
            self.see(self.online)
        except Trouble:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        self.popen.kill()
        self.popen.wait()
        self.reader.join()
        os.close(self.master)
        shutil.rmtree(self.home)

    def read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the program has ended
                return
            with self.lock:
                self.stream.feed(data)

    def lines(self):
        with self.lock:
            return [line.rstrip() for line in self.screen.display]

    def see(self, *words, without=()):
        """Waits until all WORDS are on the screen, and those WITHOUT aren't."""

        def seen():
            text = "\n".join(self.lines())
            return all(word in text for word in words) and not any(w in text for w in without)

        try:
            wait_until(seen, what=f"{words} on the screen")
        except Trouble as trouble:
            raise Trouble("\n".join([f"{trouble}:", *filter(None, self.lines())])) from None

    def press(self, keys):
        os.write(self.master, keys.encode())


def as_nobody(home):
    """Words before a command that run it as a user who owns HOME: poezio refuses to be root."""
    if os.getuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    for path in (pathlib.Path(home), *pathlib.Path(home).rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    who = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *who, "--pdeathsig=KILL", "--"]


class Profanity(Terminal):
    """profanity: a command's form has a window of its own, its error is in the first one."""

    argv = ("profanity", "-a", "{user}")
    file = "data/profanity/accounts"
    configuration = """\
[{user}]
enabled=true
jid={user}@{server.domain}
resource=desk
server={server.host}
port={server.c2s_port}
tls.policy=disable
password={password}
"""
    online = "logged in successfully"

    def __enter__(self):
        """It runs no command before the server has told its features, which it asks at login."""
        super().__enter__()
        self.press("/disco info\r")
        self.see("Features:")
        return self

    def ask(self, jid, node):
        self.press(f"/cmd exec {node} {jid}\r")

    def submit(self):
        self.press("/form submit\r")

    def leave(self):
        self.press("/win 1\r")
        self.see("Profanity. Type /help")


class Poezio(Terminal):
    """poezio: the list of commands is a tab, and so is a form. It takes keys that come at once for
    pasted text."""

    argv = ("poezio", "-f", "{home}/poezio.cfg")
    file = "poezio.cfg"
    configuration = """\
[Poezio]
jid = {user}@{server.domain}/desk
password = {password}
custom_host = {server.host}
custom_port = {server.c2s_port}
force_encryption = false
tls_verify_cert = false
enable_vertical_tab_list = false
"""
    online = "Your JID is"
    DOWN, SEND, CANCEL = "\x1b[B", "\x19", "\x07"

    def ask(self, jid, node):
        if "Description" not in "".join(self.lines()):
            self.press("/")
            self.see(without=["Enter commands with"])
            self.press(f"ad-hoc {jid}")
            self.see(f"ad-hoc {jid}")
            self.press("\r")
        self.see("Description", node)
        while self.selected() != node:
            before = self.selected()
            self.press(self.DOWN)
            wait_until(lambda: self.selected() != before, what="the next row to be selected")
        self.press("\r")

    def selected(self):
        """The first word of the row that is drawn unlike the row below the list, or None."""
        with self.lock:
            for line in range(1, LINES - 4):
                cell = self.screen.buffer[line][0]
                if (cell.bg, cell.reverse) != ("default", False) and cell.data.isalpha():
                    return self.screen.display[line].split()[0]
        return None

    def submit(self):
        self.press(self.SEND)

    def leave(self):
        if "Description" not in "".join(self.lines()):
            self.press(self.CANCEL)
        self.see("Description")
