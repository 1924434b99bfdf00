#!/usr/bin/env python3
"""A second verifier of an exported ledger, written from docs/ledger-format.md alone (the § below are its).

Python's standard library and nothing of this project's, so that a mistake in src/ledger is not made twice.
It needs no key but the public verifier keys, and no network. Exit code: 0 all is well, 1 something is wrong and named.
"""

import argparse
import base64
import binascii
import calendar
import errno
import functools
import hashlib
import json
import os
import re
import stat
import sys
import time

LARGEST = 2**53 - 1
OBJECT_BYTES_MAX = 2**25  # no object is as long: the longest is a frame of 256 leaves of 65,535 bytes
WIDTH = 256  # hashes of a full tile, entries of a full bundle
CLOCKS = 60  # seconds by which the clocks of a log and the root log may differ (§12)
SLACK = 130  # seconds around the half-year in which its log takes records (§1)
PADDED = (256, 512, 768, 1024, 2048, 4096, 8192, 16384, 32768, 65469)
COORDINATE = {("EC", "P-256"): 32, ("EC", "P-384"): 48, ("EC", "P-521"): 66, ("OKP", "X25519"): 32}
KEYS_HEAD = "# The C2SP verifier keys of these logs. They prove nothing by themselves: whoever can change this folder can change them too."
ROOT = "root"
KEYS_MAX = 8  # verifier keys of one log (§7)
LEDGER_NAME = re.compile(r"[a-z0-9.-]+(/[a-z0-9._-]+)*")
LOG_NAME = re.compile(r"s(0|[1-9][0-9]{0,4})-([0-9]{4}h[12])")


class Wrong(Exception):
    """A fault of the ledger in words; `place` names the object that has the fault."""

    def __init__(self, problem, place=None):
        super().__init__(problem)
        self.problem, self.place = problem, place


def need(holds, problem, place=None):
    if not holds:
        raise Wrong(problem, place)


def sha256(data):
    return hashlib.sha256(data).digest()


# ---- Ed25519 (RFC 8032 §5.1.7), in extended coordinates

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return x * y % P, z * t % P, y * z % P, x * t % P


@functools.lru_cache(maxsize=64)
def windows(point):
    """The multiples 0 to 15 of 16^i times the point. Only the base point and the few signing keys have such a table."""
    table = []
    for _ in range(64):
        row = [(0, 1, 1, 0)]
        for _ in range(15):
            row.append(point_add(row[-1], point))
        table.append(row)
        point = point_add(row[-1], point)
    return table


def point_times(scalar, point):
    total = (0, 1, 1, 0)
    for row in windows(point):
        if scalar & 15:
            total = point_add(total, row[scalar & 15])
        scalar >>= 4
    return total


def point_equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(encoded):
    """The point. None if a coordinate is not below P, or if no point has this y."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P != 0 or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


@functools.lru_cache(maxsize=256)
def ed25519_verifies(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    key, r, s = point_of(public), point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return point_equal(point_times(s, BASE), point_add(r, point_times(k, key)))


# ---- Texts


def utf8(data, what):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Wrong(f"{what} is not UTF-8") from None


def unbase64(text, what, url=False):
    """Decodes canonical base64 with padding, or base64url without padding (RFC 4648 §4, §5)."""
    alphabet = b"-_" if url else b"+/"
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4 if url else 0), altchars=alphabet, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"{what} is not base64") from None
    again = base64.b64encode(data, alphabet).decode()
    need((again.rstrip("=") if url else again) == text, f"{what} is not canonical base64")
    return data


def decimal(text, what):
    need(re.fullmatch(r"0|[1-9][0-9]{0,15}", text) and int(text) <= LARGEST, f"{what} is not a number of the format")
    return int(text)


# ---- CBOR, deterministic (first section of the page)


class Cbor:
    """Reads a value. Refuses every encoding but the shortest."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "CBOR is cut short")
        self.at += length
        return self.data[self.at - length : self.at]

    def argument(self, low):
        if low < 24:
            return low
        need(low < 28, "CBOR has an indefinite or reserved length")
        width = 1 << (low - 24)
        number = int.from_bytes(self.take(width), "big")
        need(number >= (24 if width == 1 else 1 << 8 * width // 2), "CBOR has a number that is not the shortest")
        need(number <= LARGEST, "CBOR has a number that is too large")
        return number

    def value(self, depth=1):
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if first in (0xF4, 0xF5, 0xF6):
            return {0xF4: False, 0xF5: True, 0xF6: None}[first]
        need(major < 6, "CBOR has a tag, a float or a simple value")
        number = self.argument(low)
        if major == 0:
            return number
        if major == 1:
            need(number < LARGEST, "CBOR has a number that is too small")
            return -1 - number
        if major == 2:
            return self.take(number)
        if major == 3:
            return utf8(self.take(number), "CBOR text")
        need(depth <= 16, "CBOR nests too deep")
        if major == 4:
            return [self.value(depth + 1) for _ in range(number)]
        return self.map(number, depth)

    def map(self, count, depth):
        read, before = {}, b""
        for _ in range(count):
            start = self.at
            key = self.value(depth + 1)
            encoded = self.data[start : self.at]
            need(isinstance(key, str) or (type(key) is int and key >= 0), "CBOR has a map key of another kind")
            need(before < encoded, "CBOR has map keys out of order")
            before, read[key] = encoded, self.value(depth + 1)
        need(len({type(key) for key in read}) <= 1, "CBOR has a map with numbers and text as keys")
        return read


def body_map(body):
    reader = Cbor(body)
    read = reader.value()
    need(reader.at == len(body), "body has bytes after its CBOR")
    need(isinstance(read, dict) and not any(isinstance(key, str) for key in read), "body is no CBOR map with numbers as keys")
    need(type(read.get(1)) is int and read[1] == 1, "body is of another format")
    return read


# ---- Signed note and checkpoint (§7)


SIGNATURE, COSIGNATURE = 1, 4  # C2SP signed-note: types


class Key:
    """A verifier key: `<name>+<key id>+<base64(type ‖ public key)>`."""

    def __init__(self, name, kind, public):
        need(is_key_name(name), "verifier key has no name")
        typed = bytes([kind]) + public
        self.name, self.public, self.id = name, public, sha256(name.encode() + b"\n" + typed)[:4]
        self.text = f"{name}+{self.id.hex()}+{base64.b64encode(typed).decode()}"

    @classmethod
    def read(cls, text, kind):
        parts = text.split("+", 2)
        need(len(parts) == 3, "verifier key has not three parts")
        typed = unbase64(parts[2], "verifier key")
        need(len(typed) == 33 and typed[0] == kind, "verifier key is of another type")
        key = cls(parts[0], kind, typed[1:])
        need(key.text == text, "verifier key has another key id")
        return key


class LogKey:
    """The keys of a log: one, or several of a signer who replaced the key. Their name is the log's origin line (§1, §7).

    `ends` has the size of the root log at which a key ended, or None for a key in use.
    """

    def __init__(self, name, publics, ends):
        self.keys, self.ends = [Key(name, SIGNATURE, public) for public in publics], ends
        self.name, self.text = name, " ".join(key.text + ("" if end is None else f"@{end}") for key, end in zip(self.keys, ends))
        self.ledger, _, self.log = name.rpartition("/")
        need(is_ledger_name(self.ledger) and (self.log == ROOT or LOG_NAME.fullmatch(self.log)), "verifier key names no log")

    def of(self, log):
        """The keys of a further log of the same ledger. The same key pairs sign all logs."""
        return LogKey(f"{self.ledger}/{log}", [key.public for key in self.keys], self.ends)

    def has(self, other):
        """True if each key of `other` is among these. Order and ends do not count."""
        return {key.text for key in other.keys} <= {key.text for key in self.keys}

    @classmethod
    def read(cls, text):
        """Reads verifier keys of one log, separated by single spaces."""
        words = text.split(" ")
        parts = [re.fullmatch(r"(.*?)(?:@([1-9][0-9]{0,14}))?", word) for word in words]
        need(all(parts), "verifier key has not three parts")
        keys = [Key.read(part[1], SIGNATURE) for part in parts]
        ends = [int(part[2]) if part[2] else None for part in parts]
        need(len(words) <= KEYS_MAX and len({key.text for key in keys}) == len(keys), "verifier keys are more than eight, or one stands twice")
        need(len({key.name for key in keys}) == 1, "verifier keys are of different logs")
        need(None in ends, "verifier keys have ended, each of them")
        order = sorted(range(len(keys)), key=lambda i: ends[i] is not None)
        return cls(keys[0].name, [keys[i].public for i in order], [ends[i] for i in order])


def is_ledger_name(name):
    """§1. A part `.` or `..` would lead out of the folder of a file at the key of an object (§10)."""
    return LEDGER_NAME.fullmatch(name) is not None and len(name) <= 200 and not {".", ".."} & {*name.split("/")}


def is_key_name(name):
    # Python counts U+001C to U+001F as space, Unicode's White_Space does not (§7).
    return name != "" and "+" not in name and not any(c.isspace() and not "\x1c" <= c <= "\x1f" for c in name)


def read_note(note):
    """The text, and each signature line as (key name, key id, signature bytes)."""
    need(len(note) <= 1 << 20, "note is larger than 1 MiB")
    whole = utf8(note, "note")
    need(not any(ord(c) < 32 and c != "\n" for c in whole), "note has a control character")
    body, gap, signatures = whole.rpartition("\n\n")
    need(gap != "" and signatures.endswith("\n"), "note is not text, an empty line and signature lines")
    lines = signatures[:-1].split("\n")
    need(len(lines) <= 64, "note has more than 64 signature lines")
    return body + "\n", [read_signature(line) for line in lines]


def read_signature(line):
    parts = line.split(" ")
    need(len(parts) == 3 and parts[0] == "—" and is_key_name(parts[1]), "note has a malformed signature line")
    signed = unbase64(parts[2], "signature")
    need(len(signed) > 4, "note has a malformed signature line")
    return parts[1], signed[:4], signed[4:]


def open_note(note, key, index=None):
    """Returns the text of a note after it has checked each signature line of the log's keys.

    `index`: the note's place in the root log, for a note of the past; None for a present checkpoint, which a key that ended cannot sign.
    """
    text, signatures = read_note(note)
    publics = {(one.name, one.id): (one.public, end) for one, end in zip(key.keys, key.ends)}
    known = [(*publics[name, id], signature) for name, id, signature in signatures if (name, id) in publics]
    own = [(public, signature) for public, end, signature in known if end is None or (index is not None and index < end)]
    need(own, "note is signed by a key that ended" if known else "note is not signed by the log's key")
    need(all(ed25519_verifies(public, text.encode(), signature) for public, signature in own), "signature does not verify")
    return text


def check_cosignature(note, witness):
    """C2SP tlog-cosignature: time (u64) and an Ed25519 signature of time and text (§12)."""
    text, signatures = read_note(note)
    own = [signature for name, id, signature in signatures if (name, id) == (witness.name, witness.id)]
    need(own, f"is not cosigned by {witness.name}")
    for signature in own:
        message = f"cosignature/v1\ntime {int.from_bytes(signature[:8], 'big')}\n{text}"
        need(ed25519_verifies(witness.public, message.encode(), signature[8:]), f"has a wrong cosignature of {witness.name}")


class Checkpoint:
    """The fields of a checkpoint: size, root, and (for a size above 0) number and hash of the last frame."""

    def __init__(self, note, key, index=None):
        lines = open_note(note, key, index)[:-1].split("\n")
        need(len(lines) >= 3, "checkpoint is cut short")
        need(lines[0] == key.name, "checkpoint is of another log")
        self.size, self.root = decimal(lines[1], "tree size"), unbase64(lines[2], "root hash")
        need(len(self.root) == 32, "root hash is not 32 bytes")
        self.frame, self.frame_hash, rest = None, None, lines[3:]
        if self.size == 0:
            need(self.root == sha256(b""), "checkpoint of an empty log has another root")
        else:
            fields = rest[0].split(" ") if rest else []
            need(len(fields) == 3 and fields[0] == "frame", "checkpoint has no frame line")
            self.frame, self.frame_hash, rest = decimal(fields[1], "frame number"), unbase64(fields[2], "frame hash"), rest[1:]
            need(len(self.frame_hash) == 32, "frame hash is not 32 bytes")
        for line in rest:
            need(line != "" and line != "frame" and not line.startswith("frame "), "checkpoint has a malformed extension line")


# ---- Tree: compact range, tiles (RFC 6962 §2.1, C2SP tlog-tiles)


def leaf_hash(leaf):
    return sha256(b"\0" + leaf)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def fold(nodes):
    """The root over the hashes of perfect subtrees. The largest subtree comes first."""
    if not nodes:
        return sha256(b"")
    root = nodes[-1]
    for left in reversed(nodes[:-1]):
        root = node_hash(left, root)
    return root


def perfect_root(hashes):
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def tile_path(index, width):
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    return "/".join(groups) + ("" if width == WIDTH else f".p/{width}")


def pieces(count):
    """Index and width of each tile or bundle, for `count` hashes or entries."""
    yield from ((i, WIDTH) for i in range(count // WIDTH))
    if count % WIDTH > 0:
        yield count // WIDTH, count % WIDTH


def paths_of(checkpoint):
    """The paths of all objects of a log (§11)."""
    yield "checkpoint"
    if checkpoint.size == 0:
        return
    yield from (f"frame/{n}" for n in range(checkpoint.frame + 1))
    yield from (f"tile/entries/{tile_path(*piece)}" for piece in pieces(checkpoint.size))
    level, count = 0, checkpoint.size
    while count > 0:
        yield from (f"tile/{level}/{tile_path(*piece)}" for piece in pieces(count))
        level, count = level + 1, count // WIDTH


class Tree:
    """A tree that grows by leaves. It compares each full bundle and tile with the log's copy at once, and the partial ones at the end."""

    def __init__(self, log):
        self.log, self.size, self.range = log, 0, []
        self.stored, self.entries, self.edge = 0, [], []  # leaves compared; of them those of the bundle, and the hashes of the tiles, under way

    def extend(self, hashes):
        """The compact range with these leaves appended. Nothing is compared yet, because the frame's claim is judged first."""
        for hashed in hashes:
            size = self.size
            while size & 1:
                hashed, size = node_hash(self.range.pop(), hashed), size >> 1
            self.range.append(hashed)
            self.size += 1
        return self.range

    def compare_entries(self, leaves, hashes):
        for leaf, hashed in zip(leaves, hashes):
            self.entries.append(leaf)
            self.stored += 1
            if len(self.entries) == WIDTH:
                self.compare_bundle()
            self.grow(0, hashed)

    def grow(self, level, hashed):
        if level == len(self.edge):
            self.edge.append([])
        self.edge[level].append(hashed)
        if len(self.edge[level]) == WIDTH:
            index = self.stored // WIDTH ** (level + 1) - 1
            self.compare(f"tile/{level}/{tile_path(index, WIDTH)}", b"".join(self.edge[level]))
            full, self.edge[level] = self.edge[level], []
            self.grow(level + 1, perfect_root(full))

    def compare_bundle(self):
        path = f"tile/entries/{tile_path((self.stored - 1) // WIDTH, len(self.entries))}"
        self.compare(path, b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in self.entries))
        self.entries = []

    def compare(self, path, expected):
        need(self.log.read(path) == expected, "is not what the frames' leaves give", path)

    def end(self):
        if self.entries:
            self.compare_bundle()
        for level, hashes in enumerate(self.edge):
            if hashes:
                self.compare(f"tile/{level}/{tile_path(self.size // WIDTH ** (level + 1), len(hashes))}", b"".join(hashes))


# ---- Leaves (§3)


def members(value, names, what):
    need(isinstance(value, dict) and set(value) == set(names), f"{what} has other members")
    need(all(isinstance(value[name], str) for name in names if name not in ("recipients", "header", "epk")), f"{what} has a member that is not text")


def sized(text, length, what):
    need(len(unbase64(text, what, url=True)) == length, f"{what} is not {length} bytes")


def no_twins(pairs):
    need(len({name for name, _ in pairs}) == len(pairs), "JWE has a member twice")
    return dict(pairs)


def check_jwe(text, origin, epoch):
    def no_constant(_):
        raise Wrong("JWE is not JSON")

    try:
        jwe = json.loads(text, object_pairs_hook=no_twins, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Wrong("JWE is not JSON") from None
    members(jwe, ("protected", "aad", "iv", "ciphertext", "tag", "recipients"), "JWE")
    need(unbase64(jwe["protected"], "protected", url=True) == b'{"enc":"A256GCM"}', "JWE has another protected header")
    aad = f"phylax key epoch v1\n{origin}\n{epoch}\n".encode()
    need(unbase64(jwe["aad"], "aad", url=True) == aad, "JWE is of another log or epoch")
    sized(jwe["iv"], 12, "iv")
    sized(jwe["tag"], 16, "tag")
    need(unbase64(jwe["ciphertext"], "ciphertext", url=True) != b"", "JWE has no ciphertext")
    need(isinstance(jwe["recipients"], list) and len(jwe["recipients"]) >= 2, "JWE has fewer than two recipients")
    for recipient in jwe["recipients"]:
        members(recipient, ("header", "encrypted_key"), "recipient")
        sized(recipient["encrypted_key"], 40, "encrypted_key")
        header = recipient["header"]
        members(header, ("alg", "kid", "epk"), "recipient's header")
        need(header["alg"] == "ECDH-ES+A256KW", "recipient has another algorithm")
        check_epk(header["epk"])
    kids = [recipient["header"]["kid"] for recipient in jwe["recipients"]]
    need(len(set(kids)) == len(kids), "JWE has a recipient twice")


def check_epk(epk):
    need(isinstance(epk, dict), "epk is no object")
    coordinates = ("x", "y") if epk.get("kty") == "EC" else ("x",)
    members(epk, ("kty", "crv", *coordinates), "epk")
    length = COORDINATE.get((epk["kty"], epk["crv"]))
    need(length is not None, "epk is of another curve")
    for name in coordinates:
        sized(epk[name], length, name)


class LeafRules:
    """Checks the form of each leaf and the order rules of §3, frame after frame."""

    def __init__(self, key):
        self.origin, self.half_year = key.name, LOG_NAME.fullmatch(key.log)[2]
        self.bounds = half_year_bounds(self.half_year)
        self.index, self.epoch, self.counter, self.sealed_at = 0, 0, 0, None

    def frame(self, leaves, time):
        need(self.sealed_at is None, "leaves follow the seal")
        fresh = False  # the leaf before introduced an epoch
        records = False
        for leaf in leaves:
            at = f"leaf {self.index}: "
            try:
                kind = self.leaf(leaf, fresh)
            except Wrong as wrong:
                raise Wrong(at + wrong.problem) from None
            fresh, records, self.index = kind == 1, records or kind == 0, self.index + 1
        need(not fresh, f"leaf {self.index - 1}: no record follows the key epoch in its frame")
        if self.sealed_at is not None:
            need(self.index == self.sealed_at // WIDTH * WIDTH + WIDTH, "the seal does not fill the last bundle")
        if records:
            need(self.bounds[0] <= time <= self.bounds[1], "has records outside the log's half-year")

    def leaf(self, leaf, fresh):
        need(len(leaf) >= 50, "is shorter than its header")
        version, kind, body = leaf[0], leaf[1], leaf[50:]
        epoch, counter, length = (int.from_bytes(leaf[a:b], "big") for a, b in ((2, 6), (6, 14), (46, 50)))
        need(version == 1, "is of another version")
        need(kind <= 3, "is of an unknown kind")
        need(counter <= LARGEST, "has a counter that is too large")
        need(length == len(body), "has another length than it says")
        need((kind == 2) == (self.index == 0), "is a shard-open elsewhere, or the first leaf is none")
        need(not fresh or kind == 0, "is no record though a key epoch stands before it")
        need(self.sealed_at is None or kind == 3, "follows a seal")
        need(kind == 0 or counter == 0, "has a counter though it is no record")
        (self.record, self.key_epoch, self.open, self.seal)[kind](epoch, counter, body)
        return kind

    def record(self, epoch, counter, body):
        need(epoch == self.epoch and epoch > 0, "is not of the key epoch before it")
        need(counter > self.counter, "has a counter that does not grow")
        need(len(body) - 16 in PADDED, "has a body of no padded size")
        self.counter = counter

    def key_epoch(self, epoch, _, body):
        need(epoch > self.epoch, "introduces an epoch that is not greater")
        read = body_map(body)
        need(isinstance(read.get(2), bytes) and len(read[2]) == 32, "has no key commitment")
        need(isinstance(read.get(3), str), "has no wrapped key")
        check_jwe(read[3], self.origin, epoch)
        self.epoch, self.counter = epoch, 0

    def open(self, epoch, _, body):
        need(epoch == 0, "has an epoch though it is a shard-open")
        read = body_map(body)
        need(read.get(2) == self.origin, "opens another log")
        need(read.get(3) == self.half_year, "opens another half-year")
        kids = read.get(4)
        need(isinstance(kids, list) and all(isinstance(kid, str) for kid in kids), "names no auditors")
        need(len(kids) >= 2 and len(set(kids)) == len(kids), "names fewer than two auditors, or one twice")

    def seal(self, epoch, _, body):
        need(epoch == self.epoch, "has another epoch than the last one")
        if self.sealed_at is None:
            self.sealed_at = self.index
        size = body_map(body).get(2)
        need(type(size) is int and size == self.sealed_at, "seals another size")


class RootRules:
    """The leaves of the root log (§12): `seen` are each log's checkpoints, oldest first."""

    def __init__(self, key):
        self.key, self.index, self.seen, self.time = key, 0, {}, 0

    def frame(self, leaves, time):
        for leaf in leaves:
            try:
                self.leaf(leaf)
            except Wrong as wrong:
                raise Wrong(f"leaf {self.index}: {wrong.problem}") from None
            self.index += 1
        self.time = time

    def leaf(self, note):
        origin = utf8(note.split(b"\n", 1)[0], "origin line")
        ledger, _, log = origin.rpartition("/")
        need(ledger == self.key.ledger and LOG_NAME.fullmatch(log), "is of no log of this ledger")
        need(len(read_note(note)[1]) == 1, "has not one signature line")
        checkpoint = Checkpoint(note, self.key.of(log), self.index)
        before = self.seen.setdefault(log, [])
        if before:
            last = before[-1]
            need(checkpoint.size > last.size, "is of no larger size than the one before")
            need(last.size == 0 or checkpoint.frame > last.frame, "is of no later frame than the one before")
        else:
            need(checkpoint.size == 0, "is of a log that was not opened")
        before.append(checkpoint)

    def may_be_gone(self, log):
        """True if the half-year ended six years before the last frame and before today. The frame's date alone is no proof: the signer of frames chooses it."""
        year, month = half_year_after(LOG_NAME.fullmatch(log)[2])
        return calendar.timegm((year + 6, month, 1, 0, 0, 0)) <= min(self.time, time.time())


def half_year_bounds(half_year):
    first = int(half_year[:4]), 1 if half_year.endswith("h1") else 7
    return tuple(calendar.timegm((*month, 1, 0, 0, 0)) + slack for month, slack in ((first, -SLACK), (half_year_after(half_year), SLACK)))


def half_year_after(half_year):
    """Year and month in which the next half-year begins."""
    return (int(half_year[:4]), 7) if half_year.endswith("h1") else (int(half_year[:4]) + 1, 1)


# ---- Frames (§6)


class Frame:
    """Reads the fields of a frame. Checks only its form."""

    def __init__(self, data):
        self.data, self.at = data, 0
        need(self.take(4) == b"PXF1", "has another magic")
        self.origin = self.take(self.number(2))
        self.frame_no, self.first_index, self.count = self.number(8), self.number(8), self.number(2)
        self.previous, self.size = self.take(32), self.number(8)
        self.range = [self.take(32) for _ in range(self.size.bit_count())]
        self.time = self.number(8)
        need(1 <= self.count <= WIDTH, "has no leaves, or more than 256")
        self.leaves = [self.take(self.number(2)) for _ in range(self.count)]
        need(self.at == len(data), "has bytes after its last leaf")

    def take(self, length):
        need(self.at + length <= len(self.data), "is cut short")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, width):
        number = int.from_bytes(self.take(width), "big")
        need(number <= LARGEST, "has a number that is too large")
        return number


class Chain:
    """Takes frames in their order. Has size, compact range and hash after each frame."""

    def __init__(self, key, log, rules):
        self.origin, self.rules, self.tree = key.name, rules, Tree(log)
        self.next, self.hash, self.time = 0, bytes(32), 0

    def add(self, data):
        frame = Frame(data)
        need(frame.origin == self.origin.encode(), "is of another log")
        need(frame.frame_no == self.next, "has another number")
        need(frame.previous == self.hash, "does not link to the frame before")
        need(frame.first_index == self.tree.size, "does not begin where the frame before ends")
        need(frame.size == frame.first_index + frame.count, "has another size than its leaves give")
        need(frame.time % 10 == 0, "has a time that is no multiple of ten seconds")
        need(frame.time >= self.time, "has a time before that of the frame before")
        self.rules.frame(frame.leaves, frame.time)
        hashes = [leaf_hash(leaf) for leaf in frame.leaves]
        need(frame.range == self.tree.extend(hashes), "has another compact range than its leaves give")
        self.tree.compare_entries(frame.leaves, hashes)
        self.next, self.hash, self.time = self.next + 1, sha256(data), frame.time
        return frame


# ---- One log (§8)


def verify_log(log, key, since=(), receipts=(), rules=None):
    """Verifies a log. `log` has read(path) and paths(); `since` are Checkpoints with checked signatures; `receipts` are as the next section reads them. Raises Wrong."""
    checkpoint = placed("checkpoint", lambda: Checkpoint(log.read("checkpoint"), key))
    check_paths(log, checkpoint)
    chain, earlier = Chain(key, log, rules or LeafRules(key)), {}
    for one in since:
        earlier.setdefault(one.frame, []).append(one)
    for number in range(0 if checkpoint.size == 0 else checkpoint.frame + 1):
        path = f"frame/{number}"
        frame = placed(path, lambda: chain.add(log.read(path)))
        need(frame.size <= checkpoint.size, "is beyond the checkpoint's size", path)
        for one in earlier.get(number, ()):
            same = (chain.hash, frame.size, fold(frame.range)) == (one.frame_hash, one.size, one.root)
            need(same, f"is not the frame that an earlier checkpoint of size {one.size} names", path)
        for one in (one for one in receipts if frame.first_index <= one["index"] < frame.size):
            leaf = frame.leaves[one["index"] - frame.first_index]
            same = (leaf_hash(leaf), chain.hash) == (one["leaf"], one["frame"])
            need(same, f"is not what the receipt of leaf {one['index']} says", path)
    chain.tree.end()
    need(chain.tree.size == checkpoint.size, f"has size {checkpoint.size}, the frames have {chain.tree.size}", "checkpoint")
    need(fold(chain.tree.range) == checkpoint.root, "has another root than the frames", "checkpoint")
    need(checkpoint.size == 0 or chain.hash == checkpoint.frame_hash, "has another frame hash than the frames", "checkpoint")
    for one in since:
        need(one.size == 0 or one.frame < chain.next, f"does not reach an earlier checkpoint of size {one.size}", "checkpoint")
    for one in receipts:
        need(one["index"] < chain.tree.size, f"does not reach the receipt of leaf {one['index']}", "checkpoint")
    return checkpoint


def placed(place, run):
    try:
        return run()
    except Wrong as wrong:
        raise Wrong(wrong.problem, wrong.place or place) from None


def check_paths(log, checkpoint):
    there = set(log.paths())
    for path in paths_of(checkpoint):  # a frame number that is a lie is found at the first file that is not there
        need(path in there, "is missing", path)
        there.remove(path)
    need(not there, "is not of this log at this size", min(there, default=None))


def inclusion_root(index, size, hashed, path):
    """The root that an audit path gives (RFC 9162 §2.1.3.2). None if the path has a wrong length."""
    if index >= size:
        return None
    fn, sn = index, size - 1
    for node in path:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            hashed = node_hash(node, hashed)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            hashed = node_hash(hashed, node)
        fn, sn = fn >> 1, sn >> 1
    return hashed if sn == 0 else None


# ---- Receipt (§7; RFC 8941 §3.2)

BARE = r'(?:-?[0-9]{1,15}|-?[0-9]{1,12}\.[0-9]{1,3}|"(?:[ !#-\[\]-~]|\\["\\])*"|:[A-Za-z0-9+/]*={0,2}:|\?[01]|[A-Za-z*][!#$%&\'*+\-.^_`|~0-9A-Za-z:/]*)'
NAME = r"[a-z*][a-z0-9_\-.*]*"
PARAMETERS = rf"(?:; *{NAME}(?:={BARE})?)*"
INNER = rf"\( *(?:{BARE}{PARAMETERS}(?: +{BARE}{PARAMETERS})*)? *\)"
FURTHER = rf"[ \t]*,[ \t]*({NAME})(?:=((?:{BARE}|{INNER}){PARAMETERS})|{PARAMETERS})"
OWS = r"[ \t]*,[ \t]*"
RECEIPT = re.compile(rf'log="([^"\\]*)"{OWS}index=([0-9]{{1,15}}){OWS}leaf=:([A-Za-z0-9+/=]*):{OWS}frame=:([A-Za-z0-9+/=]*):((?:{FURTHER})*)')


def read_receipt(text):
    return placed("receipt", lambda: receipt_of(RECEIPT.fullmatch(text.strip())))


def receipt_of(match):
    need(match, "is not a receipt")
    further = [(name[1], name[2]) for name in re.finditer(FURTHER, match[5])]
    need(not {name for name, _ in further} & {"log", "index", "leaf", "frame"}, "has a member twice")
    need(LOG_NAME.fullmatch(match[1]), "is of no log")
    leaf, frame = unbase64(match[3], "leaf"), unbase64(match[4], "frame")
    need(len(leaf) == 32 and len(frame) == 32, "has a hash that is not 32 bytes")
    proof = further[0][1] if further and further[0][0] == "proof" and re.fullmatch(":[^:]+:", further[0][1] or "") else None
    read = {"log": match[1], "index": decimal(match[2], "index"), "leaf": leaf, "frame": frame}
    return read if proof is None else {**read, "proof": unbase64(proof[1:-1], "proof")}


def check_proof(receipt, key):
    """Checks the receipt's proof (C2SP tlog-proof v1) that its leaf is at its index in the log. Returns the checkpoint."""
    need("proof" in receipt, "has no proof, and there is no folder")
    head, _, note = utf8(receipt["proof"], "proof").partition("\n\n")
    first, *lines = head.split("\n")
    need(first == "c2sp.org/tlog-proof@v1", "has a proof of another version")
    lines = lines[1:] if lines and lines[0].startswith("extra ") else lines
    need(lines and lines[0] == f"index {receipt['index']}", "has a proof of another leaf")
    path = [unbase64(line, "audit path") for line in lines[1:]]
    need(all(len(node) == 32 for node in path), "has a proof with a hash that is not 32 bytes")
    checkpoint = Checkpoint(note.encode(), key)
    need(inclusion_root(receipt["index"], checkpoint.size, receipt["leaf"], path) == checkpoint.root, "has a proof that does not lead to its checkpoint")
    return checkpoint


# ---- The folder (§11)


class FolderLog:
    """The folder of a log. It follows no link: a link could show different bytes to the next reader."""

    def __init__(self, folder):
        self.folder = folder

    def read(self, path):
        try:
            handle = os.open(os.path.join(self.folder, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as fault:
            absent = fault.errno in (errno.ENOENT, errno.ENOTDIR)
            raise Wrong("is missing" if absent else "cannot be read as a file", path) from None
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > OBJECT_BYTES_MAX:
            os.close(handle)
            raise Wrong("cannot be read as a file, or is longer than any object", path)
        with os.fdopen(handle, "rb") as file:
            return file.read()

    def paths(self, below=""):
        for entry in os.scandir(os.path.join(self.folder, below)):
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self.paths(f"{path}/")
            else:
                need(stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode), "is a link or no file", path)
                yield path


def read_keys(text):
    """Log keys and witness keys of a file. The file has a key on each line and comments after #, or it is the `dev.json` of a development stack."""
    if text.startswith("{"):
        named = json.loads(text)
        logs = [*named["logs"].values(), *filter(None, [named.get("root")])]
        return logs, [*named.get("witnesses", {}).values()]
    return [line for line in text.splitlines() if line != "" and not line.startswith("#")], []


def own_keys(folder):
    """The keys that the folder itself names, in the form §11 gives them."""
    lines = utf8(FolderLog(folder).read("keys"), "the file").split("\n")
    need(lines[0] == KEYS_HEAD and lines[-1] == "" and lines[1:-1] == sorted(set(lines[1:-1])), "is not as an export writes it")
    need(len(lines) > 2, "has no key")
    return [LogKey.read(line) for line in lines[1:-1]]


def check_keys(folder, keys):
    """The keys that the folder names. Each key from outside must be among them."""
    own = own_keys(folder)
    for key in keys:
        need(any(one.has(key) for one in own), f"does not have the key of {key.log} that was given")
    return own


class Folder:
    """The checks of an exported folder, and their results: (log or file, result in words)."""

    def __init__(self, folder, keys, since, receipts, witnesses):
        self.folder, self.witnesses, self.found = folder, witnesses, []
        self.entries = {entry.name for entry in os.scandir(folder)}
        self.found += [(entry.name, Wrong("is a link")) for entry in os.scandir(folder) if entry.is_symlink()]
        own = self.try_to("keys", lambda: check_keys(folder, keys)) or []
        self.keys = {key.log: key for key in keys or own}
        need(len({key.text for key in keys or own}) == len(self.keys), "has two keys of one log", "keys")
        self.promised = {key.log for key in [*keys, *own]}  # logs that have to be there
        self.root = self.verify_root(since, receipts) if ROOT in self.keys else None
        self.verify_logs(since, receipts)

    def try_to(self, name, run):
        try:
            return run()
        except Wrong as wrong:
            self.found.append((name, wrong if wrong.place != name else Wrong(wrong.problem)))
            return None

    def verify_root(self, since, receipts):
        """The order rules after they have read the log; None if the log is bad."""
        key = self.keys[ROOT]
        rules, log = RootRules(key), FolderLog(os.path.join(self.folder, ROOT))

        def run():
            need(ROOT in self.entries, "is missing")
            note = log.read("checkpoint")
            checkpoint = verify_log(log, key, earlier_of(key, since), [one for one in receipts if one["log"] == ROOT], rules)
            for witness in self.witnesses:
                placed("checkpoint", lambda: check_cosignature(note, witness))
            return f"{checkpoint.size} leaves" + "".join(f", cosigned by {witness.name}" for witness in self.witnesses)

        good = self.try_to(ROOT, run)
        if good is None:
            return None
        self.found.append((ROOT, good))
        self.promised |= {name for name, seen in rules.seen.items() if seen[-1].size > 0}
        for name in {*self.promised, *filter(LOG_NAME.fullmatch, self.entries)} - {ROOT}:
            self.keys.setdefault(name, key.of(name))
        return rules

    def verify_logs(self, since, receipts):
        used = [note for key in self.keys.values() for note in since if is_of(note, key)]
        need(len(used) == len(since), "is of no log that has a key", "earlier checkpoint")
        need(all(one["log"] in self.keys for one in receipts), "is of no log that has a key", "receipt")
        for name in sorted(self.entries - {"keys", *self.keys}):
            self.found.append((name, Wrong("is no log of a key, nor the file of keys")))
        told = self.entries - set(self.keys) | {ROOT} & set(self.keys)
        for name in sorted((self.promised | self.entries & set(self.keys)) - told):
            good = self.try_to(name, lambda: self.verify_one(name, since, [one for one in receipts if one["log"] == name]))
            if good is not None:
                self.found.append((name, good))

    def verify_one(self, name, since, receipts):
        seen = self.root.seen.get(name, []) if self.root else []
        if name not in self.entries:
            asked = receipts or any(is_of(note, self.keys[name]) for note in since)  # nobody can say any more
            need(self.root and seen and self.root.may_be_gone(name) and not asked, "is missing")
            return f"gone, by the root log {seen[-1].size} leaves"
        log, key = FolderLog(os.path.join(self.folder, name)), self.keys[name]
        checkpoint = verify_log(log, key, [*earlier_of(key, since), *seen], receipts)
        if self.root and not seen and checkpoint.size > 0:
            need(Frame(log.read("frame/0")).time + CLOCKS >= self.root.time, "has records and was never opened in the root log")
        return f"{checkpoint.size} leaves"


def is_of(note, key):
    return note.split(b"\n", 1)[0] == key.name.encode()


def earlier_of(key, since):
    """The earlier checkpoints of the key's log. A key that ended signed them too, in the root log up to its end."""
    return [placed("earlier checkpoint", lambda: earlier(note, key)) for note in since if is_of(note, key)]


def earlier(note, key):
    checkpoint = Checkpoint(note, key, 0)
    return Checkpoint(note, key, checkpoint.size - 1) if key.log == ROOT and checkpoint.size > 0 else checkpoint


def proven(receipt, keys):
    key = next((key for key in keys if key.log == receipt["log"]), None) or next((key.of(receipt["log"]) for key in keys if key.log == ROOT), None)
    try:
        need(key, "is of no log that has a key")
        return f"leaf {receipt['index']} is in it at {check_proof(receipt, key).size} leaves; its frame was not looked at"
    except Wrong as wrong:
        return Wrong(wrong.problem, f"receipt of leaf {receipt['index']}")


def file_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def say(line):
    """Makes a name of the folder safe to print: an attacker may have chosen it, so it ends no line and moves no cursor."""
    print("".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line))


def main(arguments):
    parser = argparse.ArgumentParser(description="Verifies a folder that `phylax ledger export` wrote.")
    parser.add_argument("folder", nargs="?", help="without one, each receipt is checked by its own proof")
    parser.add_argument("--key", action="append", default=[], help="a verifier key, or several of one log with spaces between")
    parser.add_argument("--keys", action="append", default=[], metavar="FILE", help="verifier keys, one a line; or a dev.json")
    parser.add_argument("--since", action="append", default=[], metavar="FILE", help="an earlier checkpoint")
    parser.add_argument("--witness", action="append", default=[], help="a witness's verifier key")
    parser.add_argument("--receipt", action="append", default=[], help="the value of a Phylax-Receipt header")
    asked = parser.parse_args(arguments)
    try:
        files = [read_keys(utf8(file_bytes(path), path)) for path in asked.keys]
        keys = [LogKey.read(text) for text in [*asked.key, *(text for logs, _ in files for text in logs)]]
        witnesses = [Key.read(text, COSIGNATURE) for text in [*asked.witness, *(text for _, own in files for text in own)]]
        need(not asked.witness or not keys or any(key.log == ROOT for key in keys), "cosign the root log, whose key is not here", "witnesses")
        since, receipts = [file_bytes(path) for path in asked.since], [read_receipt(text) for text in asked.receipt]
        if asked.folder is None:
            need(keys and receipts and not since, "a folder, or keys and receipts with a proof are needed, and nothing else")
            found = [(one["log"], proven(one, keys)) for one in receipts]
        else:
            found = Folder(asked.folder, keys, since, receipts, witnesses).found
    except (Wrong, OSError, ValueError, RecursionError) as problem:
        place = f"{problem.place}: " if isinstance(problem, Wrong) and problem.place else ""
        say(f"WRONG {place}{problem}")
        return 1
    for name, result in found:
        if isinstance(result, Wrong):
            say(f"WRONG {name}/{result.place}: {result}" if result.place else f"WRONG {name}: {result}")
        else:
            say(f"good {name}: {result}")
    if not keys:
        print("The keys are the folder's own: this shows only that the folder agrees with itself.")
    return 1 if any(isinstance(result, Wrong) for _, result in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
