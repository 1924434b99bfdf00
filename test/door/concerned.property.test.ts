import type { Resource } from "@medplum/fhirtypes";
import * as fc from "fast-check";
import { test } from "vitest";
import { askerKinds, type AskerKind } from "../support/askers.ts";
import {
  commonWorld,
  concernedPolicy,
  condition,
  encounter,
  observation,
} from "../support/concerned-world.ts";
import { inLane } from "../support/lane.ts";
import type { PlainQuestion, Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { bundleOf, fhirJson, jsonPatch, to } from "../support/fhir-parts.ts";

// P1 as a property. Two worlds differ in one row of a patient that the client may see. If the answers differ
// (a `next` link does not count), the record of the second world names the patient in a disclosure.

const scenes = inLane({ fast: 50, slow: 1_000, long: 10_000 });

const worlds = worldsUnder(concernedPolicy);

const patientsOf: Readonly<Record<AskerKind, readonly string[]>> = {
  patient: ["ann"],
  user: ["ann", "ben"],
  system: ["ann", "ben", "cy"],
};
const code = (value: string) => ({ code: { coding: [{ system: "urn:c", code: value }] } });

/** An additional row of a patient, called `more`. */
const rows: readonly ((patient: string) => Resource)[] = [
  (patient) => observation("more", patient),
  (patient) => observation("more", patient, { ...code("b"), encounter: to("Encounter/anns-visit") }),
  (patient) =>
    observation("more", patient, { identifier: [{ system: "urn:i", value: "1" }], valueInteger: 1 }),
  (patient) => encounter("more", patient),
  (patient) =>
    encounter("more", patient, { status: "planned", location: [{ location: to("Location/lobby") }] }),
  (patient) => condition("more", patient),
  (patient) =>
    condition("more", patient, {
      encounter: to("Encounter/anns-visit"),
      clinicalStatus: { coding: [{ code: "active" }] },
    }),
];

const get = (url: string) => ({ request: { method: "GET", url } });
const referring = (reference: string) => ({
  request: { method: "POST", url: "Condition" },
  resource: {
    resourceType: "Condition",
    subject: to("Patient/ann"),
    evidence: [{ detail: [{ reference }] }],
  },
});

const questions: readonly ((patient: string, type: string) => PlainQuestion)[] = [
  (_, type) => ({ path: `${type}/more` }),
  (_, type) => ({ path: `${type}/more`, method: "HEAD" }),
  (_, type) => ({ path: `${type}/more/_history` }),
  (_, type) => ({ path: `${type}/more/_history/1` }),
  (_, type) => ({ path: `${type}/more/_history/7` }),
  (_, type) => ({ path: type }),
  (_, type) => ({ path: `${type}?_count=1` }),
  (patient, type) => ({ path: `${type}?patient=${patient}` }),
  (patient, type) => ({ path: `${type}?_id=more&patient=${patient},nobody` }),
  () => ({ path: "Observation?code=a" }),
  () => ({ path: "Observation?identifier=urn:i|1" }),
  () => ({ path: "Observation?encounter:Encounter.status=finished" }),
  () => ({ path: "Observation?encounter:Encounter.status=planned,finished&_include=Observation:encounter" }),
  (patient) => ({ path: `Location?_has:Encounter:location:subject=Patient/${patient}` }),
  () => ({ path: "Location?_has:Encounter:location:status=finished" }),
  () => ({ path: "Location?_has:Encounter:location:_has:Observation:encounter:code=b" }),
  () => ({ path: "Patient?_has:Observation:patient:code=a" }),
  () => ({ path: "Patient?_has:Condition:patient:clinical-status=active" }),
  () => ({ path: "Patient?_revinclude=Observation:patient" }),
  (patient) => ({ path: `Patient/${patient}/$everything` }),
  (patient) => ({ path: `Observation/$lastn?patient=${patient}` }),
  () => ({ path: "Practitioner/otto" }),
  () => ({ path: "Observation?code=a", method: "DELETE" }),
  () => ({ path: "Observation?identifier=urn:i|1", method: "DELETE" }),
  (patient) => ({
    path: `Condition?patient=${patient}`,
    method: "PATCH",
    headers: jsonPatch,
    body: [{ op: "test", path: "/code", value: 1 }],
  }),
  (patient) => ({
    path: "Observation?code=b",
    method: "PUT",
    headers: fhirJson,
    body: observation("x", patient),
  }),
  (patient, type) => ({ path: `${type}/more`, method: "DELETE", headers: { "if-match": `"${patient}"` } }),
  (_, type) => ({
    path: `${type}/more`,
    method: "PATCH",
    headers: jsonPatch,
    body: [{ op: "test", path: "/status", value: "x" }],
  }),
  (patient) => ({
    path: "Observation/more",
    method: "PUT",
    headers: { ...fhirJson, "if-match": '"x"' },
    body: observation("more", patient),
  }),
  (patient) => ({
    path: "Observation/more",
    method: "PUT",
    headers: { ...fhirJson, prefer: "return=minimal" },
    body: observation("more", patient),
  }),
  () => ({
    path: "Observation",
    method: "POST",
    headers: { ...fhirJson, "if-none-exist": "code=a" },
    body: observation("x", "ann"),
  }),
  () =>
    bundleOf("transaction", referring("Observation?code=a"), {
      request: { method: "DELETE", url: "Location/ward" },
    }),
  (patient) =>
    bundleOf(
      "transaction",
      referring(`Encounter?subject=Patient/${patient}&status=finished`),
      get("Patient/ann"),
    ),
  (_, type) =>
    bundleOf(
      "batch",
      get(`${type}/more`),
      get("Observation?code=a"),
      get("Location?_has:Encounter:location:status=finished"),
    ),
  () => bundleOf("batch", { request: { method: "DELETE", url: "Observation?code=a" } }),
];

/**
 * The client's view of an answer, without the `next` link, and without the total, which stands only in an
 * answer without that link.
 */
function visible({ status, headers, body }: Seen): unknown {
  const { "x-request-id": _id, "content-length": _length, etag, ...others } = headers;
  const text = body.toString("utf8");
  if (text === "") return { status, others, etag };
  const { total: _total, ...bundle } = JSON.parse(text) as {
    link?: readonly { relation: string }[];
    total?: number;
  };
  return {
    status,
    others,
    body: { ...bundle, link: bundle.link?.filter(({ relation }) => relation !== "next") },
  };
}

const names = ({ records }: Seen, patient: string): boolean =>
  records.some(
    ({ event }) =>
      event.kind === "disclosure" &&
      event.patients.some((one) => one.patient === patient && Object.keys(one.counts).length > 0),
  );

test(
  "L40: if the answers of two worlds differ, the record names the patient of the additional row",
  { timeout: 60_000 + scenes * 200 },
  async ({ expect }) => {
    let differing = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...askerKinds),
        fc.nat({ max: 2 }),
        fc.constantFrom(...rows),
        fc.constantFrom(...questions),
        fc.boolean(),
        async (kind, which, rowOf, questionOf, isBusy) => {
          const patient = patientsOf[kind][which % patientsOf[kind].length] ?? "ann";
          const row = rowOf(patient);
          const { body, ...asked } = questionOf(patient, row.resourceType);
          const others = isBusy
            ? [encounter("others", "ben"), observation("others", "ben"), condition("others", "ben")]
            : [];
          const world = [...commonWorld, ...others];
          const question = {
            by: await worlds.by(kind),
            ...asked,
            ...(body !== undefined && { body: JSON.stringify(body) }),
          };
          const { one, other } = await worlds.compare({ origin: world }, { origin: [...world, row] }, [
            question,
          ]);
          const [without, having] = [one[0], other[0]];
          if (without === undefined || having === undefined) throw new Error("each world answered");
          if (JSON.stringify(visible(without)) === JSON.stringify(visible(having))) return;
          differing += 1;
          expect(
            names(having, `main/Patient/${patient}`),
            `${kind} ${asked.method} ${asked.path} ${row.resourceType} of ${patient}: ${without.status}, ${having.status}`,
          ).toBe(true);
        },
      ),
      { numRuns: scenes },
    );
    expect(differing).toBeGreaterThan(scenes / 10);
  },
);
