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
const row = (type: "Observation" | "Appointment", id: string, more: object): Resource =>
  ({ resourceType: type, id, status: type === "Appointment" ? "booked" : "final", ...more }) as Resource;
const pulse = (id: string): Resource =>
  row("Observation", `${id}-pulse`, { code: { text: "pulse" }, subject: to(`Patient/${id}`) });
const together = (id: string, ...patients: readonly string[]): Resource =>
  row("Appointment", id, {
    participant: patients.map((one) => ({ actor: to(`Patient/${one}`), status: "accepted" })),
  });
const world: readonly Resource[] = [
  { resourceType: "Practitioner", id: "vera" },
  ...ids.map((id) => patient(id)),
  patient("stranger", { generalPractitioner: [to("Practitioner/otto")] }),
  // grown by the patient's own app
  patient("grown", { contact: [{ name: { text: "g".repeat(2_900_000) } }] }),
  ...["p0", "p949", "stranger", "grown"].map(pulse),
  // a practitioner of ten thousand patients
  ...Array.from({ length: 10_000 }, (_, n) => ({
    resourceType: "Patient" as const,
    id: `m${n}`,
    generalPractitioner: [to("Practitioner/mary")],
  })),
  ...["m0", "m1", "m9999"].map(pulse),
  ...["p0", "stranger"].map((id) => ({
    resourceType: "Provenance" as const,
    id: `of-${id}`,
    target: [to(`Observation/${id}-pulse`)],
    recorded: "2026-01-03T10:00:00Z",
    agent: [{ who: { display: "Dr. Doe" } }],
  })),
  together("both", "m0", "m1"),
  together("one", "m0", "stranger"),
];

let phylax: Door;
let ask: AskAs<"ward" | "mary" | "several">;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const types = ["Patient", "Observation", "Appointment", "Provenance"] as const;
  const rules = [rule([...types], "everything", { interactions: ["read", "search", "create", "update"] })];
  const policy = policyEntry("ward", rules, { users: ["practitioner"] });
  const as = (name: string) => ({
    purpose: "TREAT",
    policy: "ward",
    scopes: "user/*.cruds",
    claims: { fhirUser: `Practitioner/${name}` },
  });
  const several = { ...as("vera"), scopes: "system/Observation.rs user/Provenance.rs" };
  ask = await outsideApps(phylax, { ward: as("vera"), mary: as("mary"), several }, [policy]);
}, 60_000);
afterAll(async () => {
  vi.useRealTimers();
  await phylax.close();
});

let now = Date.now();
async function register(capabilities?: { elements?: boolean; chains?: boolean }) {
  await registerMain(phylax, capabilities === undefined ? {} : { capabilities });
  // no copy of the entry is older than ten seconds
  vi.useFakeTimers({ toFake: ["Date"], now: (now += 11_000) });
}
const statusOf = async (path: string) => (await ask("ward", path)).status;

/** A request of the practitioner of ten thousand patients: its status, its rows, and the questions to the origin. */
async function marys(path: string, sending: object = {}) {
  const from = phylax.forwarded.length;
  const { status, text } = await ask("mary", path, sending);
  const found = [...text.matchAll(/"fullUrl":"[^"]*\/(?<id>[^"/]+)"/gu)].map(({ groups }) => groups?.["id"]);
  return { status, text, ids: found, questions: phylax.forwarded.length - from };
}

test("a patient who grows her own record takes none of her practitioner's other patients away, nor do 950 patients", async ({
  expect,
}) => {
  await register();
  expect(await statusOf("Observation/p0-pulse")).toBe(200);
  expect(await statusOf("Observation/p949-pulse")).toBe(200);
  expect(await statusOf("Observation?patient=p7")).toBe(200);
  expect(await statusOf("Observation?status=final")).toBe(200);
  expect(await statusOf("Observation/stranger-pulse")).toBe(404);
  expect(await statusOf("Observation/grown-pulse"), "her row is too long to be read for the relation").toBe(
    404,
  );
});

test("an origin that takes _elements is asked for the elements of the relation alone, so a grown record is related too", async ({
  expect,
}) => {
  await register({ elements: true });
  expect(await statusOf("Observation/grown-pulse")).toBe(200);
  expect(await statusOf("Observation/p949-pulse")).toBe(200);
  expect(await statusOf("Observation/stranger-pulse")).toBe(404);
});

test("a practitioner of ten thousand patients reads, searches and writes the rows of each of them, by two questions to the origin", async ({
  expect,
}) => {
  await register();
  expect(await marys("Observation/m0-pulse"), "with the question for her roles").toMatchObject({
    status: 200,
    questions: 3,
  });
  for (const path of ["Observation/m9999-pulse", "Observation/m9999-pulse"])
    expect(await marys(path), path).toMatchObject({ status: 200, questions: 2 });
  for (const path of ["Observation/stranger-pulse", "Observation/absent"])
    expect(await marys(path), path).toMatchObject({ status: 404, questions: 2 });
  expect(await marys("Observation?patient=m9999")).toMatchObject({ ids: ["m9999-pulse"], questions: 2 });
  expect(await marys("Observation?patient=m9999")).toMatchObject({ ids: ["m9999-pulse"], questions: 1 });
  expect(await marys("Observation?patient=stranger")).toMatchObject({ status: 200, ids: [] });
  expect(await marys("Observation?_id=m0-pulse,stranger-pulse,m1-pulse&_sort=_id")).toMatchObject({
    ids: ["m0-pulse", "m1-pulse"],
    questions: 3, // the rows in which a patient only took part are a search of their own
  });
  // a row of two of her patients is hers, and a row of a patient and a stranger is not
  expect(await marys("Appointment?patient=m0")).toMatchObject({ status: 200, ids: ["both"] });
  const body = (subject: string) => ({
    method: "POST",
    headers: { "content-type": "application/fhir+json" },
    body: JSON.stringify({ ...pulse(subject), id: undefined }),
  });
  expect((await marys("Observation", body("stranger"))).status).toBe(403);
  expect((await marys("Observation", body("m500"))).status).toBe(201);
});

test("a search that names no patient is refused by name for a practitioner of ten thousand patients, unless the origin takes the chain", async ({
  expect,
}) => {
  await register();
  const refused = await marys("Observation?status=final&_sort=_id");
  expect(refused).toMatchObject({ status: 403 });
  expect(refused.text).toContain("Name a patient");
  // Patients are found by their general practitioner
  expect(await marys("Patient?_count=2")).toMatchObject({ status: 200, questions: 2 });
  const entry = ["Observation?status=final", "Observation?patient=m0", "Observation/m1-pulse"];
  const batch = await marys("", {
    method: "POST",
    headers: { "content-type": "application/fhir+json" },
    body: JSON.stringify({
      resourceType: "Bundle",
      type: "batch",
      entry: entry.map((url) => ({ request: { method: "GET", url } })),
    }),
  });
  const { entry: answers } = JSON.parse(batch.text) as { entry: { response: { status: string } }[] };
  expect(answers.map(({ response }) => response.status.slice(0, 3))).toEqual(["403", "200", "200"]);
  await register({ chains: true });
  expect(await marys("Observation?status=final&_sort=_id")).toMatchObject({
    ids: [expect.any(String), "m0-pulse", "m1-pulse", "m9999-pulse"],
  });
});

test("the Provenance of a row that a further scope shows is the user's if the row's patient is", async ({
  expect,
}) => {
  const statusOf = async (path: string) => (await ask("several", path)).status;
  expect([await statusOf("Observation/stranger-pulse"), await statusOf("Provenance/of-stranger")]).toEqual([
    200, 404,
  ]);
  expect(await statusOf("Provenance/of-p0")).toBe(200);
});
