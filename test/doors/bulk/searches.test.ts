import { expect, test } from "vitest";
import { searchesOf } from "#doors/bulk/members";

const patients = Array.from({ length: 45 }, (_, n) => `p${n}`);

test("each search of a file names at most 20 patients, and all searches name each patient once a filter", () => {
  const searches = [...searchesOf({ type: "Observation", queries: ["a=1", "b=2"] }, patients)];
  const named = searches.map((query) => query.replace(/^.*&patient=/u, "").split(","));
  expect(named.map((list) => list.length)).toEqual([20, 20, 5, 20, 20, 5]);
  expect(named.slice(0, 3).flat()).toEqual(patients.map((id) => `Patient/${id}`));
});

test("the searches of a large file are made one at a time", () => {
  let made = 0;
  const queries = new Proxy(["a=1", "b=2"], {
    get: (list, name) => {
      if (typeof name === "string" && /^\d+$/u.test(name)) made += 1;
      return Reflect.get(list, name) as unknown;
    },
  });
  const searches = searchesOf({ type: "Patient", queries }, patients);
  expect([searches.next().value?.split("=")[0], made]).toEqual(["a", 1]);
});
