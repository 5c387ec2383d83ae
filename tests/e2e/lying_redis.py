"""A proxy between our daemons and a real Redis that changes replies at random.

    liar = LyingRedis(redis, dice)      # liar.url is for the daemons
    with liar.lying(0.3, ["nil"]):      # 3 of 10 replies; without names, lies of all kinds
        …
    liar.told                           # (kind, command, the true reply, what was sent)

It reads replies whole, and requests only to know which reply belongs to which. What it does to a
reply is one of KINDS.
"""

import asyncio
import collections
import contextlib
import threading
import time

from harness import HOST

# Kinds of a value, as they begin on the wire; RAW is sent as it is.
STATUS, ERROR, NUMBER, STRING, ARRAY, RAW = b"+", b"-", b":", b"$", b"*", b""
PENDING_MAX = 4  # seconds; longer than our daemons wait for a reply
FLOOD = 80 << 20  # more than our daemons read of one reply

ERRORS = (
    b"NOSCRIPT No matching script. Please use EVAL.",
    b"WRONGTYPE Operation against a key holding the wrong kind of value",
    b"OOM command not allowed when used memory > 'maxmemory'.",
    b"READONLY You can't write against a read only replica.",
    b"MOVED 3999 127.0.0.1:1",
    b"LOADING Redis is loading the dataset in memory",
    b"BUSYGROUP Consumer Group name already exists",
    b"NOGROUP No such key",
    b"ERR user_script:1: attempt to compare nil with number",
    b"",
    b"x" * 70000,
)
NUMBERS = (0, 1, -1, -2, 2, 3, 7, 255, -128, 65536, 202613, 4294967296, -(2**63), 2**63 - 1)
NUMBERS += (2**63, -(2**64), 10**30, 253402300800000, 1 << 40)
WORDS = (b"granted", b"over", b"forbidden", b"month", b"merged", b"full", b"absent", b"done", b"1")
WORDS += (b"global", b"0-0", b"", b"a\0b", b"\xff\xfe", b"{}", b"[]", b"null", b'{"epoch":1}')
WORDS += (b"relay-1 1", b"relay-2 99999999999999999999", b"%s%n%d", b" ", b"-", b"nan", b"1e300")
RESP3 = (b",1.5\r\n", b"#t\r\n", b"_\r\n", b"(123456789012345678901234567890\r\n")
RESP3 += (b"%1\r\n+a\r\n:1\r\n", b"~1\r\n:1\r\n", b">2\r\n+a\r\n:1\r\n", b"=7\r\ntxt:abc\r\n")
RESP3 += (b"*2\r\n,1.5\r\n#f\r\n", b"|1\r\n+a\r\n:1\r\n:1\r\n", b"!3\r\nERR\r\n")
GARBAGE = (b"\r\n", b"*-5\r\n", b"$-7\r\n", b":\r\n", b"*1000000000\r\n", b"$99999999999\r\n")
GARBAGE += (b"*9223372036854775807\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b":12x\r\n", b"+")
GARBAGE += (b"$5\r\nab\r\n\r\n+OK\r\n", b"\0" * 100, b"*3\r\n:1\r\n", b"$-2\r\n", b"@\r\n")


class Incomplete(Exception):
    """More bytes are needed."""


def parse(data, at=0):
    """The value that begins at AT, and where it ends."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, rest, at = data[at : at + 1], data[at + 1 : end], end + 2
    if kind in (STATUS, ERROR):
        return (kind, rest), at
    if kind == NUMBER or int(rest) < 0:
        return (kind, int(rest) if kind == NUMBER else None), at
    if kind == STRING:
        if len(data) < at + int(rest) + 2:
            raise Incomplete
        return (kind, data[at : at + int(rest)]), at + int(rest) + 2
    items = []
    for _ in range(int(rest)):
        item, at = parse(data, at)
        items.append(item)
    return (kind, items), at


def encode(value):
    kind, it = value
    if kind == RAW:
        return it
    if kind in (STATUS, ERROR):
        return kind + it + b"\r\n"
    if kind == NUMBER:
        return b":%d\r\n" % it
    if it is None:
        return kind + b"-1\r\n"
    if kind == STRING:
        return b"$%d\r\n%s\r\n" % (len(it), it)
    return b"*%d\r\n" % len(it) + b"".join(map(encode, it))


class Values:
    """Values drawn from DICE."""

    def __init__(self, dice):
        self.dice = dice

    def any(self, depth=0):
        make = [self.word, self.number, self.error, self.nil]
        return self.dice.choice([*make, self.array] if depth < 3 else make)(depth)

    def word(self, depth=0):
        word = self.dice.choice(WORDS)
        if self.dice.random() < 0.1:
            word = word * self.dice.choice((2, 100, 20000))
        return (STRING, word) if b"\r" in word or self.dice.random() < 0.7 else (STATUS, word)

    def number(self, depth=0):
        number = self.dice.choice(NUMBERS)
        return (NUMBER, number) if self.dice.random() < 0.5 else (STRING, b"%d" % number)

    def error(self, depth=0):
        return ERROR, self.dice.choice(ERRORS)

    def nil(self, depth=0):
        return self.dice.choice((STRING, ARRAY)), None

    def array(self, depth=0):
        return ARRAY, [self.any(depth + 1) for _ in range(self.dice.randrange(6))]

    def instead(self, value):
        """VALUE with another value in one of its places, or with its elements otherwise."""
        kind, it = value
        if kind != ARRAY or not it or self.dice.random() < 0.15:
            return self.resembling(value)
        items, place = list(it), self.dice.randrange(len(it))
        turn = self.dice.randrange(8)
        if turn == 0:
            del items[place]
        elif turn == 1:
            items.insert(place, self.any())
        elif turn == 2:
            self.dice.shuffle(items)
        elif turn == 3:
            items = items * self.dice.choice((2, 300))
        else:
            items[place] = self.instead(items[place])
        return kind, items

    def resembling(self, value):
        kind, it = value
        if kind in (STRING, STATUS) and it and self.dice.random() < 0.5:
            place = self.dice.randrange(len(it))
            bytes_ = (bytes([self.dice.randrange(256)]), b"", it, b"-", b"9" * 20)
            return STRING, it[:place] + self.dice.choice(bytes_) + it[place + 1 :]
        return self.any()


class Lies(Values):
    """Each lie makes of the true reply VALUE what is sent: bytes, and None at the connection's end.
    Those that wait are coroutines of a list of the same."""

    def another(self, value):
        return [encode(self.any())]

    def element(self, value):
        return [encode(self.instead(value))]

    def nothing(self, value):
        return [encode(self.nil())]

    def refusal(self, value):
        return [encode(self.error())]

    def amount(self, value):
        return [encode(self.number())]

    def depth(self, value):
        for _ in range(self.dice.randrange(2, 20)):
            value = ARRAY, [value] * self.dice.choice((1, 1, 2))
            if len(encode(value)) > 1 << 20:
                break
        return [encode(value)]

    def resp3(self, value):
        return [self.dice.choice(RESP3)]

    def garbage(self, value):
        if self.dice.random() < 0.3:
            return [self.dice.randbytes(self.dice.randrange(1, 200))]
        return [self.dice.choice(GARBAGE)]

    def unasked(self, value):
        return [encode(value), encode(self.any())]

    def cut(self, value):
        data = encode(value)
        return [data[: self.dice.randrange(len(data))], None]

    def silent(self, value):
        return []

    def drop(self, value):
        return [None]

    def flood(self, value):
        return [b"$%d\r\n" % FLOOD, *[b"x" * (1 << 20)] * (FLOOD >> 20), b"\r\n"]

    def fixed(self, value):
        return [self.answer]

    async def late(self, value):
        await asyncio.sleep(self.dice.uniform(0, PENDING_MAX))
        return [encode(value)]


# Beside those of Lies: "swapped", this reply and the next one change places, and "stale", an
# earlier reply to another command.
KINDS = ("another", "element", "nothing", "refusal", "amount", "depth", "resp3", "garbage")
KINDS += ("unasked", "cut", "drop", "late", "silent", "swapped", "stale")
# With these nothing untrue is said: each is what a network or a dying Redis does.
FAILURES = ("cut", "drop", "late")


class LyingRedis:
    def __init__(self, redis, dice):
        self.redis, self.dice, self.lies = redis, dice, Lies(dice)
        self.chance, self.kinds = 0, KINDS
        self.told = []
        self.earlier = collections.deque(maxlen=50)
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,), daemon=True)
        self.thread.start()
        started.wait()

    def run(self, started):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, HOST, 0))
        self.url = f"redis://{HOST}:{server.sockets[0].getsockname()[1]}/0"
        self.loop.call_soon(started.set)
        self.loop.run_forever()
        server.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    @contextlib.contextmanager
    def lying(self, chance, kinds=None):
        self.kinds, self.chance = kinds or KINDS, chance
        try:
            yield
        finally:
            self.chance = 0

    def goes_on(self, lies, seconds):
        """Waits until so many more LIES were told, or until SECONDS are over."""
        goal, end = len(self.told) + lies, time.monotonic() + seconds
        while len(self.told) < goal and time.monotonic() < end:
            time.sleep(0.02)

    def saying(self, answer):
        """Each reply is ANSWER (bytes), except to what opens a connection."""
        self.lies.answer = answer
        return self.lying(1, ["fixed"])

    async def serve(self, client_reader, client_writer):
        try:
            reader, writer = await asyncio.open_connection(HOST, self.redis.port)
        except OSError:
            client_writer.close()
            return
        commands = collections.deque()
        asking = asyncio.ensure_future(self.pass_requests(client_reader, writer, commands))
        try:
            await self.pass_replies(reader, client_writer, commands)
        except OSError:
            pass
        finally:
            asking.cancel()
            writer.close()
            client_writer.close()

    async def pass_requests(self, reader, writer, commands):
        data = b""
        try:
            while part := await reader.read(65536):
                writer.write(part)
                data = self.take_all(data + part, commands.append)
        except OSError:
            pass
        writer.close()

    def take_all(self, data, take):
        """Gives TAKE all values in DATA; what is left."""
        at = 0
        try:
            while at < len(data):
                value, at = parse(data, at)
                take(value)
        except Incomplete:
            pass
        return data[at:]

    async def pass_replies(self, reader, writer, commands):
        data, replies, held = b"", [], []
        while part := await reader.read(65536):
            data = self.take_all(data + part, replies.append)
            for value in replies:
                for sent in await self.tell(value, commands.popleft(), held):
                    if sent is None:
                        writer.transport.abort()
                        return
                    writer.write(sent)
                    await writer.drain()
            replies.clear()

    async def tell(self, value, command, held):
        """What is sent for the true reply VALUE to COMMAND. HELD: a reply that changes places."""
        kind = self.dice.choice(self.kinds) if self.dice.random() < self.chance else None
        if kind == "fixed" and command[1][0][1] == b"PING":
            kind = None
        if kind is None or (kind == "stale" and not self.earlier):
            sent = [encode(value)]
        elif kind == "swapped":
            sent = []
        elif kind == "stale":
            sent = [self.dice.choice(self.earlier)]
        else:
            sent = getattr(self.lies, kind)(value)
            sent = await sent if asyncio.iscoroutine(sent) else sent
        if kind is not None:
            words = b" ".join(word[:60] for _, word in (command[1] or ())[:4] if word)
            self.told.append((kind, words, encode(value)[:300], (sent or [b""])[0]))
        self.earlier.append(encode(value)[:10000])
        held_before = held[:]
        held[:] = [encode(value)] if kind == "swapped" else []
        return sent + held_before
