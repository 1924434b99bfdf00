"""Asks scripts/verify-ledger.py many things in one process: a JSON value a line on standard input, an answer a line on standard output.

What comes in is `{"ask": …}` with the members that the functions below take; bytes are base64.
"""

import base64
import contextlib
import importlib.util
import io
import json
import pathlib
import sys

sys.dont_write_bytecode = True
path = pathlib.Path(__file__).parents[2] / "scripts" / "verify-ledger.py"
spec = importlib.util.spec_from_file_location("verify_ledger", path)
verifier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verifier)


class MemoryLog:
    def __init__(self, objects):
        self.objects = objects

    def read(self, path):
        return self.objects[path]

    def paths(self):
        return self.objects


def unpack(objects):
    return {path: base64.b64decode(data) for path, data in objects.items()}


def wrong_with(objects, key):
    """`<object>: <problem>`, or None."""
    try:
        verifier.verify_log(MemoryLog(objects), verifier.LogKey.read(key))
        return None
    except verifier.Wrong as wrong:
        return f"{wrong.place}: {wrong}"


def command(arguments):
    """What the command prints, and its exit code."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = verifier.main(arguments)
    return {"code": code, "out": out.getvalue()}


def log(key, objects):
    return wrong_with(unpack(objects), key)


def flips(key, objects, path, bits):
    """Of these bits of one object, those whose change is not found and named: [bit, what was said instead]."""
    objects, missed = unpack(objects), []
    good = objects[path]
    for bit in bits:
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        found = wrong_with({**objects, path: bytes(flipped)}, key)
        if found is None or not found.startswith(f"{path}: "):
            missed.append([bit, found])
    return missed


def signature(public, message, signature):
    return verifier.ed25519_verifies(*decoded([public, message, signature]))


def receipt(text):
    """Whether it is one."""
    try:
        return verifier.read_receipt(text) is not None
    except verifier.Wrong:
        return False


def decoded(hashes):
    return [base64.b64decode(one or "") for one in hashes]


def inclusion(index, size, leaf, proof, root):
    return verifier.inclusion_root(index, size, base64.b64decode(leaf or ""), decoded(proof)) == base64.b64decode(root or "")


def consistency(first, second, proof, root1, root2):
    """RFC 9162 §2.1.4.2, and what stands before it: equal sizes have equal roots and an empty proof; there is none from size 0."""
    (one, two), path = decoded([root1, root2]), decoded(proof)
    if first == second and first > 0:
        return one == two and path == []
    if not 0 < first < second or path == []:
        return False
    if first & (first - 1) == 0:
        path = [one, *path]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = verifier.node_hash(node, fr), verifier.node_hash(node, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = verifier.node_hash(sr, node)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == one and sr == two


def root(leaves):
    """The root of a tree of these leaves, by the compact range with which the verifier follows a log."""
    tree = verifier.Tree(None)
    return base64.b64encode(verifier.fold(tree.extend([verifier.leaf_hash(one) for one in decoded(leaves)]))).decode()


questions = {one.__name__: one for one in (command, log, flips, signature, receipt, inclusion, consistency, root)}
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(questions[asked.pop("ask")](**asked)), flush=True)
