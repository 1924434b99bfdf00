import { afterAll, beforeAll, test, vi } from "vitest";
import type { Resource } from "@medplum/fhirtypes";
import { to } from "../support/fhir-parts.ts";
import { type AskAs, outsideApps, registerMain } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { policyEntry, rule } from "../policy/granting.ts";

// More bytes than a request holds as trees (4 MiB) come from patients of ordinary size alone.
const ids = Array.from({ length: 950 }, (_, n) => `p${n}`);
const patient = (id: string, more: object = {}) => ({
  resourceType: "Patient" as const,
  id,
  generalPractitioner: [to("Practitioner/vera")],
  contact: [{ name: { text: "c".repeat(5_000) } }],
  ...more,
});
const pulse = (id: string): Resource => ({
  resourceType: "Observation",
  id: `${id}-pulse`,
  status: "final",
  code: { text: "pulse" },
  subject: to(`Patient/${id}`),
});
const world: readonly Resource[] = [
  { resourceType: "Practitioner", id: "vera" },
  ...ids.map((id) => patient(id)),
  patient("stranger", { generalPractitioner: [to("Practitioner/otto")] }),
  // grown by the patient's own app
  patient("grown", { contact: [{ name: { text: "g".repeat(2_900_000) } }] }),
  ...["p0", "p949", "stranger", "grown"].map(pulse),
];

let phylax: Door;
let ask: AskAs<"ward">;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const policy = policyEntry("ward", [rule(["Patient", "Observation"], "everything")], {
    users: ["practitioner"],
  });
  const claims = { fhirUser: "Practitioner/vera" };
  const ward = { purpose: "TREAT", policy: "ward", scopes: "user/*.rs", claims };
  ask = await outsideApps(phylax, { ward }, [policy]);
}, 60_000);
afterAll(async () => {
  vi.useRealTimers();
  await phylax.close();
});

async function register(elements?: boolean) {
  await registerMain(phylax, elements === undefined ? {} : { capabilities: { elements } });
  // no copy of the entry is older than ten seconds
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11_000 });
}
const statusOf = async (path: string) => (await ask("ward", path)).status;

test("a patient who grows her own record takes none of her practitioner's other patients away, nor do 950 patients", async ({
  expect,
}) => {
  await register();
  expect(await statusOf("Observation/p0-pulse")).toBe(200);
  expect(await statusOf("Observation/p949-pulse")).toBe(200);
  expect(await statusOf("Observation?patient=p7")).toBe(200);
  expect(await statusOf("Observation/stranger-pulse")).toBe(404);
  expect(await statusOf("Observation/grown-pulse"), "her row is too long to be read for the relation").toBe(
    404,
  );
});

test("an origin that takes _elements is asked for the elements of the relation alone, so a grown record is related too", async ({
  expect,
}) => {
  await register(true);
  expect(await statusOf("Observation/grown-pulse")).toBe(200);
  expect(await statusOf("Observation/p949-pulse")).toBe(200);
  expect(await statusOf("Observation/stranger-pulse")).toBe(404);
});
