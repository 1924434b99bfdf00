import { test } from "vitest";
import { Facts } from "#fhir/json/facts";
import { TargetBook, targetsMax } from "#fhir/r4/target-book";

const base = "https://origin.example/fhir";
const ann = new Set(["ann"]);
const ids = Array.from({ length: targetsMax + 1 }, (_, index) => `o${index}`);
const seen = Facts.of({ resourceType: "Observation", subject: { reference: "Patient/ann" } }, [
  ["resourceType"],
  ["subject"],
]);

test("a target after the limit counts as hidden, whether the targets before it are hidden or seen", ({
  expect,
}) => {
  for (const known of [new Map<string, Facts>(), new Map(ids.map((id) => [id, seen]))]) {
    const book = new TargetBook();
    const judged = () => ids.map((id) => book.isOf("Observation", id, ann, base));
    expect(judged()).not.toContain(true);
    const noted = [...(book.unknown.get("Observation") ?? [])];
    expect(noted).toEqual(ids.slice(0, targetsMax));
    book.learn("Observation", noted, known);
    expect(judged()).toEqual(ids.map((id, index) => index < targetsMax && known.has(id)));
    expect(book.unknown.size, "nothing is asked again").toBe(0);
    expect(book.unfollowed, "by each of both judgements").toBe(2);
  }
});
