import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PageLines } from "#doors/bulk/lines";

function linesOf(parts: readonly Uint8Array[]) {
  const page = new PageLines();
  return { rows: parts.flatMap((part) => page.rowsIn(part)), next: page.end() };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const tricky = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    '"resource":{',
    "x".repeat(70),
    `${"y".repeat(62)}\\"`,
    '\\"',
    "\\",
    '}]},{"resource"',
    "a\nb",
    "\\\\",
  ),
);
const resource = fc.record({
  resourceType: fc.constant("Basic"),
  id: fc.constantFrom("a", "b-1"),
  text: tricky,
  resource: fc.array(fc.dictionary(tricky, tricky, { maxKeys: 3 }), { maxLength: 3 }),
});

test("each resource of a page is on a line of its own, with its value as it was, at any cut of the bytes", () => {
  fc.assert(
    fc.property(
      fc.array(resource, { maxLength: 4 }),
      fc.nat(400),
      fc.boolean(),
      (resources, cut, isSpaced) => {
        const entry = resources.map((each) => ({
          fullUrl: '"resource"',
          resource: each,
          search: { mode: "match" },
        }));
        const link = [{ relation: "next", url: "https://here/next" }];
        const text = JSON.stringify(
          { resourceType: "Bundle", link, entry },
          undefined,
          isSpaced ? 1 : undefined,
        );
        const { rows, next } = linesOf([bytes(text).subarray(0, cut), bytes(text).subarray(cut)]);
        const lines = rows.map((row) => new TextDecoder().decode(row.bytes));
        expect(rows.map(({ id }) => id)).toEqual(resources.map(({ id }) => id));
        expect(lines.every((line) => !/[\n\r]/u.test(line))).toBe(true);
        expect(lines.map((line): unknown => JSON.parse(line))).toEqual(
          resources.map((each): unknown => JSON.parse(JSON.stringify(each))),
        );
        expect(next).toBe("https://here/next");
      },
    ),
  );
});

test("a page that breaks off is no page", () => {
  for (const text of ['{"entry":[{"resource":{"id":"a"', '{"entry":[{"fullUrl":"a"}]}', ""])
    expect(() => linesOf([bytes(text)]), text).toThrow();
});

test("an OperationOutcome about the page is no row", () => {
  const entry = [
    { resource: { resourceType: "OperationOutcome" }, search: { mode: "outcome" } },
    { resource: { resourceType: "Basic", id: "a" }, search: { mode: "match" } },
  ];
  const { rows } = linesOf([bytes(JSON.stringify({ resourceType: "Bundle", entry }))]);
  expect(rows.map(({ id }) => id)).toEqual(["a"]);
});
