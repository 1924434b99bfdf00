import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import type { Json } from "#fhir/json/json";
import { primitiveFault } from "#fhir/validate/primitive";
import { number } from "../../phi/branding.ts";

const good: Record<string, readonly Json[]> = {
  boolean: [true, false],
  decimal: ["1.10", "-0", "0.0000001", "1e-7", "123456789012345678901234567890.5"].map(number),
  integer: ["0", "-0", "-2147483648", "2147483647"].map(number),
  unsignedInt: ["0", "2147483647"].map(number),
  positiveInt: ["1", "2147483647"].map(number),
  string: ["x", " x ", "a\tb\r\nc", "\u00A0", "日本", "x".repeat(1_048_576)],
  code: ["final", "two words", ">="],
  id: ["a", "A-1.b", "x".repeat(64)],
  uri: ["urn:oid:1.2", "http://example.org/a#b", "relative"],
  uuid: ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
  oid: ["urn:oid:1.2.3.4.5", "urn:oid:2.0.10"],
  date: ["2020", "2020-12", "2020-02-29", "2000-02-29"],
  dateTime: ["2020", "2020-02-29", "2020-02-29T23:59:60Z", "2020-01-01T00:00:00.123+14:00"],
  instant: ["2020-02-29T13:28:17.239+02:00"],
  time: ["00:00:00", "23:59:59.999"],
  base64Binary: ["QQ==", "QUJD", "QUJD\nQUJD", " QU I= "],
};
const bad: Record<string, readonly Json[]> = {
  boolean: ["true", number("1"), null],
  decimal: ["1.10", true],
  integer: ["1.0", "1e2", "2147483648", "-2147483649", "99999999999999999999"].map(number),
  unsignedInt: ["-1", "-0", "1.5"].map(number),
  positiveInt: ["0", "-1"].map(number),
  string: ["", "a\u0000b", "a\u001Fb", "\uD800", "x".repeat(1_048_577), number("1"), true, {}, []],
  code: [" x", "x ", "a  b", ""],
  id: ["a b", "a_b", "x".repeat(65), "a/b", ""],
  uri: ["a b", "a\nb", ""],
  url: ["http://example.org/a b"],
  canonical: ["http://example.org/a |1"],
  uuid: ["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"],
  oid: ["1.2.3", "urn:oid:1", "urn:oid:1.", "urn:oid:1..2", "urn:oid:1.2 ", "urn:oid:1.02", "urn:oid:3.1"],
  date: [
    "2020-02-30",
    "2021-02-29",
    "1900-02-29",
    "2020-13",
    "2020-00",
    "2020-1-1",
    "0000",
    "20200101",
    "2020-01-01T00:00:00Z",
    " 2020",
  ],
  dateTime: [
    "2020-01-01T10:00Z",
    "2020-01-01T10:00:00",
    "2020-01-01T24:00:00Z",
    "2020-02-30T10:00:00Z",
    "2020-01-01 10:00:00Z",
    "2020-01-01T10:00:00+15:00",
  ],
  instant: ["2020-01-01", "2020-01-01T10:00:00"],
  time: ["24:00:00", "10:00", "10:00:00Z"],
  base64Binary: ["Q", "QUJ", "QQ=Q", "Q===", "QUJ*", "====", " "],
};

test.for(Object.entries(good))("%s accepts the values of R4's grammar", ([type, values], { expect }) => {
  for (const value of values) expect(primitiveFault(type, value)).toBeUndefined();
});

test.for(Object.entries(bad))(
  "%s refuses values outside R4's grammar or the calendar",
  ([type, values], { expect }) => {
    for (const value of values)
      expect(primitiveFault(type, value), JSON.stringify(value).slice(0, 40)).toBeDefined();
  },
);

test("a wrong JSON type is distinguished from a wrong grammar", ({ expect }) => {
  expect(primitiveFault("date", number("2020"))).toBe("json_type");
  expect(primitiveFault("date", "x")).toBe("grammar");
  expect(primitiveFault("integer", "1")).toBe("json_type");
  expect(primitiveFault("integer", number("1.5"))).toBe("grammar");
});

test("any text of eight megabytes is answered, even if it was made to be slow", ({ expect }) => {
  const long = (sign: string) => sign.repeat(8_000_000 / sign.length);
  const texts = ["x", " ", "a ", "1.", "=", "QUJD"].map(long);
  for (const text of [
    ...texts,
    `urn:oid:1${long(".1")}`,
    `urn:oid:1${long(".1")}x`,
    `10:00:00.${long("1")} `,
    `2020-01-01T10:00:00.${long("1")}`,
  ])
    for (const type of Object.keys(bad))
      expect([undefined, "grammar", "json_type"]).toContain(primitiveFault(type, text));
  expect(primitiveFault("base64Binary", long("QUJD"))).toBeUndefined();
  expect(primitiveFault("decimal", number(`1.${long("0")}`))).toBeUndefined();
});

const folder = join(import.meta.dirname, "../../../../shared/data/fhir/primitives");
const types = [
  "base64Binary",
  "boolean",
  "canonical",
  "code",
  "date",
  "dateTime",
  "decimal",
  "id",
  "instant",
  "integer",
  "markdown",
  "oid",
];
const more = ["positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid"];

test.skipIf(!existsSync(folder)).for([...types, ...more])(
  "google's valid and invalid vectors of %s are distinguished (needs ../shared/data)",
  (type, { expect }) => {
    const file = type.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
    for (const [kind, wanted] of [
      ["valid", true],
      ["invalid", false],
    ] as const) {
      for (const line of readFileSync(join(folder, `${file}.${kind}.ndjson`), "utf8").split("\n")) {
        if (line === "" || line === "null") continue; // for the oracle these mean that there is no value
        const value = /^[-0-9]/u.test(line) ? numberIn(line) : line;
        if (value === undefined) continue;
        expect(
          primitiveFault(type, typeof value === "string" ? texts(value) : value) === undefined,
          `${kind} ${line}`,
        ).toBe(wanted);
      }
    }
  },
);

const numberIn = (line: string) => (Number.isNaN(Number(line)) ? undefined : number(line));
const texts = (line: string): Json => {
  try {
    return JSON.parse(line) as Json; // a string or a boolean: numbers were taken apart before
  } catch {
    return line; // not JSON on purpose
  }
};
