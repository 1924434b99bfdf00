import { afterAll, beforeAll, test } from "vitest";
import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import { commandIn } from "../support/in-process/command.ts";
import { policy, rule } from "../policy/granting.ts";
import { eventsOf } from "../support/auditor.ts";
import { LogWatch } from "../support/log-watch.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { fhirSending, fhirJson } from "../support/fhir-parts.ts";

// No client of this test may see an address. Amara Okafor is a synthetic patient who lives in Massachusetts
// by her home address.
const desk = policy(
  rule(["Patient"], ["meta.versionId", "birthDate", "deceased[x]", "gender"], {
    interactions: ["read", "search", "update"],
  }),
  rule(["Observation"], ["status", "code", "subject"]),
);
const labs = policy(rule(["Observation"], ["status", "code", "subject"]));
const women = policy(
  rule(["Patient"], ["birthDate"], { where: [{ path: "gender", in: ["female"] }] }),
  rule(["Observation"], ["status", "code", "subject"]),
);
const registry = policy(rule(["Patient"], "everything", { interactions: ["read", "search", "update"] }));
const policies = {
  desk: { ...desk, operations: ["everything"] as const },
  labs,
  quiet: labs,
  women,
  registry,
};
type Who = keyof typeof policies;

const canary = "canary-region"; // not the name of a State: the record has the text unchanged
const patient = (id: string, ...address: readonly object[]) => ({
  resourceType: "Patient",
  id,
  birthDate: "1980-01-02",
  address,
});
const world = [
  patient(
    "moved",
    { use: "old", state: "NY" },
    { use: "home", state: "OH", period: { end: "2025" } },
    { use: "home", state: "Vermont" },
  ),
  patient("abroad", { use: "home", state: "MA", country: "Brasil" }),
  patient("somewhere", { use: "home", state: canary }),
  patient("nowhere", { use: "home", postalCode: "02139" }),
  ...["moved", "abroad", "somewhere", "nowhere"].map((id) => ({
    resourceType: "Observation",
    id: `of-${id}`,
    status: "final",
    code: { text: "x" },
    subject: { reference: `Patient/${id}` },
  })),
];

const watch = new LogWatch([canary]);
const grant = (policy: Who) => ({ purpose: "TREAT", policy, scopes: "system/*.cruds" });
const apps = {
  desk: grant("desk"),
  labs: grant("labs"),
  quiet: grant("quiet"),
  women: grant("women"),
  registry: grant("registry"),
};
let phylax: Door;
let send: AskAs<Who>;

/** Writes to the origin directly, without the gateway. */
async function store(resource: { readonly resourceType: string; readonly id: string }): Promise<void> {
  const { ok, status } = await fetch(
    `${phylax.dev.origin}/${resource.resourceType}/${resource.id}`,
    fhirSending("PUT", resource),
  );
  if (!ok) throw new Error(`the origin: ${status}`);
}

beforeAll(async () => {
  phylax = await startDoor();
  for (const resource of world) await store(resource);
  const bodies = Object.entries(policies).map(([name, body]) => ({ name, body }));
  send = await outsideApps(phylax, apps, bodies);
}, 120_000);
afterAll(async () => {
  await phylax.close();
  watch.end();
});

async function ask(who: Who, path: string, sending: Sending = {}): Promise<Reply> {
  const reply = await send(who, path, sending);
  const said = JSON.stringify([reply.text, reply.headers]);
  for (const told of ["address", canary, "Vermont", '"VT"', "outside US", "Massachusetts"])
    if (said.includes(told)) throw new Error(`${path} tells ${told}`);
  return reply;
}
/** The patients of each of a request's events, as `id` or `id: state`. */
async function named(reply: Reply): Promise<string[]> {
  const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  return events.map(({ kind, patients }) => {
    const each = patients.map(
      ({ patient, state }) =>
        patient.replace("main/Patient/", "") + (state === undefined ? "" : `: ${state}`),
    );
    return `${kind} ${each.sort().join(", ")}`;
  });
}

async function scopeOf(client: string) {
  const key = phylax.dev.auditors[0]?.key ?? "";
  const when = ["--from", "2020-01-01", "--to", "2099-12-31", "--discovered", "2026-11-24"];
  const { code, out, error } = await commandIn(
    phylax.home,
    "breach-scope",
    "--client",
    client,
    ...when,
    "--key",
    key,
    "--json",
  );
  if (code !== 0) throw new Error(error);
  return JSON.parse(out) as {
    byState: Record<string, number>;
    affected: { patient: string; state: string; stateRecord?: number }[];
  };
}

/** A checkpoint, and so the part of the ledger that an auditor reads, may be a second behind. */
const counted = { timeout: 60_000, interval: 1_000 };
const byState = (client: string) => async () => (await scopeOf(client)).byState;

test("a client that may not see the address reads a Patient, and the count of her State includes a client that got only her observations", async ({
  expect,
}) => {
  expect((await ask("labs", "Observation?patient=amara-okafor")).status).toBe(200);
  expect((await ask("labs", "Observation?patient=nowhere")).status).toBe(200);
  await expect.poll(byState("labs"), counted).toEqual({ unknown: 2 });
  const read = await ask("desk", "Patient/amara-okafor");
  expect([read.status, await named(read)]).toEqual([200, ["disclosure amara-okafor: MA"]]);
  await expect.poll(byState("desk"), counted).toEqual({ MA: 1 });
  await expect.poll(byState("labs"), counted).toEqual({ MA: 1, unknown: 1 });
  expect((await scopeOf("labs")).affected).toMatchObject([
    { patient: "main/Patient/amara-okafor", state: "MA", stateRecord: 0 },
    { patient: "main/Patient/nowhere", state: "unknown" },
  ]);
});

test("every way that reads a Patient has the State on record, even if it is hidden, left out, or only led to the rows", async ({
  expect,
}) => {
  const version = JSON.parse((await ask("desk", "Patient/moved")).text).meta.versionId;
  for (const [path, events] of [
    ["Patient/moved", ["disclosure moved: VT"]],
    [`Patient/moved/_history/${version}`, ["disclosure moved: VT"]],
    ["Patient/moved/_history", ["disclosure moved: VT"]],
    [
      "Patient?_id=moved,abroad,somewhere,nowhere",
      [`disclosure abroad: outside US, moved: VT, nowhere, somewhere: ${canary}`],
    ],
    ["Patient/abroad/$everything", ["disclosure abroad: outside US"]],
    ["Observation?_id=of-moved&_include=Observation:subject", ["disclosure moved: VT"]],
    // Each patient whom the chain's first hop finds decided the answer.
    [
      "Observation?patient.birthdate=1980-01-02&_id=of-abroad",
      [`disclosure abroad: outside US, moved: VT, nowhere, somewhere: ${canary}`],
    ],
    ["Observation/of-moved", ["disclosure moved"]],
  ] as const) {
    const reply = await ask("desk", path);
    expect([reply.status, await named(reply)], path).toEqual([200, events]);
  }
  // The client may not see the Patient that the origin included. Its State was in the body all the same.
  const dropped = await ask("women", "Observation?_id=of-moved&_include=Observation:subject");
  expect([dropped.text.includes('"Patient"'), await named(dropped)]).toEqual([
    false,
    ["disclosure moved: VT"],
  ]);
  const hidden = await ask("women", "Patient/moved");
  expect([hidden.status, await named(hidden)]).toEqual([404, ["refusal moved: VT"]]);
  const entry = [
    { request: { method: "GET", url: "Patient/moved" } },
    { request: { method: "GET", url: "Observation/of-moved" } },
  ];
  const batch = await ask("desk", "", fhirSending("POST", { resourceType: "Bundle", type: "batch", entry }));
  expect([batch.status, await named(batch)]).toEqual([200, ["disclosure moved: VT", "disclosure moved: VT"]]);
});

test("a write has the State of the stored Patient on record, before and after, and so has a refused write", async ({
  expect,
}) => {
  const seen = JSON.parse((await ask("desk", "Patient/moved")).text);
  const put = (headers: Record<string, string>) =>
    ask("desk", "Patient/moved", fhirSending("PUT", { ...seen, gender: "female" }, headers));
  const refused = await put({ "if-match": 'W/"another"' });
  expect([refused.status, await named(refused)]).toEqual([
    412,
    ["refusal moved: VT", "disclosure moved: VT"],
  ]); // a second version exists

  const written = await put({});
  expect([written.status, await named(written)]).toEqual([
    200,
    ["intent moved: VT", "write moved: VT", "disclosure moved: VT"],
  ]);
});

test("a write that moves a patient has the old State in its intent, and the new State in its result", async ({
  expect,
}) => {
  const moving = (state: string) => JSON.stringify(patient("mover", { use: "home", state }));
  await store(patient("mover", { use: "home", state: "NH" }));
  const headers = { ...fhirJson, prefer: "return=minimal" };
  const put = await send("registry", "Patient/mover", { method: "PUT", headers, body: moving("Maine") });
  expect([put.status, await named(put)]).toEqual([
    200,
    ["intent mover: NH", "write mover: ME", "disclosure mover: ME"],
  ]); // the row existed
  let [before, state] = ["ME", "RI"];
  for (const type of ["batch", "transaction"]) {
    const entry = `{"resource":${moving(state)},"request":{"method":"PUT","url":"Patient/mover"}}`;
    const body = `{"resourceType":"Bundle","type":"${type}","entry":[${entry}]}`;
    const reply = await send("registry", "", { method: "POST", headers, body });
    expect([reply.status, await named(reply)], type).toEqual([
      200,
      [`intent mover: ${before}`, `write mover: ${state}`, `disclosure mover: ${state}`],
    ]);
    [before, state] = [state, "CT"];
  }
});

test("a patient's new State is known from the next record on, whichever client caused it", async ({
  expect,
}) => {
  await ask("quiet", "Observation?patient=abroad");
  await expect.poll(byState("quiet"), counted).toEqual({ "outside US": 1 });
  await store(patient("abroad", { use: "home", state: "Guam", country: "GU" }));
  await ask("desk", "Patient/abroad");
  await expect.poll(byState("quiet"), counted).toEqual({ GU: 1 });
});

test("no accounting names its patient's State, in any of its forms", async ({ expect }) => {
  const reply = await phylax.ask("privacy-officer", "Patient/somewhere/$disclosures?all=true");
  expect([reply.status, (await named(reply)).toSorted()]).toEqual([
    200,
    ["accounting somewhere", `disclosure somewhere: ${canary}`],
  ]);
  for (const format of ["json", "text/csv", "text/html"]) {
    const { status, text } = await phylax.ask(
      "privacy-officer",
      `Patient/somewhere/$disclosures?all=true&_format=${encodeURIComponent(format)}`,
    );
    expect([status, text.includes("desk"), text.includes(canary)], format).toEqual([200, true, false]);
  }
});
