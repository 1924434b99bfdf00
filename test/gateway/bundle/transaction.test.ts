import { test } from "vitest";
import { entryText } from "#gateway/bundle/transaction-send";

test("an entry keeps a urn: name and loses a name that is an address: a further entry could be about that patient", ({
  expect,
}) => {
  const write = { method: "PUT", path: "Patient/bela", body: "{}", version: "1" } as const;
  const sent = (fullUrl: string | undefined): unknown => JSON.parse(entryText({ fullUrl, plan: { write } }));
  const request = { method: "PUT", url: "Patient/bela", ifMatch: 'W/"1"' };
  const urn = "urn:uuid:11111111-1111-4111-8111-111111111111";
  expect(sent(urn)).toEqual({ fullUrl: urn, resource: {}, request });
  for (const fullUrl of [
    undefined,
    "https://api.example/v1/fhir/main/Patient/amara",
    "Patient/amara",
    "urn:uuid:1/Patient/amara",
  ])
    expect(sent(fullUrl), fullUrl).toEqual({ resource: {}, request });
});
