import { afterAll, beforeAll, test } from "vitest";
import { fhirSending, fhirJson, jsonPatch } from "../support/fhir-parts.ts";
import {
  category,
  coded,
  mustAllowWorld,
  stored,
  throughEncounter,
  to,
  withActors,
} from "../support/must-allow.ts";
import { patience } from "../support/patience.ts";

type World = Awaited<ReturnType<typeof mustAllowWorld>>;

// What the suites of FHIR servers expect of writes, and of rows next to a Consent.

let door: World["door"];
let ask: World["ask"];
beforeAll(async () => {
  ({ door, ask } = await mustAllowWorld());
}, 60_000);
afterAll(() => door.close());

const word = `${category}|vital-signs`;
const writes: readonly (readonly [string, string, object | undefined, string, number])[] = [
  [
    "POST",
    "Observation",
    { resourceType: "Observation", status: "final", code: { text: "x" }, subject: to("Patient/ann") },
    "patient/Observation.c",
    201,
  ],
  [
    "POST",
    "Observation",
    {
      resourceType: "Observation",
      status: "final",
      code: { text: "x" },
      category: [coded(category, "vital-signs")],
      subject: to("Patient/ann"),
    },
    `patient/Observation.c?category=${word}`,
    201,
  ],
  [
    "POST",
    "Observation",
    {
      resourceType: "Observation",
      status: "final",
      code: { text: "x" },
      category: [coded(category, "laboratory")],
      subject: to("Patient/ann"),
    },
    `patient/Observation.c?category=${word}`,
    403,
  ],
  [
    "POST",
    "Observation",
    { resourceType: "Observation", status: "final", code: { text: "x" }, subject: to("Patient/ben") },
    "patient/Observation.c",
    403,
  ],
  [
    "PUT",
    "Observation/o1-laboratory",
    {
      resourceType: "Observation",
      id: "o1-laboratory",
      status: "amended",
      code: { text: "x" },
      subject: to("Patient/ann"),
    },
    "patient/Observation.u",
    200,
  ],
  [
    "PUT",
    "Observation/o2-laboratory",
    {
      resourceType: "Observation",
      id: "o2-laboratory",
      status: "amended",
      code: { text: "x" },
      subject: to("Patient/ben"),
    },
    "patient/Observation.u",
    404,
  ],
  [
    "PATCH",
    "Observation/o1-vital-signs",
    [{ op: "replace", path: "/status", value: "amended" }],
    "patient/Observation.u",
    200,
  ],
  [
    "PATCH",
    "Observation/o2-vital-signs",
    [{ op: "replace", path: "/status", value: "amended" }],
    "patient/Observation.u",
    404,
  ],
  ["DELETE", "Encounter/e1", undefined, "patient/Encounter.d", 204],
  ["DELETE", "Encounter/e2", undefined, "patient/Encounter.d", 404],
];
test.for(writes)("%s %s %o under %s", async ([method, path, body, scope, status], { expect }) => {
  const reply = await ask("patient", scope, path, {
    method,
    headers: method === "PATCH" ? jsonPatch : fhirJson,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  expect(reply.status, reply.text).toBe(status);
});

test("with a Consent on file, rows leave whose further actors are no patients, and rows of an unidentified patient do not", async ({
  expect,
}) => {
  const thp = "http://terminology.hl7.org/CodeSystem/";
  const consent = {
    resourceType: "Consent",
    status: "active",
    patient: to("Patient/ben"),
    dateTime: "2026-11-01",
    scope: coded(`${thp}consentscope`, "patient-privacy"),
    category: [coded(`${thp}v3-ActCode`, "IDSCL")],
    policyRule: coded(`${thp}v3-ActCode`, "OPTIN"),
    provision: { type: "deny" },
  };
  const read = async (rows: readonly object[], place: string) =>
    Promise.all(
      stored(rows, place).map(
        async ({ resourceType, id }) => (await ask("system", "system/*.rs", `${resourceType}/${id}`)).status,
      ),
    );
  expect(await read(throughEncounter, "through")).toEqual([200, 200]);
  const filed = await ask("system", "system/*.cruds", "Consent", fhirSending("POST", consent));
  expect(filed.status, filed.text).toBe(201);
  await expect.poll(() => read(throughEncounter, "through"), patience).toEqual([404, 404]);
  expect(await read(withActors, "actors")).toEqual(withActors.map(() => 200));
});
