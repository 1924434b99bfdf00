import { test } from "vitest";
import { fitted } from "#gateway/origin/at-origin";

const served = (...search: readonly string[]) => ({
  interactions: new Set<string>(),
  search: new Set(search),
});
const traits = {
  transactions: undefined,
  honoursIfMatchOnDelete: false,
  acceptsSearchInUrl: false,
  capabilities: {
    types: new Map([
      ["Observation", served("patient", "date", "subject")],
      ["Encounter", served("_id")],
    ]),
  },
};

test("a question loses the criteria that the origin lacks, and keeps its order, includes and form", ({
  expect,
}) => {
  const fit = (query: string, path = "Observation") => {
    const found = fitted({ path, query }, traits);
    return found.ok ? found.value.query : found.error;
  };
  expect(fit("code=a&patient=Patient/1&code:not=b&_sort=-date&_count=400")).toBe(
    "patient=Patient/1&_sort=-date&_count=400",
  );
  expect(fit("_include=Observation:subject&_revinclude=Encounter:_id&_include=*")).toBe(
    "_include=Observation:subject&_revinclude=Encounter:_id&_include=*",
  );
  expect(fit("_include=Observation:performer")).toEqual({
    reason: "parameter_not_at_origin",
    parameter: "_include",
  });
  expect(fit("_sort=date,-code")).toEqual({ reason: "parameter_not_at_origin", parameter: "code" });
  // a type that is not listed, and everything that is no search of a type, goes as it is
  expect(fit("code=a", "Condition")).toBe("code=a");
  expect(fit("_since=2020", "Observation/1/_history")).toBe("_since=2020");
});

test("a posted question goes by GET only to an origin that takes no POST and whose operator accepts that", ({
  expect,
}) => {
  const asked = (searchByPost: boolean | undefined, acceptsSearchInUrl: boolean) => {
    const found = fitted(
      { path: "Observation", query: "code=a", posted: true },
      { ...traits, acceptsSearchInUrl, capabilities: { searchByPost } },
    );
    return found.ok ? found.value.posted : found.error.reason;
  };
  expect([undefined, true].map((posts) => asked(posts, true))).toEqual([true, true]);
  expect(asked(false, false)).toBe("posted_search_not_at_origin");
  expect(asked(false, true)).toBe(false);
});
