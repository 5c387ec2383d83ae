"""make run: starts the whole stack on loopback, shows a file transfer and two pushes, and stays up.

Environment: ONCE=1 exits after the demonstration, with status 0 only if all of it worked;
SERVER=ejabberd uses ejabberd, not Prosody; OG_BUILD is where the programs are (build).
Everything lives in build/run, which each run begins afresh, and dies with this program.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import sys
import time
import traceback

import demo
from chat import IqError, IqTimeout
from harness import ROOT, Daemon, Stage, Trouble
from stack import SERVERS, Stack

FOLDER = ROOT / "build/run"


def tell(text=""):
    print(text, flush=True)


def indented(text):
    tell(f"   {text}")


def lock():
    """Only one run at a time owns build/run; the lock goes with this program, however it ends."""
    FOLDER.parent.mkdir(exist_ok=True)
    file = open(FOLDER.parent / "run.lock", "a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        sys.exit(f"make run is up already (process {file.read().strip()}): end it first")
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def clear():
    """Removes what an earlier run left."""
    try:
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
    except OSError as error:
        sys.exit(f"{FOLDER} can't be removed, was it another user's run? {error}")


def reason(error):
    """What went wrong in words, or the whole trace where nobody foresaw it."""
    if isinstance(error, IqError):
        return f"{error.iq['from']} answered {error.condition} ({error.text})"
    if isinstance(error, IqTimeout):
        return f"{error.iq['to']} didn't answer"
    if isinstance(error, (Trouble, asyncio.TimeoutError)):
        return str(error) or "it took too long"
    return "".join(traceback.format_exception(error))


def step(title, work, logs):
    """One part of the demonstration: true if it worked; else says why and shows the LOGS' ends."""
    tell(f"\n{title}")
    begun = time.monotonic()
    try:
        asyncio.run(asyncio.wait_for(work, 120))
    except Exception as error:
        tell(f"   FAILED: {reason(error)}")
        for process in logs:
            tell(f"\n--- the end of {process.log}:\n{process.tail(15)}")
        return False
    tell(f"   Done in {time.monotonic() - begun:.1f} s.")
    return True


def short(path):
    return path.relative_to(ROOT)


def verdict(worked):
    return "worked" if worked else "FAILED"


def where_to_look(stack):
    tell("\nWhere to look")
    for process in (*stack.relays, stack.push, stack.gateway):
        indented(f"{process.name:<8} {process.url('/metrics')}  log {short(process.log)}")
    for process in stack.stage.processes:
        if not isinstance(process, Daemon):
            indented(f"{process.name:<34} log {short(process.log)}")
    indented(f"pushes   curl {stack.fake.control_url}/received")
    indented("shell    . build/run/stack.env  (addresses, users, token)")
    indented(f"login    {stack.user1} and {stack.user2} at {stack.domain}, on 127.0.0.1:"
             f"{stack.server.c2s_port} without TLS, password {stack.password}")


def demonstrate(stage, server):
    """The stack and both parts of the demonstration: true if all worked."""
    tell(f"Starting the stack with {server}, on loopback only, in {short(FOLDER)}")
    stack = Stack(stage, server, tell=indented)
    try:
        stack.start()
    except Trouble as trouble:
        tell(f"   FAILED: {trouble}\n   Logs are in {short(FOLDER)}/*/*.log")
        return False
    stack.write_environment(FOLDER / "stack.env")
    sent = step(
        f"1. A file from {stack.user1} to {stack.user2}, through relayd (XEP-0065)",
        demo.show_transfer(stack, indented),
        [stack.gateway, *stack.relays],
    )
    pushed = step(
        f"2. Pushes to {stack.user2}'s devices, through pushd (XEP-0357)",
        demo.show_pushes(stack, indented),
        [stack.gateway, stack.push, stack.fake],
    )
    tell(f"\nFile transfer: {verdict(sent)}.  Pushes: {verdict(pushed)}.")
    where_to_look(stack)
    return sent and pushed


def stay(stage):
    """Until a signal, or until something that we started has ended."""
    tell("\nThe stack stays up; Ctrl-C ends it.")
    while True:
        for process in stage.processes:
            if not process.alive:
                tell(f"{process.name} has ended with status {process.status}; see {process.log}")
                stage.processes.remove(process)
        time.sleep(0.5)


def main():
    once, server = bool(os.environ.get("ONCE")), os.environ.get("SERVER", "prosody")
    if server not in SERVERS:
        sys.exit(f"SERVER={server} isn't known; there are {', '.join(SERVERS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    held = lock()
    clear()
    build = os.environ.get("OG_BUILD", ROOT / "build")
    stage = Stage(FOLDER, build, record=False, token=secrets.token_hex(16))
    worked = False
    try:
        worked = demonstrate(stage, server)
        if not once:
            stay(stage)
    except KeyboardInterrupt:
        tell("\nEnding the stack.")
    faults = stage.close()
    for fault in faults:
        tell(fault)
    held.close()
    return 0 if worked and not faults else 1


if __name__ == "__main__":
    sys.exit(main())
