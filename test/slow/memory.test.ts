import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { listenerOn } from "../support/listener.ts";
import { residentMiB } from "../support/resident-memory.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { fhirSending } from "../support/fhir-parts.ts";

// An isolate has 128 MB for all of its requests (Cloudflare Workers, limits): a request at its bound must
// leave room for further requests.
const growthMiBMax = 96;
const warmUps = 50;

const loinc = "http://loinc.org";
const vitalSigns = [
  { coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }] },
];
const observation = (id: string, patient: string, bytes: number): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: vitalSigns,
  code: { coding: [{ system: loinc, code: "8867-4" }] },
  subject: { reference: `Patient/${patient}` },
  encounter: { reference: `Encounter/visit-${patient}` },
  effectiveDateTime: "2026-01-05",
  note: [{ text: "n".repeat(bytes) }],
});
const patient = (id: string): Resource[] => [
  { resourceType: "Patient", id, name: [{ family: id }] },
  {
    resourceType: "Encounter",
    id: `visit-${id}`,
    status: "finished",
    class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
    subject: { reference: `Patient/${id}` },
  },
];
const rows = (count: number, of: string, bytes: number) =>
  Array.from({ length: count }, (_, n) => observation(`${of}-${n}`, of, bytes));

/**
 * `many` fills an origin's page (32 MiB), `trees` fills the budget for trees (4 MiB), `bytes` fills the
 * budget for bytes (8 MiB).
 */
const world = (): Resource[] => [
  ...["small", "many", "trees", "bytes", "whole"].flatMap(patient),
  ...rows(3, "small", 10),
  ...rows(1_000, "many", 32_500),
  ...rows(400, "trees", 9_500),
  ...rows(8, "bytes", 1_000_000),
  ...rows(1, "whole", 4_000_000),
];

const bundleOf = (type: "batch" | "transaction", entry: readonly object[]): Sending =>
  fhirSending("POST", { resourceType: "Bundle", type, entry });
const sent = (method: string, resource: object, headers: Readonly<Record<string, string>> = {}): Sending =>
  fhirSending(method, resource, headers);
const { id: _id, ...newRow } = observation("", "small", 1_040_000);

interface Kind {
  readonly client: string;
  readonly path: string;
  readonly sending?: Sending;
  /** The status of each answer. */
  readonly status: number;
}

const kinds: Readonly<Record<string, Kind>> = {
  read: { client: "charting", path: "Observation/whole-0", status: 200 },
  search: { client: "telehealth", path: "Observation?patient=many&_count=1000", status: 200 },
  included: {
    client: "telehealth",
    path: "Encounter?patient=bytes&_revinclude=Observation:encounter",
    status: 200,
  },
  "chained search": {
    client: "telehealth",
    path: "Encounter?_has:Observation:encounter:patient=trees",
    status: 200,
  },
  history: { client: "charting", path: "Observation/whole-0/_history", status: 200 },
  everything: { client: "telehealth", path: "Patient/many/$everything", status: 200 },
  "last observations": { client: "telehealth", path: "Observation/$lastn?patient=trees", status: 200 },
  "last observations, too many": {
    client: "telehealth",
    path: "Observation/$lastn?patient=many",
    status: 403,
  },
  batch: {
    client: "charting",
    path: "",
    sending: bundleOf(
      "batch",
      rows(8, "bytes", 0).map(({ id = "" }) => ({ request: { method: "GET", url: `Observation/${id}` } })),
    ),
    status: 200,
  },
  transaction: {
    client: "charting",
    path: "",
    sending: bundleOf(
      "transaction",
      rows(8, "bytes", 400_000).map((resource) => ({
        resource,
        request: { method: "PUT", url: `Observation/${resource.id}` },
      })),
    ),
    status: 200,
  },
  create: { client: "charting", path: "Observation", sending: sent("POST", newRow), status: 201 },
  "conditional create": {
    client: "charting",
    path: "Observation",
    sending: sent("POST", newRow, { "if-none-exist": "patient=trees&code=8867-4" }),
    status: 412,
  },
  update: {
    client: "charting",
    path: "Observation/bytes-0",
    sending: sent("PUT", observation("bytes-0", "bytes", 1_040_000)),
    status: 200,
  },
  "body too large": {
    client: "charting",
    path: "Observation",
    sending: sent("POST", observation("", "small", 5_000_000)),
    status: 413,
  },
  metadata: { client: "telehealth", path: "metadata", status: 200 },
  accounting: { client: "privacy-officer", path: "Patient/many/$disclosures", status: 200 },
};

const bundles = mkdtempSync(join(tmpdir(), "phylax-bundles-"));
let phylax: TestStack;
beforeAll(async () => {
  writeFileSync(
    join(bundles, "world.ndjson"),
    world()
      .map((resource) => JSON.stringify(resource))
      .join("\n"),
  );
  phylax = await startTestStack({ bundles });
  for (let n = 0; n < warmUps; n += 1) await phylax.ask("telehealth", "Observation?patient=small");
}, 180_000);
afterAll(async () => {
  await phylax.close();
  rmSync(bundles, { recursive: true, force: true });
});

/** The rise of the resident memory above its start during a piece of work. */
async function growthOf(pid: number, work: () => Promise<void>): Promise<number> {
  const before = residentMiB(pid);
  let peak = before;
  const sampling = setInterval(() => (peak = Math.max(peak, residentMiB(pid))), 2);
  await work();
  clearInterval(sampling);
  return Math.max(peak, residentMiB(pid)) - before;
}

test.for(Object.entries(kinds))(
  "%s at its bound: the runtime grows by less than 96 MiB",
  async ([name, kind], { expect }) => {
    const { client, path, sending = {}, status } = kind;
    const pid = listenerOn(phylax.stack.runtime.gateway.port);
    const replies: number[] = [];
    const growths: number[] = [];
    for (let time = 0; time < 3; time += 1)
      growths.push(
        await growthOf(pid, async () => {
          replies.push((await phylax.ask(client, path, sending)).status);
        }),
      );
    console.log(JSON.stringify({ name, growthMiB: growths.map(Math.round) }));
    expect(replies).toEqual([status, status, status]);
    expect(Math.max(...growths)).toBeLessThan(growthMiBMax);
  },
);
