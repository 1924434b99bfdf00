import { test } from "vitest";
import { Facts } from "#fhir/json/facts";
import { TargetBook } from "#fhir/r4/target-book";

const base = "https://origin.example/fhir";
const ann = new Set(["ann"]);
const seen = Facts.of({ resourceType: "Observation", subject: { reference: "Patient/ann" } }, [
  ["resourceType"],
  ["subject"],
]);

test("a target belongs to patients only once it is known and seen; at best, as long as it is not known", ({
  expect,
}) => {
  const book = new TargetBook();
  book.learn("Observation/seen", seen);
  book.learn("Observation/hidden", undefined);
  const of = (id: string) => [
    book.isOf("Observation", id, ann, base),
    book.atBest.isOf("Observation", id, ann, base),
    book.isSeen("Observation", id),
    book.knows(`Observation/${id}`),
  ];
  expect(of("seen")).toEqual([true, true, true, true]);
  expect(of("hidden")).toEqual([false, false, false, true]);
  expect(of("unknown")).toEqual([false, true, false, false]);
  expect(book.atBest.isOf("Observation", "seen", new Set(["ben"]), base)).toBe(false);
});
