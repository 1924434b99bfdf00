import * as fc from "fast-check";
import { test } from "vitest";
import { EntrySplitter, frameBytesMax } from "#fhir/json/entry-splitter";
import { readJson } from "#fhir/json/json";
import { inLane } from "../../support/lane.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (slice: Uint8Array) => new TextDecoder().decode(slice);

/** All that a reader of a page does: the slices and the frame, each read as JSON. */
function split(
  body: Uint8Array,
  cuts: readonly number[] = [],
): { entries: unknown[]; frame: unknown } | string {
  const splitter = new EntrySplitter();
  const entries: unknown[] = [];
  const places = [...cuts.map((cut) => cut % (body.length + 1)), body.length].sort((a, b) => a - b);
  let from = 0;
  for (const to of places) {
    const read = splitter.push(body.slice(from, to));
    if (!read.ok) return read.error.reason;
    for (const slice of read.value) {
      if (slice === "too_large") return "an entry is too large";
      const entry = readJson(slice);
      if (!entry.ok) return entry.error.reason;
      entries.push(JSON.parse(text(slice)));
    }
    from = to;
  }
  const frame = splitter.end();
  if (!frame.ok) return frame.error.reason;
  const read = readJson(frame.value);
  return read.ok ? { entries, frame: JSON.parse(text(frame.value)) } : read.error.reason;
}

const odd = fc.constantFrom('"', "\\", "entry", '"entry":[', "}", "]", "é", "𝄞", "\u2028", "\\u0065");
const value = fc.jsonValue({ maxDepth: 3 });
// Names without an escape: V8 (13.6) sometimes loses a member if two names have escapes, and then the entry
// is refused.
const name = fc
  .oneof(fc.string({ maxLength: 6 }), odd)
  .map((text) => text.replaceAll(/["\\\p{Cc}\p{Cs}]/gu, "_"));
const entry = fc.dictionary(name, fc.oneof(value, odd), { maxKeys: 5 });
const bundle = fc
  .tuple(
    fc.dictionary(
      fc.constantFrom("resourceType", "type", "link", "total", "a é", "entries"),
      fc.oneof(value, odd),
    ),
    fc.array(entry, { maxLength: 6 }),
    fc.nat(),
  )
  .map(([rest, entries, place]) => {
    const members: [string, unknown][] = Object.entries(rest).filter(([name]) => name !== "__proto__");
    members.splice(place % (members.length + 1), 0, ["entry", entries]);
    return Object.fromEntries(members);
  });

test("at any chunk boundaries, the slices are the Bundle's entries and the frame is the rest", ({
  expect,
}) => {
  fc.assert(
    fc.property(
      bundle,
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.constantFrom(undefined, 1, "\t"),
      (whole, cuts, space) => {
        const source = JSON.stringify(whole, undefined, space);
        const expected: { entry: unknown[] } = JSON.parse(source);
        expect(split(bytes(source), cuts)).toEqual({
          entries: expected.entry,
          frame: { ...expected, entry: [] },
        });
      },
    ),
    { numRuns: inLane({ fast: 200, slow: 500, long: 500 }) },
  );
});

test("a Bundle read byte by byte gives the same result, including characters of several bytes", ({
  expect,
}) => {
  const body = bytes(
    '{"resourceType":"Bundle","entry":[{"a":"𝄞é\\"}]"},\n {"b":[{"c":{}}]}],"link":[{"relation":"next"}]}',
  );
  const everywhere = Array.from({ length: body.length }, (_, at) => at);
  expect(split(body, everywhere)).toEqual(split(body));
  expect(split(body)).toMatchObject({
    entries: [{ a: '𝄞é"}]' }, { b: [{ c: {} }] }],
    frame: { entry: [], link: [{ relation: "next" }] },
  });
});

test("the key may be spelled with escapes, and a nested `entry` does not count", ({ expect }) => {
  expect(split(bytes(String.raw`{"\u0065ntry":[{"a":1}]}`))).toMatchObject({ entries: [{ a: 1 }] });
  expect(split(bytes('{"link":[{"entry":[{"a":1}]}],"x":{"entry":[{"b":1}]}}'))).toMatchObject({
    entries: [],
  });
  expect(split(bytes('{"a":"entry","b":[{"c":1}]}'))).toMatchObject({
    entries: [],
    frame: { b: [{ c: 1 }] },
  });
  expect(split(bytes('[{"entry":[{"a":1}]}]'))).toMatchObject({ entries: [] });
});

test.for([
  ['{"entry":[{"a":1}],"entry":[{"b":1}]}', "duplicate_key"],
  [String.raw`{"entry":[{"a":1}],"entr\u0079":[]}`, "duplicate_key"],
  ['{"entry":[{"a":1,"a":2}]}', "duplicate_key"],
  ['{"type":"a","type":"b","entry":[]}', "duplicate_key"],
  ['{"entry":[{"a":1},]}', "not_json"],
  ['{"entry":[,{"a":1}]}', "not_json"],
  ['{"entry":[{"a":1} {"b":1}]}', "not_json"],
  ['{"entry":[{"a":1},,{"b":1}]}', "not_json"],
  ['{"entry":[{"a":1}', "not_json"],
  ['{"entry":[{"a":1}]', "not_json"],
  ['{"entry":[{"a":1]}]}', "not_json"],
  ['{"entry":[{"a":[}]]}', "not_json"],
  ['{"entry":[1]}', "not_json"],
  ['{"entry":["x"]}', "not_json"],
  ['{"entry":[[{"a":1}]]}', "not_json"],
  ['{"entry":[{"a":1}]} x', "not_json"],
  ['{"entry":[{"a":1}]}{"entry":[]}', "not_json"],
  ['{"entry":[{"a":1}}', "not_json"],
  ['{"entry" [{"a":1}]}', "not_json"],
  ['{"entry"::[{"a":1}]}', "not_json"],
  ['{"entry":[{"a":tru}]}', "not_json"],
  ['\ufeff{"entry":[]}', "not_json"],
  ["", "not_json"],
  [`{"entry":[{"a":${"[".repeat(101)}`, "not_json"],
  [`{"entry":[{"a":${"[".repeat(101)}${"]".repeat(101)}}]}`, "too_deep"],
] as const)("%s is refused: %s", ([body, reason], { expect }) => {
  expect(split(bytes(body))).toBe(reason);
});

test("invalid JSON and invalid UTF-8 are refused without an exception, and accepted bodies are read as JSON.parse reads them", ({
  expect,
}) => {
  const letters = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    " ",
    "1",
    "e",
    "n",
    '"entry"',
    '"entry":[',
    '{"a":1}',
    "\u00e9",
  );
  const soup = fc.array(letters, { maxLength: 30 }).map((parts) => bytes(parts.join("")));
  const broken = fc.tuple(bundle, fc.nat(), fc.nat({ max: 255 })).map(([whole, at, byte]) => {
    const body = bytes(JSON.stringify(whole));
    body[at % body.length] = byte;
    return body;
  });
  const cut = fc.tuple(bundle, fc.nat()).map(([whole, at]) => {
    const body = bytes(JSON.stringify(whole));
    return body.slice(0, at % body.length);
  });
  fc.assert(
    fc.property(
      fc.oneof(soup, broken, cut, fc.uint8Array({ maxLength: 60 })),
      fc.array(fc.nat(), { maxLength: 4 }),
      (body, cuts) => {
        const got = split(body, cuts);
        if (typeof got === "string") return;
        const whole: unknown = JSON.parse(
          new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body),
        );
        const entries: unknown = Object(whole).entry;
        const isList =
          typeof whole === "object" && whole !== null && !Array.isArray(whole) && Array.isArray(entries);
        expect(got.entries).toEqual(isList ? entries : []);
      },
    ),
    { numRuns: inLane({ fast: 1_000, slow: 3_000, long: 3_000 }) },
  );
});

const mebibyte = new Uint8Array(1_048_576).fill(0x61);

/** The result for a Bundle whose second entry has a string of this many MiB, followed by `behind`. */
function withLarge(mebibytes: number, behind: string, string = mebibyte): unknown {
  const splitter = new EntrySplitter();
  const parts = [
    bytes('{"entry":[{"a":1}, {"b":"'),
    ...Array.from({ length: mebibytes }, () => string),
    bytes(behind),
  ];
  const entries: unknown[] = [];
  for (const part of parts) {
    const pushed = splitter.push(part);
    if (!pushed.ok) return pushed.error.reason;
    entries.push(...pushed.value.map((slice) => (slice === "too_large" ? slice : text(slice).slice(0, 9))));
  }
  const end = splitter.end();
  return end.ok ? [...entries, text(end.value)] : end.error.reason;
}

test("an entry over 8 MiB is skipped and its neighbours are read; if its end is uncertain, the body is refused", ({
  expect,
}) => {
  const rest = ' , {"c":[{}]}],"total":3}';
  const passed = ['{"a":1}', "too_large", '{"c":[{}]', '{"entry":[],"total":3}'];
  expect(withLarge(7, `"}${rest}`)).toEqual(['{"a":1}', '{"b":"aaa', '{"c":[{}]', '{"entry":[],"total":3}']);
  // The fast lane takes some of the ends: each text has eight megabytes.
  const sampled = (ends: readonly string[]) =>
    ends.filter((_, at) => at % inLane({ fast: 3, slow: 1, long: 1 }) === 0);
  for (const behind of sampled([
    '"}',
    '","x":[[{"y":"}]"}]]}',
    String.raw`\"","z":1e5}`,
    `","deep":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
    '","b":1}',
  ]))
    expect(withLarge(8, behind + rest), behind.slice(0, 20)).toEqual(passed);
  expect(withLarge(20, `"}${rest}`)).toEqual(passed);
  for (const behind of sampled(['","x":[}]}', '","x":tru}', '",}', '","x":01}', '" "x":1}', '","x"}']))
    expect(withLarge(8, behind + rest), behind).toBe("not_json");
  expect(withLarge(8, '"')).toBe("not_json");
  expect(withLarge(8, `"}${rest}`, new Uint8Array(1_048_576).fill(0xff))).toBe("not_utf8");
  expect(withLarge(8, `"}${rest}`, new Uint8Array(1_048_576).fill(0x0a))).toBe("not_json");
});

test("a frame over 256 KiB is refused at once", ({ expect }) => {
  expect(split(bytes(`{"x":"${"a".repeat(frameBytesMax)}","entry":[]}`))).toBe("too_large");
  expect(split(bytes(`{"x":"${"a".repeat(frameBytesMax - 100)}","entry":[]}`))).toMatchObject({
    entries: [],
  });
});
