import { test } from "vitest";
import { asksForAsync, conditionQuery, readConditions } from "#fhir/preconditions";

const read = (headers: Record<string, string>) => {
  const conditions = readConditions((name) => headers[name] ?? null);
  return conditions.ok ? conditions.value : conditions.error.reason;
};

test("If-Match is a list of entity tags, weak or strong, or any", ({ expect }) => {
  expect(read({})).toEqual({ ifMatch: undefined, ifNoneExist: undefined, returns: undefined });
  expect(read({ "if-match": "*" })).toMatchObject({ ifMatch: "*" });
  expect(read({ "if-match": 'W/"1", "a b!"' })).toBe("precondition_malformed");
  expect(read({ "if-match": 'W/"1",  "xyz"' })).toMatchObject({
    ifMatch: [
      { weak: true, text: "1" },
      { weak: false, text: "xyz" },
    ],
  });
  for (const wrong of ["1", "W/1", '"', "", '"1" "2"', '"1",', `${'"1",'.repeat(64)}"1"`])
    expect(read({ "if-match": wrong }), wrong).toBe("precondition_malformed");
});

test("a precondition that is not supported is refused, never ignored", ({ expect }) => {
  expect(read({ "if-none-match": "*" })).toBe("precondition_not_supported");
  expect(read({ "if-unmodified-since": "Tue, 24 Nov 2026 00:00:00 GMT" })).toBe("precondition_not_supported");
  expect(read({ "if-modified-since": "Tue, 24 Nov 2026 00:00:00 GMT" })).toMatchObject({
    ifMatch: undefined,
  }); // RFC 9110 §13.1.3
});

test("the first `return` preference counts, in any case, and an unknown preference is ignored", ({
  expect,
}) => {
  expect(read({ prefer: "return=minimal" })).toMatchObject({ returns: "minimal" });
  expect(read({ prefer: 'respond-async, return="representation"; x=1, return=minimal' })).toMatchObject({
    returns: "representation",
  });
  expect(read({ prefer: "Return = operationoutcome" })).toMatchObject({ returns: "OperationOutcome" });
  expect(read({ prefer: "return=everything" })).toMatchObject({ returns: undefined });
  expect(read({ prefer: "handling=lenient" })).toMatchObject({ returns: undefined });
});

test("respond-async is a preference of its own, in any list and with any parameter", ({ expect }) => {
  for (const prefer of ["respond-async", "Respond-Async; wait=10", "return=minimal , respond-async,x"])
    expect(asksForAsync(prefer), prefer).toBe(true);
  for (const prefer of [
    null,
    "",
    "return=respond-async",
    "respond-async-too",
    "x; respond-async",
    "respond-async=1",
  ])
    expect(asksForAsync(prefer), String(prefer)).toBe(false);
});

test("If-None-Exist is a query, with its question mark or without, or the address of the search of the created type", ({
  expect,
}) => {
  expect(read({ "if-none-exist": " ?identifier=a|b " })).toMatchObject({ ifNoneExist: "?identifier=a|b" });
  const [query, base] = ["identifier=a|b", "https://gateway.example/v1/fhir/main"];
  for (const text of [query, `?${query}`, `Patient?${query}`, `${base}/Patient?${query}`])
    expect(conditionQuery(text, "Patient", base), text).toBe(query);
  expect(conditionQuery("?identifier=a|b c d", "Patient", base)).toBe("identifier=a|b%20c%20d");
  for (const text of [
    `Observation?${query}`,
    `/Patient?${query}`,
    `https://other.example/Patient?${query}`,
    `${base}/Observation?${query}`,
    "identifier=a|b?c",
    "Patient",
  ])
    expect(conditionQuery(text, "Patient", base), text).toBe(text);
});
