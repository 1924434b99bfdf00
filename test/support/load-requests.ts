import { randomUUID } from "node:crypto";
import type { Resource } from "@medplum/fhirtypes";
import { clientOf, type DevFile } from "../../cli/connection/dev-file.ts";
import type { Random } from "../../sandbox/synthetic/random.ts";

/** The system of the `identifier` by which created resources are recognized. */
export const createdSystem = "urn:phylax:load";
const plain = Array.from({ length: 60 }, (_, n) => `load-${n}`);
// a search of the observations of one of these patients is more than 1 MiB
const large = ["large-0", "large-1", "large-2"];

/**
 * The origin's rows in addition to the demonstration's data. There are so many patients that no patient has
 * more lines than an accounting takes.
 */
export function loadedResources(): Resource[] {
  const observation = (patient: string, n: number, bytes: number): Resource => ({
    resourceType: "Observation",
    id: `${patient}-o${n}`,
    status: "final",
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: { reference: `Patient/${patient}` },
    ...(bytes > 0 && { note: [{ text: "n".repeat(bytes) }] }),
  });
  const everyone = [...plain, ...large];
  return [
    ...everyone.map((id): Resource => ({ resourceType: "Patient", id, name: [{ family: id }] })),
    ...everyone.flatMap((id) =>
      Array.from({ length: 4 }, (_, n) => observation(id, n, large.includes(id) ? 400_000 : 0)),
    ),
  ];
}

/** A request of a client of the demonstration, and the names of the resources that it creates. */
export interface LoadRequest {
  readonly client: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: object;
  readonly creates?: readonly string[];
}

const newObservation = (patient: string, name: string) => ({
  resourceType: "Observation",
  status: "final",
  identifier: [{ system: createdSystem, value: name }],
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: "2026-01-05",
});

/**
 * Reads, searches, refusals, streams, writes, batches and accountings, by every kind of client of the
 * demonstration.
 */
export const loadRequests: readonly ((random: Random, dev: DevFile) => LoadRequest)[] = [
  (random) => ({ client: "telehealth", path: `Patient/${random.int(0, 59) === 0 ? "nobody" : one(random)}` }),
  (random) => ({ client: "payer", path: `Patient?_id=${one(random)},${one(random)},${one(random)}` }),
  (random) => ({ client: "public-health", path: `Observation?patient=${one(random)}` }),
  (random) => ({ client: "operations", path: `Patient?_id=${one(random)},${one(random)}` }),
  (random) => ({ client: "research", path: `Observation?patient=${one(random)}` }),
  (random) => ({ client: "telehealth-mobile", path: `Observation?patient=${one(random)}` }),
  (random) => ({ client: "telehealth-mobile", path: `Patient/${one(random)}` }),
  (random) => ({
    client: "telehealth",
    path: `Observation?patient=${random.pick(["large-0", "large-1", "large-2"])}`,
  }),
  // nearly always another patient: refused
  (random) => ({ client: "patient-app", path: `Patient/${one(random)}` }),
  (random) => ({ client: "lapsed", path: `Patient/${one(random)}` }), // it has no token
  (random) => ({ client: "patient-app", path: `MedicinalProduct/${random.int(0, 9)}` }),
  (random) => ({ client: "privacy-officer", path: `Patient/${one(random)}/$disclosures` }),
  (_, dev) => ({
    client: "patient-app",
    path: `Patient/${clientOf(dev, "patient-app").patient ?? ""}/$disclosures`,
  }),
  (random) => creates("charting", one(random)),
  (_, dev) => creates("diary", clientOf(dev, "diary").patient ?? ""),
  (random) => {
    const names = [randomUUID(), randomUUID()];
    const entry = names.map((name) => ({
      resource: newObservation(one(random), name),
      request: { method: "POST", url: "Observation" },
    }));
    const read = { request: { method: "GET", url: `Patient/${one(random)}` } };
    const type = random.pick(["batch", "transaction"]);
    return {
      client: "charting",
      path: "",
      method: "POST",
      body: { resourceType: "Bundle", type, entry: [...entry, read] },
      creates: names,
    };
  },
];
const one = (random: Random): string => plain[random.int(0, plain.length - 1)] ?? "";

function creates(client: string, patient: string): LoadRequest {
  const name = randomUUID();
  return {
    client,
    path: "Observation",
    method: "POST",
    body: newObservation(patient, name),
    creates: [name],
  };
}
