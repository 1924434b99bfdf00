import { afterAll, beforeAll, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { decodeRecord, encodeRecord } from "#audit/record";
import { appendOf, type AppendName } from "../../bench/ledger/events.ts";
import { openLedger } from "../support/auditor.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { fhirSending } from "../support/fhir-parts.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack();
}, 60_000);
afterAll(() => phylax.close());

/** Every member at any depth. A list counts as a single member. */
function membersOf(value: unknown, path = ""): readonly string[] {
  if (value === undefined) return [];
  const isTable = path.endsWith("counts");
  if (typeof value !== "object" || value === null || isTable) return [path];
  const inner = Array.isArray(value)
    ? value.slice(0, 1).map((one): [string, unknown] => ["0", one])
    : Object.entries(value);
  return inner.length === 0 ? [path] : inner.flatMap(([name, one]) => membersOf(one, `${path}/${name}`));
}
const shape = (event: AuditEvent) =>
  [...new Set(membersOf(event))].filter((path) => path !== "/step").toSorted();
/** The event as it is read back, like the real events: an empty group of members is not written. */
function asRead(event: AuditEvent): AuditEvent {
  const record = decodeRecord(encodeRecord(event, 1, 1, new Uint8Array(32)));
  if (!record.ok) throw new Error(record.error);
  return record.value.event;
}
const bytes = (event: AuditEvent) => encodeRecord(event, 1, 1, new Uint8Array(32)).length;

test("the records that the benchmark measures have every member of the gateway's records, and about their length", async ({
  expect,
}) => {
  const observation = {
    resourceType: "Observation",
    status: "final",
    code: { text: "x" },
    subject: { reference: "Patient/amara-okafor" },
  };
  const post = fhirSending("POST", observation);
  const asked: readonly (readonly [AppendName, string, string, object?])[] = [
    ["read", "payer", "Patient/amara-okafor"],
    ["treatment", "telehealth", "Patient/amara-okafor"],
    ["search", "telehealth", "Observation?patient=amara-okafor&_count=20"],
    ["list", "payer", "Patient?birthdate=ge1900-01-01&_count=20"],
    ["refusal", "payer", "Patient?phone=555-0100"],
    ["written", "charting", "Observation", post],
  ];
  const ids = new Map<AppendName, unknown>();
  for (const [name, client, path, sending] of asked)
    ids.set(name, (await phylax.ask(client, path, sending)).headers["x-request-id"]);
  const events = (await openLedger(phylax.dev)).map(({ event }) => event);
  const compare = (name: AppendName, real: readonly AuditEvent[]) => {
    const made = appendOf(name, "e2e", 1, Date.now()).map(asRead);
    expect(real.map(shape), name).toEqual(made.map(shape));
    // The stack's names are shorter (localhost, amara-okafor for a UUID), and it has 14 of 20 patients.
    if (name !== "list")
      for (const [i, event] of real.entries())
        expect(Math.abs(bytes(event) - bytes(made[i] ?? event)), name).toBeLessThan(140);
  };
  for (const [name, id] of ids) {
    const [first, ...rest] = events.filter((event) => event.id === id);
    if (first === undefined) throw new Error(`no record of ${name}`);
    if (name === "written") compare("intent", [first]);
    compare(name, name === "written" ? rest : [first, ...rest]);
  }
  compare("token", events.filter(({ kind }) => kind === "token").slice(0, 1));
});
