import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { test } from "vitest";
import { readJson } from "#fhir/json";

const suite = join(import.meta.dirname, "../../../shared/data/security/JSONTestSuite");
const absent = !existsSync(suite);
const bytes = (text: string) => new TextEncoder().encode(text);
const reason = (text: string) => {
  const read = readJson(bytes(text));
  return read.ok ? "read" : read.error.reason;
};

test.skipIf(absent)(
  "JSONTestSuite: what must be refused is refused, what must be accepted is accepted but for duplicate keys (needs ../shared/data)",
  ({ expect }) => {
    for (const file of readdirSync(suite).filter((name) => name.endsWith(".json"))) {
      const read = readJson(readFileSync(join(suite, file)));
      if (file.startsWith("n_")) expect(read.ok, file).toBe(false);
      if (file.startsWith("y_")) expect(read.ok || read.error.reason === "duplicate_key", file).toBe(true);
      if (file.startsWith("y_object_duplicated")) expect(read.ok, file).toBe(false);
    }
  },
);

test("a number keeps its text, whatever its size or precision", ({ expect }) => {
  for (const number of ["1.10", "0.0", "-0", "1E400", "123456789012345678901234567890", "1.0e-7", "6.02214076E+23"]) {
    const read = readJson(bytes(`{"value":${number}}`));
    expect(read.ok && JSON.stringify(read.value)).toBe(`{"value":${number}}`);
  }
});

test("an object that names one key twice is refused, also nested and spelled with escapes", ({ expect }) => {
  expect(reason('{"a":1,"a":2}')).toBe("duplicate_key");
  expect(reason(String.raw`{"a":1,"\u0061":2}`)).toBe("duplicate_key");
  expect(reason('[{"x":{"b":1,"c":{"d":1,"d":1}}}]')).toBe("duplicate_key");
  expect(reason('{"a":{"b":1},"b":{"b":1},"c":["b","b"],"d":"a"}')).toBe("read");
  expect(reason('{"a":"\\"a\\":1,","b":1}')).toBe("read");
});

test("bad UTF-8, a byte-order mark, a deep tree and a long text are refused", ({ expect }) => {
  expect(readJson(new Uint8Array([0x22, 0xc0, 0xaf, 0x22]))).toMatchObject({ ok: false, error: { reason: "not_utf8" } });
  expect(readJson(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]))).toMatchObject({ ok: false, error: { reason: "not_utf8" } });
  expect(reason("\uFEFF{}")).toBe("not_json");
  expect(reason("[".repeat(101) + "]".repeat(101))).toBe("too_deep");
  expect(reason("[".repeat(100) + "]".repeat(100))).toBe("read");
  expect(reason(`{"a":`.repeat(2_000_000))).toBe("too_large");
  expect(reason(`{"a":`.repeat(50_000))).toBe("too_deep");
});

test("any value that JSON.stringify writes is read back the same, and no bytes make the reader throw", ({ expect }) => {
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
      fc.string({ unit: fc.constantFrom("{", "}", "[", "]", '"', ":", ",", "\\", "a", "1", "u", " "), maxLength: 40 }),
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
