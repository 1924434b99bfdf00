import * as fc from "fast-check";
import { test } from "vitest";
import { RowFactsReader } from "#fhir/json/row-facts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const mark = "urn:mark";

function factsOf(
  text: string | Uint8Array,
  names: readonly string[] = ["id", "meta", "subject"],
  chunk = 7,
): unknown {
  const bytes = typeof text === "string" ? utf8(text) : text;
  const reader = new RowFactsReader(new Set(names), mark);
  for (let from = 0; from < bytes.length; from += chunk) reader.push(bytes.subarray(from, from + chunk));
  const facts = reader.end();
  return facts.ok
    ? { row: JSON.parse(JSON.stringify(facts.value.row)), holdsText: facts.value.holdsText }
    : facts.error.reason;
}

/** Lists, nested this deep. */
const nested = (depth: number, inner = "1") => "[".repeat(depth) + inner + "]".repeat(depth);

test("requested members are read unchanged, at any position and any chunk boundaries", ({ expect }) => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const names = fc.constantFrom("id", "meta", "subject", "other", "identifier", "é", '"', "\\");
  const objects = fc.dictionary(names, value).filter((object) => !Object.hasOwn(object, "__proto__"));
  fc.assert(
    fc.property(
      objects,
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(undefined, 1, "\t"),
      (object, chunk, space) => {
        const wanted = Object.fromEntries(
          Object.entries(object).filter(([name]) => ["id", "meta", "subject"].includes(name)),
        );
        expect(factsOf(JSON.stringify(object, undefined, space), undefined, chunk)).toEqual({
          row: JSON.parse(JSON.stringify(wanted)),
          holdsText: false,
        });
      },
    ),
    { numRuns: 1_000 },
  );
});

test("faults in further members, and deep inside the requested members, are ignored", ({ expect }) => {
  const row = (rest: string) =>
    `{"note":${rest},"id":"1","subject":{"reference":"Patient/1","extension":${rest}}}`;
  for (const rest of [nested(5_000), `"${"x".repeat(100_000)}"`, '{"a":1,"a":2}'])
    expect(factsOf(`{"note":${rest},"id":"1","text":${rest}}`, undefined, 4_096), rest.slice(0, 20)).toEqual({
      row: { id: "1" },
      holdsText: false,
    });
  expect(factsOf(row(nested(5_000)), undefined, 4_096)).toMatchObject({
    row: { id: "1", subject: { reference: "Patient/1" } },
  });
  expect(JSON.stringify(factsOf(row(nested(22)), undefined)), "kept as deep as 24").toContain(nested(22));
  expect(JSON.stringify(factsOf(row(nested(23)), undefined)), "and no deeper").toContain(nested(22, "null"));
});

test("a repeated requested member, in any spelling, or a repeated name inside it gives no facts", ({
  expect,
}) => {
  expect(factsOf('{"id":"1","id":"2"}')).toBe("duplicate_key");
  expect(factsOf('{"id":"1","\\u0069d":"2"}')).toBe("duplicate_key");
  expect(factsOf('{"meta":{"security":[],"security":[]}}')).toBe("duplicate_key");
  expect(factsOf('{"other":1,"other":2,"id":"1"}')).toEqual({ row: { id: "1" }, holdsText: false });
});

test("invalid JSON or invalid UTF-8 has no facts", ({ expect }) => {
  for (const text of [
    "",
    "{",
    '{"id":"1"',
    '{"id":"1"} x',
    '{"id":01}',
    '{"other":[}}',
    '{"other":tru,"id":"1"}',
    "<html>",
    '{"id":"1",}',
  ])
    expect(factsOf(text), text).toBe("not_json");
  expect(factsOf(Uint8Array.from([...utf8('{"other":"'), 0xff, ...utf8('","id":"1"}')]))).toBe("not_utf8");
  expect(factsOf("[]")).toEqual({ row: {}, holdsText: false });
});

test("the text is found as any value in any spelling, and not as a name", ({ expect }) => {
  const holds = (text: string) => (factsOf(text) as { holdsText: boolean }).holdsText;
  expect(holds(`{"id":"${mark}"}`)).toBe(true);
  expect(holds(`{"other":${nested(300, `{"url":"${mark}"}`)}}`)).toBe(true);
  expect(holds(`{"subject":${nested(60, `{"url":"${mark}"}`)}}`)).toBe(true);
  expect(holds('{"other":["\\u0075rn:m\\u0061rk"]}')).toBe(true);
  expect(holds(`{"other":["${mark}2","a${mark}"],"${mark}":1}`)).toBe(false);
});

test("requested members may have 8 MiB together", ({ expect }) => {
  expect(factsOf(`{"id":"${"x".repeat(8_388_608)}"}`, undefined, 65_536)).toBe("too_large");
  expect(factsOf(`{"other":"${"x".repeat(9_000_000)}","id":"1"}`, undefined, 65_536)).toEqual({
    row: { id: "1" },
    holdsText: false,
  });
});
