import { test } from "vitest";
import { concat } from "#ledger/bytes/bytes";
import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import { encodeKeyEpoch, encodeShardOpen, readKeyEpoch } from "#ledger/leaf/clear-body";
import { encodeLeaf, type Leaf, leafKinds, parseLeaf } from "#ledger/leaf/leaf";
import { tilePath } from "#ledger/tlog/tile";
import { verifyLog } from "#ledger/verify";
import { logOf, logOfFrames, readerOf, type SampleLog, sampleLog, sealLeaves } from "./sample-log.ts";

// In each log here every hash, link and signature is right: only a rule about leaves can find the problem.
const verify = (log: SampleLog) => verifyLog(readerOf(log), log.verifier);
const small = await sampleLog([3]);
const [open = none(), epoch = none(), one = none(), two = none()] = small.leaves;

function none(): never {
  throw new Error("no sample");
}

function read(bytes: Uint8Array): Leaf {
  const leaf = parseLeaf(bytes);
  if (!leaf.ok) throw new Error(leaf.error);
  return leaf.value;
}

test("leaves that break a rule are found even when everything around them is right", async ({ expect }) => {
  expect((await verify(logOf([open, epoch, one, two]))).ok).toBe(true);
  const wrong: Record<string, readonly Uint8Array[]> = {
    first_leaf_is_not_shard_open: [epoch, one],
    shard_open_again: [open, open],
    shard_open_of_another_log: [
      encodeLeaf({
        ...read(open),
        body: encodeShardOpen({ origin: "ledger.test/s1-2026h2", halfYear: "2026h2", auditors: ["a", "b"] }),
      }),
    ],
    shard_open_body: [encodeLeaf({ ...read(open), body: read(epoch).body })],
    key_epoch_not_introduced: [open, one],
    key_epoch_not_increasing: [open, epoch, one, epoch],
    key_epoch_without_a_record: [open, epoch],
    key_epoch_body: [open, encodeLeaf({ ...read(epoch), body: read(open).body })],
    counter_not_increasing: [open, epoch, two, one],
    sealed_body_length: [open, epoch, encodeLeaf({ ...read(one), body: read(one).body.subarray(1) })],
    clear_leaf_header: [open, encodeLeaf({ ...read(epoch), counter: 1 })],
    leaf_after_seal: [open, epoch, one, ...sealLeaves(3, 1).slice(0, 3), two],
    shard_seal_body: [open, epoch, one, ...sealLeaves(2, 1).slice(0, 3)],
    shard_seal_does_not_end_a_bundle: [open, epoch, one, ...sealLeaves(3, 1).slice(1)],
    // ctr 2^53 + 1
    number_too_large: [open, epoch, Uint8Array.from(one, (byte, i) => (i === 7 ? 0x20 : byte))],
    leaf_kind: [open, epoch, Uint8Array.from(one, (byte, i) => (i === 1 ? 4 : byte))],
    leaf_version: [open, epoch, Uint8Array.from(one, (byte, i) => (i === 0 ? 2 : byte))],
    leaf_length: [open, epoch, concat([one, Uint8Array.of(0)])],
    leaf_cut_short: [open, epoch, one.subarray(0, 49)],
  };
  for (const [problem, leaves] of Object.entries(wrong)) {
    expect(await verify(logOf(leaves)), problem).toMatchObject({ ok: false, error: { problem } });
  }
  expect(read(one).kind).toBe(leafKinds.sealed);
});

test("a clear body has a single spelling, with unsigned keys, numbers within 2^53, no floats; it may have keys of a later version", async ({
  expect,
}) => {
  const { body } = read(open); // a map of four pairs, the first 1 → 1
  const hex = Buffer.from(body).toString("hex");
  const logWith = (changed: Uint8Array | string): SampleLog => {
    const bytes = typeof changed === "string" ? new Uint8Array(Buffer.from(changed, "hex")) : changed;
    return logOf([encodeLeaf({ ...read(open), body: bytes }), epoch, one]);
  };
  const added = (pair: string): string => `a5${hex.slice(2)}${pair}`;
  for (const pair of [
    "0901",
    "09f5",
    "09f6",
    "0920",
    "09a1613d01",
    "09a10781f4",
    "091b001fffffffffffff",
    "1903e84101",
  ]) {
    expect(await verify(logWith(added(pair))), pair).toMatchObject({ ok: true });
  }
  const wrong: Record<string, readonly string[]> = {
    cbor_malformed: [
      "bf" + hex.slice(2) + "ff",
      "a4011801" + hex.slice(6),
      "a50101" + hex.slice(2),
      hex + "00",
      added("09c101"),
      added("09f7"),
    ],
    cbor_not_deterministic: ["a50901" + hex.slice(2), added("09f93c00"), "a401f93c00" + hex.slice(6)],
    cbor_value_not_allowed: [
      added("09f93e00"),
      added("616101"),
      added("2001"),
      added("09a20101616101"),
      "01",
    ],
    number_too_large: [added("091b0020000000000000"), added("1b002000000000000001")],
  };
  for (const [problem, bodies] of Object.entries(wrong)) {
    for (const changed of bodies)
      expect(await verify(logWith(changed)), changed).toMatchObject({ ok: false, error: { problem } });
  }
  const notUtf8 = Uint8Array.from(body);
  notUtf8[body.length - 1] = 0xff; // the last byte of the last auditor's key id
  expect(await verify(logWith(notUtf8))).toMatchObject({ ok: false, error: { problem: "cbor_malformed" } });
});

test("a shard-open that names fewer than two auditors, or an auditor twice, is found", async ({ expect }) => {
  for (const auditors of [[], ["a"], ["a", "a"], ["a", "b", "a"], ["a", 1]]) {
    const body = toCbor(new Map<number, unknown>([...(fromCborMap(read(open).body) ?? []), [4, auditors]]));
    const log = logOf([encodeLeaf({ ...read(open), body }), epoch, one]);
    expect(await verify(log), String(auditors)).toMatchObject({
      ok: false,
      error: { problem: "shard_open_body" },
    });
  }
});

test("a wrapped key that is not exactly the documented JWE, for this log and epoch, is found", async ({
  expect,
}) => {
  const key = readKeyEpoch(read(epoch).body) ?? none();
  const logWith = (wrapped: string): SampleLog =>
    logOf([
      open,
      encodeLeaf({ ...read(epoch), body: encodeKeyEpoch({ commitment: key.commitment, wrapped }) }),
      one,
    ]);
  const b64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");
  type Members = Record<string, unknown>;
  type Jwe = Members & { recipients: { header: Members & { epk: Members }; encrypted_key: unknown }[] };
  const jwe = (change: (jwe: Jwe, recipient: Jwe["recipients"][number]) => void): string => {
    const changed: Jwe = JSON.parse(key.wrapped);
    change(changed, changed.recipients[0] ?? none());
    return JSON.stringify(changed);
  };
  const otherEpk = (epk: object) => jwe((_, { header }) => Object.assign(header, { epk }));
  expect(await verify(logWith(jwe(() => undefined)))).toMatchObject({ ok: true });
  expect(await verify(logWith(JSON.stringify(JSON.parse(key.wrapped), undefined, 1)))).toMatchObject({
    ok: true,
  });
  expect(
    await verify(logWith(otherEpk({ crv: "X25519", kty: "OKP", x: b64(new Uint8Array(32)) }))),
  ).toMatchObject({ ok: true });

  const wrong: readonly string[] = [
    "",
    "null",
    "[]",
    "[".repeat(30_000) + "]".repeat(30_000),
    jwe((all) => Object.assign(all, { protected: b64('{"enc":"A128GCM"}') })),
    jwe((all) => Object.assign(all, { protected: b64('{"alg":"ECDH-ES+A256KW","enc":"A256GCM"}') })),
    ...["protected", "aad", "iv", "ciphertext", "tag", "recipients"].map((name) =>
      jwe((all) => delete all[name]),
    ),
    jwe((all) => Object.assign(all, { zip: 1 })),
    jwe((all) => Object.assign(all, { unprotected: {} })),
    jwe((all) => Object.assign(all, { iv: b64(new Uint8Array(11)) })),
    jwe((all) => Object.assign(all, { tag: b64(new Uint8Array(15)) })),
    jwe((all) => Object.assign(all, { ciphertext: "" })),
    jwe((all) => Object.assign(all, { ciphertext: "!" })),
    jwe((all) => Object.assign(all, { iv: `${String(all["iv"])}==` })),
    jwe((all) => all.recipients.pop()),
    jwe((all) => all.recipients.push(all.recipients[0] ?? none())),
    jwe((_, one) => Object.assign(one, { encrypted_key: b64(new Uint8Array(32)) })),
    jwe((_, one) => Object.assign(one, { encrypted_key: undefined })),
    jwe((_, one) => Object.assign(one, { more: 1 })),
    jwe((_, { header }) => Object.assign(header, { alg: "ECDH-ES" })),
    jwe((_, { header }) => Object.assign(header, { kid: "b" })), // the second recipient's
    jwe((_, { header }) => Object.assign(header, { kid: 7 })),
    jwe((_, { header }) => delete header["kid"]),
    jwe((_, { header }) => Object.assign(header, { apu: "YQ" })),
    jwe((_, { header }) => Object.assign(header, { epk: undefined })),
    jwe((_, { header }) => delete header.epk["kty"]),
    jwe((_, { header }) => delete header.epk["y"]),
    jwe((_, { header }) => Object.assign(header.epk, { crv: "P-384" })),
    jwe((_, { header }) => Object.assign(header.epk, { d: "AA" })),
    otherEpk({ kty: "OKP", crv: "Ed25519", x: b64(new Uint8Array(32)) }),
    otherEpk({ kty: "constructor", crv: "", x: "" }),
    key.wrapped.replace('"iv":', '"tag":"AA","iv":'), // a repeated member, which JSON.parse does not notice
    key.wrapped.replace('"kid":', '"k\\u0069d":"c", "kid" :'),
  ];
  for (const wrapped of wrong) {
    expect(await verify(logWith(wrapped)), wrapped.slice(0, 900)).toMatchObject({
      ok: false,
      error: { problem: "key_epoch_body" },
    });
  }
  for (const aad of [
    "phylax key epoch v1\nledger.test/s0-2026h2\n2\n",
    "phylax key epoch v1\nledger.test/s1-2026h2\n1\n",
    "",
  ]) {
    expect(await verify(logWith(jwe((all) => Object.assign(all, { aad: b64(aad) })))), aad).toMatchObject({
      ok: false,
      error: { problem: "key_epoch_wrapped_for_another_leaf" },
    });
  }
});

test("a key-epoch without its record in the same frame, and a seal over two frames, are found", async ({
  expect,
}) => {
  const start = [open, epoch, one];
  const seals = sealLeaves(3, 1);
  for (const good of [
    [start],
    [start, [two]],
    [start, seals],
    [[...start, ...seals]],
    [[open]],
    [[open], [epoch, one]],
  ]) {
    expect(await verify(logOfFrames(good)), String(good.map((leaves) => leaves.length))).toMatchObject({
      ok: true,
    });
  }
  const wrong: readonly [string, string, readonly (readonly Uint8Array[])[]][] = [
    ["frame/0", "key_epoch_without_a_record", [[open, epoch], [one]]],
    ["frame/1", "key_epoch_without_a_record", [[open], [epoch], [one]]],
    ["frame/1", "shard_seal_does_not_end_a_bundle", [start, seals.slice(0, 5)]],
    ["frame/1", "shard_seal_does_not_end_a_bundle", [start, seals.slice(0, 5), seals.slice(5)]],
    ["frame/2", "shard_seal_does_not_end_a_bundle", [start, many(253), sealLeaves(256, 1).slice(0, 1)]],
    [`tile/entries/${tilePath(1, 1)}`, "leaf_after_seal", [start, seals, sealLeaves(3, 1).slice(0, 1)]],
    [`tile/entries/${tilePath(0, 256)}`, "key_epoch_without_a_record", [[open, epoch, ...sealLeaves(2, 1)]]],
  ];
  for (const [object, problem, frames] of wrong) {
    expect(await verify(logOfFrames(frames)), `${object} ${problem}`).toMatchObject({
      ok: false,
      error: { object, problem },
    });
  }
});

/** Leaves of epoch 1 after the first record; no test opens them. */
const many = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => encodeLeaf({ ...read(one), counter: 100 + i }));

test("a record outside the half-year of its log, and 130 s around it, is found; shard-open alone may be of any time", async ({
  expect,
}) => {
  const at = (text: string, leaves = [open, epoch, one]) => verify(logOfFrames([leaves], Date.parse(text)));
  for (const good of [
    "2026-06-30T23:57:50Z",
    "2026-07-01T00:00:00Z",
    "2026-12-31T23:59:59Z",
    "2027-01-01T00:02:19.999Z",
  ]) {
    expect(await at(good), good).toMatchObject({ ok: true });
  }
  for (const bad of [
    "1970-01-01T00:00:00Z",
    "2026-06-30T23:57:49.999Z",
    "2027-01-01T00:02:20Z",
    "2025-10-01T00:00:00Z",
    "+275760-09-12T00:00:00Z",
  ]) {
    expect(await at(bad), bad).toMatchObject({
      ok: false,
      error: { object: "frame/0", problem: "record_outside_the_half_year" },
    });
    expect(await at(bad, [open]), bad).toMatchObject({ ok: true });
  }
});
