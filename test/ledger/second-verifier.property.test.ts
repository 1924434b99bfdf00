import * as fc from "fast-check";
import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { concat, fromUtf8 } from "#ledger/bytes/bytes";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { encodeLeaf, type LeafKind, parseLeaf } from "#ledger/leaf/leaf";
import { parseReceipt } from "#ledger/read-receipt";
import { verifierKey } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import {
  logOf,
  logOfFrames,
  readerOf,
  type SampleLog,
  sampleLog,
  sealLeaves,
  signed,
  withObject,
} from "./sample-log.ts";
import { askAll, packed, pythonIsMissing } from "./second-verifier.ts";
import { inLane } from "../support/lane.ts";

// Logs that are wrong in one or two places, or only unusual, with every hash and signature made again by an
// owner of the key. The two verifiers must agree on the format itself, not only on the hashes.

interface Case {
  readonly what: string;
  readonly log: SampleLog;
}
type Frames = readonly (readonly Uint8Array[])[];

// open, key epoch, two records | a record | a record | key epoch, a record
const sample = await sampleLog([2, 1, 1, 1]);
const frames: Frames = [
  sample.leaves.slice(0, 4),
  sample.leaves.slice(4, 5),
  sample.leaves.slice(5, 6),
  sample.leaves.slice(6),
];
const sealed: Frames = [...frames.slice(0, 2), sealLeaves(5, 1)];
const replaced = <T>(all: readonly T[], at: number, ...by: readonly T[]): T[] => [
  ...all.slice(0, at),
  ...by,
  ...all.slice(at + 1),
];
const inFrames = (all: Frames, at: number, change: (leaf: Uint8Array) => readonly Uint8Array[]): Frames => {
  let index = 0;
  return all
    .map((leaves) => leaves.flatMap((leaf) => (index++ === at ? change(leaf) : [leaf])))
    .filter((leaves) => leaves.length > 0);
};

const octet = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 2, 3, 127, 128, 255));
const leafAt = fc.integer({ min: 0, max: sample.leaves.length - 1 });

const header = fc
  .tuple(leafAt, fc.oneof(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 46, max: 49 })), octet)
  .map(([at, offset, value]) => ({
    what: `byte ${offset} of leaf ${at} is ${value}`,
    log: logOfFrames(
      inFrames(frames, at, (leaf) => [Uint8Array.from(leaf, (byte, i) => (i === offset ? value : byte))]),
    ),
  }));

const order = fc
  .tuple(leafAt, leafAt, fc.constantFrom("dropped", "repeated", "moved"))
  .map(([from, to, how]) => {
    const [taken] = sample.leaves.slice(from, from + 1);
    const leaf = taken ?? new Uint8Array();
    const without = inFrames(frames, from, () => []);
    const log = {
      dropped: without,
      repeated: inFrames(frames, from, () => [leaf, leaf]),
      moved: inFrames(without, to, (one) => [leaf, one]),
    }[how];
    return { what: `leaf ${from} ${how} ${to}`, log: logOfFrames(log) };
  });

const cuts = fc.subarray([1, 2, 3, 4, 5, 6, 7]).map((at) => ({
  what: `frames begin at ${at.join(", ")}`,
  log: logOfFrames([0, ...at].map((first, i) => sample.leaves.slice(first, at[i] ?? sample.leaves.length))),
}));

const seals = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.constantFrom("gone", "a record", "epoch", "size", "cut"))
  .map(([at, how]) => {
    const all = sealLeaves(5, 1);
    const record = sample.leaves[3] ?? new Uint8Array();
    const [other] = how === "epoch" ? sealLeaves(5, 2) : sealLeaves(4, 1);
    const leaves =
      how === "gone" ? replaced(all, at) : replaced(all, at, how === "a record" ? record : (other ?? record));
    const tail =
      how === "cut" ? [all.slice(0, at), all.slice(at)].filter((part) => part.length > 0) : [leaves];
    return { what: `seal: leaf ${at} ${how}`, log: logOfFrames([...sealed.slice(0, 2), ...tail]) };
  });

/** The leaf with a different body and that body's length. */
function withBody(leaf: Uint8Array, change: (body: Uint8Array) => Uint8Array): Uint8Array {
  const parsed = parseLeaf(leaf);
  if (!parsed.ok) throw new Error(parsed.error);
  return encodeLeaf({ ...parsed.value, body: change(parsed.value.body) });
}
const splice = (bytes: Uint8Array, at: number, gone: number, by: Uint8Array): Uint8Array =>
  concat([bytes.subarray(0, at), by, bytes.subarray(at + gone)]);

const cborAt = fc.constantFrom<readonly [number, LeafKind]>([0, 2], [1, 1]);
const body = fc
  .tuple(cborAt, fc.nat(300), fc.integer({ min: 0, max: 2 }), fc.uint8Array({ maxLength: 2 }))
  .map(([[at], offset, gone, by]) => ({
    what: `body of leaf ${at} at ${offset}: ${gone} bytes become ${Buffer.from(by).toString("hex")}`,
    log: logOfFrames(
      inFrames(frames, at, (leaf) => [
        withBody(leaf, (bytes) => splice(bytes, offset % bytes.length, gone, by)),
      ]),
    ),
  }));

/** A further member at the end of the body's map: a key that this version does not know, with this CBOR. */
const later = fc
  .tuple(
    cborAt,
    fc.constantFrom("05", "17", "1818", "18ff", "190100", "1801", "04", "20", "40", "6161", "f5"),
    fc.oneof(
      fc.constantFrom(
        "00",
        "20",
        "f4",
        "f6",
        "f7",
        "f97c00",
        "fb3ff0000000000000",
        "c000",
        "80",
        "a0",
        "5fff",
        "9fff",
        "1b001fffffffffffff",
      ),
      fc.constantFrom(
        "1b0020000000000000",
        "3b001ffffffffffffe",
        "3b001fffffffffffff",
        "1817",
        "1818",
        "62c328",
        "63efbbbf",
        "60",
        "4101",
      ),
      fc.constantFrom(
        "a10000",
        "a1616100",
        "a2000061610a",
        "a201000000",
        "a200000100",
        "a200000000",
        "a26161006162f6",
        "a2616200616100",
        "a12000",
      ),
      fc.constantFrom(
        "a2186400190064f6",
        "a261620062616100",
        "a26261610061620a",
        "a1f400",
        "a14000",
        "a1800a",
        "c249010000000000000000",
        "18",
        "e0",
      ),
      fc.integer({ min: 12, max: 18 }).map((deep) => "81".repeat(deep) + "00"),
      fc.integer({ min: 12, max: 18 }).map((deep) => "81".repeat(deep) + "80"),
      fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString("hex")),
    ),
  )
  .map(([[at], key, value]) => ({
    what: `leaf ${at} has a further key ${key}: ${value}`,
    log: logOfFrames(
      inFrames(frames, at, (leaf) => [
        withBody(leaf, (bytes) =>
          concat([Uint8Array.of((bytes[0] ?? 0) + 1), bytes.subarray(1), Buffer.from(key + value, "hex")]),
        ),
      ]),
    ),
  }));

/** The key epoch's JWE as different text. Its length in CBOR has two bytes before and after. */
const jwe = fc
  .tuple(
    fc.nat(2000),
    fc.integer({ min: 0, max: 2 }),
    fc.oneof(
      fc.constantFrom(
        "",
        " ",
        "\n",
        "\t",
        "\u00a0",
        "\ufeff",
        "\u000b",
        ",",
        '"',
        "\\u0061",
        "=",
        "A",
        "_",
        "+",
        "é",
        "\u0000",
        "{",
        "[]",
        "null",
        "1",
      ),
      fc.constantFrom(
        '"kid":"x",',
        '"apu":"",',
        '"iv":"AAAAAAAAAAAAAAAA",',
        '"recipients":[],',
        '"__proto__":{},',
        '"y":"",',
        '"d":"",',
        "{},",
      ),
    ),
  )
  .map(([offset, gone, by]) => ({
    what: `JWE at ${offset}: ${gone} become ${JSON.stringify(by)}`,
    log: logOfFrames(
      inFrames(frames, 1, (leaf) => [
        withBody(leaf, (bytes) => {
          const at = Buffer.from(bytes).indexOf('{"');
          const text = fromUtf8(bytes.subarray(at)) ?? "";
          // Half of the insertions are where a member begins, so that the inserted text can be complete.
          const starts = [...text.matchAll(/(?<=[{,[])/g)].map(({ index }) => index);
          const where = offset % 2 === 0 ? (starts[offset % starts.length] ?? 0) : offset % text.length;
          const changed = utf8(text.slice(0, where) + by + text.slice(where + (offset % 2 === 0 ? 0 : gone)));
          return concat([
            bytes.subarray(0, at - 2),
            Uint8Array.of(changed.length >> 8, changed.length & 255),
            changed,
          ]);
        }),
      ]),
    ),
  }));

const frame = fc.tuple(fc.nat(140), octet).map(([offset, value]) => ({
  what: `byte ${offset} of the frame is ${value}`,
  log: logOf(frames[0] ?? [], (bytes) => Uint8Array.from(bytes, (byte, i) => (i === offset ? value : byte))),
}));

const edges = [Date.UTC(2026, 6, 1), Date.UTC(2027, 0, 1)];
const times = fc.tuple(fc.constantFrom(...edges), fc.integer({ min: -16, max: 16 })).map(([edge, tens]) => ({
  what: `${tens * 10} s from the half-year's edge`,
  log: logOfFrames(frames, edge + tens * 10_000),
}));

const line = fc.constantFrom(
  "",
  "frame",
  "frame ",
  "frames 1",
  "frame 3 AAAA",
  "later",
  " ",
  "é",
  "\u0085",
  "\u007f",
  "\u001f",
  "—",
  "\ufeff",
  "x\ty",
);
const mark = fc.constantFrom(" ", "0", "+", "-", "=", "\n", "\r", "1", ".", "\ufeff", "\u0000", "A");
const note = fc.oneof(
  fc.tuple(fc.array(line, { maxLength: 2 }), fc.boolean()).map(([lines, atEnd]) => ({
    what: `checkpoint with lines ${JSON.stringify(lines)} ${atEnd ? "at the end" : "before the frame's"}`,
    log: resigned((text) =>
      atEnd
        ? text + lines.map((one) => `${one}\n`).join("")
        : text.replace("frame", `${lines.map((one) => `${one}\n`).join("")}frame`),
    ),
  })),
  fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 1 }), mark).map(([offset, gone, by]) => ({
    what: `checkpoint at ${offset}: ${gone} become ${JSON.stringify(by)}`,
    log: resigned(
      (text) => text.slice(0, offset % text.length) + by + text.slice((offset % text.length) + gone),
    ),
  })),
);
function resigned(change: (text: string) => string): SampleLog {
  const log = logOfFrames(frames);
  return withObject(log, "checkpoint", signed(change(checkpointText(checkpointOf(log.head)))));
}

const name = fc.constantFrom(
  "witness.test/w",
  "a b",
  "a+b",
  "",
  "é",
  "a\u0085b",
  "a\u00a0b",
  "a\ufeffb",
  "a\u007fb",
  "a\u2028b",
  "ledger.test/s0-2026h2",
  "a\u180eb",
);
/**
 * Mostly the first value, which by itself is right: otherwise two oddities together would hide each other.
 */
const mostly = (right: string, ...odd: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const encoded = mostly(
  "AAAAAAA=",
  "AAAAAA==",
  "AAAAAAAA",
  "AAAAAAAB=",
  "AAAAAAB=",
  "AAAAAB==",
  "",
  "AAAA",
  "AAAAAAAAAA",
  "-_AAAAAA",
  "AAAAAAAA AAAA",
);
const dash = mostly("—", "-", "— ", " —");
const ending = mostly("", "\n", " ", "x");
const signatures = fc
  .tuple(fc.array(fc.tuple(name, encoded, dash), { maxLength: 2 }), fc.boolean(), ending)
  .map(([lines, before, end]) => {
    const log = logOfFrames(frames);
    const [text = "", own = ""] = (fromUtf8(log.objects.get("checkpoint") ?? new Uint8Array()) ?? "").split(
      "\n\n",
    );
    const more = lines.map((one) => `${one[2]} ${one[0]} ${one[1]}\n`).join("");
    const whole = `${text}\n\n${before ? more : ""}${own}${before ? "" : more}${end}`;
    return {
      what: `note that ends in ${JSON.stringify(whole.slice(text.length))}`,
      log: withObject(log, "checkpoint", utf8(whole)),
    };
  });

const anyCase: fc.Arbitrary<Case> = fc.oneof(
  header,
  order,
  cuts,
  body,
  later,
  jwe,
  frame,
  times,
  note,
  signatures,
  seals,
);

test.skipIf(pythonIsMissing)(
  "both verifiers accept the same logs among wrong and unusual logs, all signed by the key (skipped without python3)",
  async ({ expect }) => {
    const cases = fc.sample(anyCase, { numRuns: inLane({ fast: 150, slow: 500, long: 500 }), seed: 962 });
    const ours = await Promise.all(cases.map(async ({ log }) => verifyLog(readerOf(log), log.verifier)));
    const theirs = await askAll<string | null>(
      cases.map(({ log }) => ({
        ask: "log",
        key: verifierKey(log.verifier.name, log.verifier.publicKey),
        objects: packed(log.objects),
      })),
    );
    const verdicts = cases.map(({ what }, i) => ({ what, ours: ours[i], theirs: theirs[i] }));
    expect(
      verdicts
        .filter((one) => one.ours?.ok !== (one.theirs === null))
        .map((one) => `${one.what}: ${JSON.stringify(one.ours)} / ${one.theirs}`),
    ).toEqual([]);
    const good = verdicts.filter(({ theirs: wrong }) => wrong === null).length;
    // enough cases of each kind to distinguish them
    expect(Math.min(good, cases.length - good)).toBeGreaterThan(cases.length / 10);
  },
);

const hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const member = fc.constantFrom(
  "later",
  "later=1",
  "later=1.5;a;b=?1",
  'later=("x" y);q',
  "a;b=:AA==:",
  "leaf=:AA==:",
  "log",
  "proof=:AAAA:",
  "proof=:AAB=:",
  "proof=x",
  "proof",
);
const receipt = fc
  .tuple(
    fc.array(member, { maxLength: 3 }),
    fc.nat(400),
    fc.integer({ min: 0, max: 1 }),
    fc.constantFrom("", "", "", " ", "\t", ",", ":", ";", "0", "=", '"', "A", "(", "é", "\n", ", "),
  )
  .map(([members, offset, gone, by]) => {
    const text = [`log="s0-2026h2", index=42, leaf=:${hash}:, frame=:${hash}:`, ...members].join(", ");
    return by === "" && gone === 0
      ? text
      : text.slice(0, offset % text.length) + by + text.slice((offset % text.length) + gone);
  });

test.skipIf(pythonIsMissing)(
  "both verifiers accept the same receipts among right, unusual and changed receipts (skipped without python3)",
  async ({ expect }) => {
    const texts = fc.sample(receipt, { numRuns: 2000, seed: 962 });
    const ours = texts.map((text) => parseReceipt(text).ok);
    const theirs = await askAll<boolean>(texts.map((text) => ({ ask: "receipt", text })));
    expect(texts.filter((_, i) => ours[i] !== theirs[i])).toEqual([]);
    const good = ours.filter(Boolean).length;
    expect(Math.min(good, texts.length - good)).toBeGreaterThan(texts.length / 10);
  },
);
