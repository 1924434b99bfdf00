import { test } from "vitest";
import { entryText } from "#gateway/change/send-whole";

const urn = "urn:uuid:11111111-1111-4111-8111-111111111111";

test("a new row keeps its urn: name and loses a name that is an address: a further entry could be about that patient", ({
  expect,
}) => {
  const write = { method: "POST", path: "Patient", body: "{}" } as const;
  const sent = (fullUrl: string | undefined): unknown => JSON.parse(entryText({ fullUrl, plan: { write } }));
  const request = { method: "POST", url: "Patient" };
  expect(sent(urn)).toEqual({ fullUrl: urn, resource: {}, request });
  for (const fullUrl of [
    undefined,
    "https://api.example/v1/fhir/main/Patient/amara",
    "Patient/amara",
    "urn:uuid:1/Patient/amara",
  ])
    expect(sent(fullUrl), fullUrl).toEqual({ resource: {}, request });
});

test("a row that exists has no name: the origin would redirect references to it that were judged as new", ({
  expect,
}) => {
  const named = (write: Parameters<typeof entryText>[0]["plan"]["write"]): boolean =>
    Object.hasOwn(JSON.parse(entryText({ fullUrl: urn, plan: { write } })) as object, "fullUrl");
  const [path, body] = ["Patient/bela", "{}"];
  expect(named({ method: "PUT", path, body, version: "1" })).toBe(false);
  expect(named({ method: "DELETE", path, version: "1" })).toBe(false);
  expect(named({ method: "PUT", path, body, ifNone: "same id" }), "a create under a key").toBe(true);
});
