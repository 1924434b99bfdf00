import * as fc from "fast-check";
import { test } from "vitest";
import { readEvent } from "#audit/check";
import { chunkBytesMax } from "#audit/values";
import {
  define,
  definitionBytesMax,
  definitionRecords,
  digestOf,
  readContent,
  type Definition,
} from "#audit/definition";
import { DefinitionIndex } from "#audit/definition-index";
import type { AuditEvent } from "#audit/event";
import { type AuditRecord, decodeRecord, encodeRecord } from "#audit/record";
import { instant } from "#kernel/clock";
import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import { PLAINTEXT_BYTES_MAX } from "#ledger/leaf/padding";

const at = instant(1_790_000_000_000);
const seed = new Uint8Array(32).fill(7);
const pathsOf = (value: readonly string[]) => define({ type: "withheld-paths", value });
const naming = (pathsDigest: string): AuditEvent => ({
  id: "a".repeat(32),
  at,
  kind: "disclosure",
  patients: [],
  unnamed: [],
  counts: {},
  withheld: { pathsDigest, resources: 2 },
});
/** The records as a reader decodes them. */
function recordsOf(definition: Definition): AuditRecord[] {
  const events = definitionRecords(definition, at);
  return events.map((event, i) => {
    const record = decodeRecord(encodeRecord(event, i + 1, events.length, seed));
    if (!record.ok) throw new Error(record.error);
    return record.value;
  });
}
// 1,000 paths of 400 characters: several chunks.
const long = Array.from({ length: 1_000 }, (_, n) => `${n}`.padEnd(400, "x"));

test("a definition of any length is cut into records of which each fits the largest class, and reads back in their order", ({
  expect,
}) => {
  for (const [paths, chunks] of [
    [["name"], 1],
    [long.slice(0, 150), 1],
    [long.slice(0, 160), 2],
    [long, 7],
  ] as const) {
    const definition = pathsOf(paths);
    const records = recordsOf(definition);
    expect(records.map(({ part, parts }) => [part, parts])).toEqual(
      Array.from({ length: chunks }, (_, i) => [i + 1, chunks]),
    );
    for (const [i, event] of definitionRecords(definition, at).entries())
      expect(encodeRecord(event, i + 1, chunks, seed).length).toBeLessThanOrEqual(PLAINTEXT_BYTES_MAX);
    const index = new DefinitionIndex();
    expect(records.map((record) => index.add(record).ok)).toEqual(records.map(() => true));
    const resolved = index.resolve(naming(definition.digest));
    expect(resolved.ok && resolved.value.withheld).toEqual({ paths, resources: 2 });
  }
});

test("an event that names no definition stays as it is, and an unknown digest is an error", ({ expect }) => {
  const index = new DefinitionIndex();
  const old = { ...naming(""), withheld: { paths: ["name"], resources: 1 } };
  expect(index.resolve(old)).toEqual({ ok: true, value: old });
  expect(index.resolve(naming("0".repeat(64)))).toEqual({ ok: false, error: "definition_missing" });
});

test("a missing, repeated or changed chunk, or a wrong digest, defines nothing", ({ expect }) => {
  const definition = pathsOf(long);
  const [first, second, ...rest] = recordsOf(definition);
  if (first === undefined || second === undefined) return expect.fail("two chunks");
  const chunk = second.event.definition?.chunk.with(9, 0) ?? new Uint8Array();
  const changed = {
    ...second,
    event: { ...second.event, definition: { contentDigest: definition.digest, chunk } },
  };
  for (const records of [
    [second, ...rest],
    [first, ...rest],
    [first, second, second, ...rest],
    [first, changed, ...rest],
  ]) {
    const index = new DefinitionIndex();
    const results = records.map((record) => index.add(record));
    expect(results.some(({ ok }) => !ok)).toBe(true);
    expect(index.resolve(naming(definition.digest)).ok).toBe(false);
  }
});

test("content of a later version's type is no error and defines nothing for this version", ({ expect }) => {
  const content = toCbor(["policy-of-later", { text: "x" }]);
  const index = new DefinitionIndex();
  for (const record of recordsOf({ digest: digestOf(content), content }))
    expect(index.add(record)).toEqual({ ok: true, value: undefined });
  expect(index.resolve(naming(digestOf(content))).ok).toBe(false);
});

test("the content of a definition has one encoding, a known type and a value of that type", ({ expect }) => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 20 }), { maxLength: 20 }), (paths) => {
      const definition = pathsOf(paths);
      const read = readContent(definition.content);
      return read.ok && read.value.digest === definition.digest;
    }),
  );
  const { content } = pathsOf(["name"]);
  for (const bad of [
    undefined,
    "text",
    new Uint8Array(),
    new Uint8Array(definitionBytesMax + 1),
    content.subarray(1),
    new Uint8Array([...content, 0]),
    toCbor(["withheld-paths"]),
    toCbor(["withheld-paths", ["name"], 1]),
    toCbor(["withheld-paths", "name"]),
    toCbor(["withheld-paths", [1]]),
    toCbor(["withheld-paths", Array.from({ length: 1_001 }, () => "x")]),
    toCbor(["__proto__", ["name"]]),
    toCbor([1, ["name"]]),
    new Uint8Array([0x82, 0x78, 0x0e, ...content.subarray(2)]), // a longer head than needed
  ])
    expect(readContent(bad)).toEqual({ ok: false, error: "bad_content" });
  expect(() => pathsOf(Array.from({ length: 1_000 }, () => "x".repeat(1_000)))).toThrow(RangeError);
});

test("a record has a digest as 32 bytes, and is invalid with another form, with paths beside it, or with an incomplete or foreign definition", ({
  expect,
}) => {
  const { digest, content } = pathsOf(["name"]);
  const map = new Map(fromCborMap(encodeRecord(naming(digest), 1, 1, seed)));
  const bytes = new Uint8Array(Buffer.from(digest, "hex"));
  expect(map.get(17)).toEqual(
    new Map<number, unknown>([
      [2, 2],
      [3, bytes],
    ]),
  );
  const withKey = (key: number, value: unknown) => decodeRecord(toCbor(new Map([...map, [key, value]]))).ok;
  expect(withKey(17, new Map([[3, bytes]]))).toBe(true);
  for (const wrong of [digest, bytes.subarray(1), new Uint8Array(33), 1])
    expect(withKey(17, new Map([[3, wrong]]))).toBe(false);
  const both = new Map<number, unknown>([
    [1, ["name"]],
    [3, bytes],
  ]);
  expect(withKey(17, both)).toBe(false);
  const definition = new Map<number, unknown>([
    [1, bytes],
    [2, content],
  ]);
  expect(withKey(25, definition), "in a disclosure").toBe(false);
  map.set(4, "definition");
  map.delete(17);
  expect(withKey(25, definition)).toBe(true);
  for (const wrong of [
    new Map([[1, bytes]]),
    new Map([[2, content]]),
    new Map([...definition, [2, new Uint8Array()]]),
    new Map([...definition, [2, new Uint8Array(chunkBytesMax + 1)]]),
    new Map([...definition, [2, "text"]]),
  ])
    expect(withKey(25, wrong)).toBe(false);
  expect(decodeRecord(toCbor(map)).ok, "a definition without content").toBe(false);
  expect(readEvent({ ...naming(digest), withheld: { pathsDigest: digest.toUpperCase() } }).ok).toBe(false);
});

test("a record with the digest of a list is shorter than a record with the list, by all of it but 34 bytes", ({
  expect,
}) => {
  const paths = long.slice(0, 30);
  const { withheld: _, ...event } = naming("");
  const length = (withheld: AuditEvent["withheld"]) =>
    encodeRecord({ ...event, withheld }, 1, 1, seed).length;
  expect(length({ paths }) - length({ pathsDigest: pathsOf(paths).digest })).toBe(toCbor(paths).length - 34);
});
