"""Proves that pushd's keys in Redis agree: devices with their indexes, stored notes with theirs."""

import hashlib
import time

import recorder
from test_zz_contract import key_rows

PREFIX = "og:push:"
RENEWING = {"p2", "fpush"}
NEEDED = {"node", "secret", "component", "owner", "provider", "token", "dialect", "account"}
NEEDED |= {"registered", "key", "token_hash", "counted"}


def check_push_indexes(redis, timeout=30):
    """Fails on a place in an index that is stale or missing, and on a key that isn't documented.

    What pushd does meanwhile makes two looks differ, so only what stays wrong is a fault.
    """
    deadline = time.monotonic() + timeout
    with recorder.Resp(redis.port) as resp:
        while faults := Snapshot(resp.command).faults():
            assert time.monotonic() < deadline, "\n".join(faults[:40])
            time.sleep(0.1)


def digest(*parts):
    return hashlib.sha256("".join(part + "\0" for part in parts).encode()).hexdigest()


class Snapshot:
    """All keys with what is in them."""

    def __init__(self, command):
        self.command = command
        self.hashes, self.zsets, self.strings, self.sets = {}, {}, {}, {}
        self.kinds, self.lives = {}, {}
        for key in self.scan():
            self.read(key)

    def scan(self):
        cursor, keys = "0", set()
        while True:
            cursor, some = self.command("SCAN", cursor, "COUNT", 1000)
            keys |= set(some)
            if cursor == "0":
                return sorted(keys)

    def read(self, key):
        kind = self.command("TYPE", key)
        self.kinds[key], self.lives[key] = kind, self.command("PTTL", key)
        name = key[len(PREFIX) :]
        if not key.startswith(PREFIX):
            return
        if kind == "hash" and (fields := pairs(self.command("HGETALL", key))):
            self.hashes[name] = fields
        elif kind == "zset":
            members = pairs(self.command("ZRANGE", key, 0, -1, "WITHSCORES"))
            self.zsets[name] = {member: float(score) for member, score in members.items()}
        elif kind == "set":
            self.sets[name] = self.command("SMEMBERS", key)
        elif kind == "string":
            self.strings[name] = self.command("GET", key)

    def named(self, values, what):
        """Those of VALUES whose key begins with WHAT, by the rest of their key."""
        return {key[len(what) :]: value for key, value in values.items() if key.startswith(what)}

    def faults(self):
        return [*self.undocumented(), *self.device_faults(), *self.store_faults()]

    def undocumented(self):
        table = list(key_rows())
        for key, kind in self.kinds.items():
            lives = [row[2] for row in table if row[1] == kind and row[0].fullmatch(key)]
            if kind != "none" and not lives:
                yield f"{key} ({kind}) matches no row of schemas/redis.md"
            elif kind != "none" and self.lives[key] == -1 and not lives[0].startswith("no ttl"):
                yield f"{key} has no TTL"

    # Devices: what each must be found by, against what is there

    def device_faults(self):
        devices = self.named(self.hashes, "device:")
        wanted = {}
        for node, device in devices.items():
            lacking = NEEDED - device.keys()
            if lacking:
                yield f"device {node} lacks {sorted(lacking)}"
                continue
            yield from own_faults(node, device)
            registered = float(device["registered"])
            wanted[f"key:{device['key']}", node] = None
            wanted[f"token:{device['token_hash']}", node] = registered
            wanted[f"owner:{device['owner']}", node] = registered
            if "alias" in device:
                wanted[f"alias:{device['alias']}", node] = None
            if "expires" in device:
                wanted["expiry", node] = float(device["expires"])
        yield from differences(wanted, self.places())
        yield from self.count_faults(devices.values())

    def count_faults(self, devices):
        counts = {}
        for device in devices:
            for field in ("all", "domain:" + device["owner"].rpartition("@")[2]):
                counts[field] = counts.get(field, 0) + 1
        stored = {field: int(count) for field, count in self.hashes.get("counts", {}).items()}
        if stored != counts:
            yield f"counts is {stored}, not {counts}"

    def places(self):
        keys = self.named(self.strings, "key:")
        found = {(f"key:{key}", node): None for key, node in keys.items()}
        for name, members in self.sets.items():
            found.update({(name, node): None for node in members})
        for name, members in self.zsets.items():
            if name.startswith(("token:", "owner:")) or name == "expiry":
                found.update({(name, node): score for node, score in members.items()})
        return found

    # The store: likewise

    def store_faults(self):
        notes = self.named(self.hashes, "note:")
        wanted, slots, counts = {}, {}, {}
        for note_id, note in notes.items():
            queue = f"queue:{note['provider']}:{note['priority']}"
            wanted[f"{queue}:{note['domain']}", note_id] = None
            wanted[queue, note["domain"]] = None
            wanted["notes", note_id] = None
            counts[note["provider"]] = counts.get(note["provider"], 0) + 1
            if note["slot"]:
                slots[note["node"]] = note_id
            if note["priority"] not in ("voip", "high", "low"):
                yield f"note {note_id} is of no priority: {note['priority']}"
            if self.zsets.get("notes", {}).get(note_id) != float(note["expires"]):
                yield f"note {note_id} expires at {note['expires']}, but not in notes"
        found = {
            (name, member): None
            for name, members in self.zsets.items()
            if name.startswith("queue:") or name == "notes"
            for member in members
        }
        yield from differences(wanted, found)
        if slots != self.named(self.strings, "slot:"):
            yield f"slots are {self.named(self.strings, 'slot:')}, not {slots}"
        stored = {id: int(count) for id, count in self.hashes.get("stored", {}).items()}
        if stored != counts:
            yield f"stored is {stored}, not {counts}"


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def differences(wanted, found):
    for index, member in sorted(wanted.keys() | found.keys()):
        if (index, member) not in found:
            yield f"{index} lacks {member}"
        elif (index, member) not in wanted:
            yield f"{index} has {member}, which isn't there or doesn't say so"
        elif wanted[index, member] != found[index, member]:
            yield f"{index} has {member} at {found[index, member]}, not {wanted[index, member]}"


def own_faults(node, device):
    """What is wrong with a device by itself."""
    by_id = device["dialect"] == "p2" and "device_id" in device
    last = ("id", device["device_id"]) if by_id else ("token", device["token"])
    account, channel = device["owner"], device.get("channel")
    if by_id:
        account, channel = (
            jid and hashlib.sha1(f"{jid}\0{device['device_id']}".encode()).hexdigest()
            for jid in (account, channel)
        )
    if by_id and channel:
        last += ("channel", device["channel"])
    expected = {
        "node": node,
        "key": digest(device["component"], device["owner"], device["provider"], *last),
        "token_hash": hashlib.sha256(device["token"].lower().encode()).hexdigest(),
        "account": account,
        "channel_id": channel,
    }
    for field, value in expected.items():
        if device.get(field) != value:
            yield f"device {node}: {field} is {device.get(field)}, not {value}"
    if ("expires" in device) != (device["dialect"] in RENEWING):
        yield f"device {node} of {device['dialect']}: expires is {device.get('expires')}"
