import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { test } from "vitest";
import { readJson } from "#fhir/json/json";
import { inLane } from "../../support/lane.ts";

const suite = join(import.meta.dirname, "../../../../shared/data/security/JSONTestSuite");
const absent = !existsSync(suite);
const bytes = (text: string) => new TextEncoder().encode(text);
const reason = (text: string) => {
  const read = readJson(bytes(text));
  return read.ok ? "read" : read.error.reason;
};

test.skipIf(absent)(
  "JSONTestSuite: invalid files are refused, and valid files are accepted except for duplicate keys (needs ../shared/data)",
  ({ expect }) => {
    for (const file of readdirSync(suite).filter((name) => name.endsWith(".json"))) {
      const read = readJson(readFileSync(join(suite, file)));
      if (file.startsWith("n_")) expect(read.ok, file).toBe(false);
      if (file.startsWith("y_")) expect(read.ok || read.error.reason === "duplicate_key", file).toBe(true);
      if (file.startsWith("y_object_duplicated")) expect(read.ok, file).toBe(false);
    }
  },
);

test("a number keeps its text, at any size and precision", ({ expect }) => {
  for (const number of [
    "1.10",
    "0.0",
    "-0",
    "1E400",
    "123456789012345678901234567890",
    "1.0e-7",
    "6.02214076E+23",
  ]) {
    const read = readJson(bytes(`{"value":${number}}`));
    expect(read.ok && JSON.stringify(read.value)).toBe(`{"value":${number}}`);
  }
});

test("an object that repeats a key is refused, also when it is nested or spelled with escapes", ({
  expect,
}) => {
  expect(reason('{"a":1,"a":2}')).toBe("duplicate_key");
  expect(reason(String.raw`{"a":1,"\u0061":2}`)).toBe("duplicate_key");
  expect(reason('[{"x":{"b":1,"c":{"d":1,"d":1}}}]')).toBe("duplicate_key");
  expect(reason('{"a":{"b":1},"b":{"b":1},"c":["b","b"],"d":"a"}')).toBe("read");
  expect(reason('{"a":"\\"a\\":1,","b":1}')).toBe("read");
});

test("bad UTF-8, a byte-order mark, a deep tree and a long text are refused", ({ expect }) => {
  expect(readJson(new Uint8Array([0x22, 0xc0, 0xaf, 0x22]))).toMatchObject({
    ok: false,
    error: { reason: "not_utf8" },
  });
  expect(readJson(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]))).toMatchObject({
    ok: false,
    error: { reason: "not_utf8" },
  });
  expect(reason("\uFEFF{}")).toBe("not_json");
  expect(reason("[".repeat(101) + "]".repeat(101))).toBe("too_deep");
  expect(reason("[".repeat(100) + "]".repeat(100))).toBe("read");
  expect(reason(`{"a":`.repeat(2_000_000))).toBe("too_large");
  expect(reason(`{"a":`.repeat(50_000))).toBe("not_json");
  expect(reason(`${`{"a":`.repeat(50_000)}1${"}".repeat(50_000)}`)).toBe("too_deep");
});

test("any value that JSON.stringify writes is read back the same, and no bytes make the reader throw", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      const read = readJson(bytes(text));
      expect(read.ok && JSON.stringify(read.value)).toBe(text);
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (any) => void readJson(any)));
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom("{", "}", "[", "]", '"', ":", ",", "\\", "a", "1", "u", " "),
        maxLength: 40,
      }),
      (text) => {
        const read = readJson(bytes(text));
        let parsed = true;
        try {
          JSON.parse(text);
        } catch {
          parsed = false;
        }
        if (read.ok) expect(parsed).toBe(true);
        else expect(parsed && read.error.reason === "not_json").toBe(false);
      },
    ),
  );
});

/** The reader as it was before it was made fast: each value is read next to its own text. */
function readSlowly(text: string): string {
  const members = [...text.matchAll(/"(?:[^"\\]|\\.)*"|(?<colon>:)/gu)].filter(
    ({ groups }) => groups?.["colon"] !== undefined,
  ).length;
  let found = -1;
  const visit = (_key: string, value: unknown, { source }: { readonly source?: string }) => {
    found += Array.isArray(value) ? 1 - value.length : 1;
    return typeof value === "number" && source !== undefined ? raw.rawJSON(source) : value;
  };
  try {
    const value = raw.parse(text, visit);
    return found === members ? JSON.stringify(value) : "duplicate_key";
  } catch {
    return "not_json";
  }
}
const raw = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

test("numbers keep their text and their place in any order of names, and malformed numbers are refused", ({
  expect,
}) => {
  const number = fc.oneof(
    fc.constantFrom("0", "-0", "1.10", "1E400", "1e-7", "12345678901234567890", "6.02E+23"),
    fc.constantFrom(
      "01",
      "1.",
      ".5",
      "+1",
      "-",
      "--1",
      "1e",
      "1-2",
      "0x1",
      "1n",
      "1_0",
      "Infinity",
      "-Infinity",
      "1 2",
    ),
  );
  const name = fc.constantFrom(
    "a",
    "b",
    "0",
    "10",
    "2",
    "-1",
    "01",
    "1.5",
    "__proto__",
    "length",
    "toJSON_",
    String.raw`\u0061`,
  );
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      number,
      fc.constantFrom("null", "true", '"1.50"', '"a:1,\\"b\\":[2"', "{}", "[]"),
      fc.array(tie("value"), { maxLength: 4 }).map((items) => `[${items.join(" ,")}]`),
      fc
        .array(fc.tuple(name, tie("value")), { maxLength: 4 })
        .map((all) => `{${all.map(([key, one]) => `"${key}" :${one}`).join()}}`),
    ),
  }));
  const seen = new Set<string>();
  fc.assert(
    fc.property(value, (text) => {
      const read = readJson(bytes(text));
      const said = read.ok ? JSON.stringify(read.value) : read.error.reason;
      expect(said, text).toBe(readSlowly(text));
      seen.add(read.ok ? "read" : read.error.reason);
    }),
    { numRuns: inLane({ fast: 2_000, slow: 5_000, long: 5_000 }) },
  );
  expect(seen).toEqual(new Set(["read", "duplicate_key", "not_json"]));
});
