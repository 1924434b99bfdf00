import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import { beyond, TwoWorlds, type Asking } from "../support/two-worlds.ts";

// An upload behind a hidden note, and an upload behind a note that does not exist, cannot be distinguished.

let worlds: TwoWorlds;
beforeAll(async () => {
  worlds = await TwoWorlds.open();
}, 60_000);
afterAll(() => worlds.close());

const by = "charting";
const patient: Resource = { resourceType: "Patient", id: "ann" };
const note: Resource = {
  resourceType: "DocumentReference",
  id: "note",
  meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "PSYTHPN" }] },
  status: "current",
  subject: { reference: "Patient/ann" },
  content: [{ attachment: { contentType: "application/pdf" } }],
};
const upload = (context: string): Asking => ({
  by,
  path: "Binary",
  method: "POST",
  headers: { "content-type": "application/pdf", "x-security-context": context },
  body: "%PDF-1.4",
});
const transaction: Asking = {
  by,
  path: "",
  method: "POST",
  headers: { "content-type": "application/fhir+json" },
  body: JSON.stringify({
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      {
        fullUrl: "urn:uuid:0000000b-0000-4000-8000-000000000001",
        resource: {
          resourceType: "Binary",
          contentType: "text/plain",
          data: "bm90ZQ==",
          securityContext: { reference: "DocumentReference/note" },
        },
        request: { method: "POST", url: "Binary" },
      },
    ],
  }),
};

// The sealed record of a refusal says what decided.
const sealedReason = { records: /\/event\/(?:outcome\/reason|decision)$/u };

test("an upload behind a hidden note and behind an absent note are alike", async ({ expect }) => {
  const asked = [upload("DocumentReference/note"), transaction];
  const { one, differences } = await worlds.compare(
    { origin: [patient, note] },
    { origin: [patient] },
    asked,
  );
  expect(beyond(differences, sealedReason)).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([422, 422]);
  expect(one.map(({ questions }) => questions.length > 0)).toEqual([true, true]);
});
