import { RememberedRelations } from "#gateway/facts/relations-at-origin";
import { test, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import type { Recorded } from "#audit/ports";
import type { Denied } from "#limits/ports";
import type { Caller } from "#gateway/admission/caller";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import type { Arrival } from "#gateway/http/admit";
import { LedgerBusy, LedgerQueue } from "#gateway/record/ledger-queue";
import { SharedMemory } from "#limits/shared-memory";
import { contentUnits, rowUnits, SharedThread } from "#limits/shared-thread";
import { gatewayApp } from "#gateway/http/app";
import { serve, type FhirDoorPorts } from "#gateway/http/fhir-door";
import { perform } from "#gateway/perform";
import { Recorder } from "#gateway/record/recorder";

import { err, ok } from "#kernel/result";
import { instant } from "#kernel/clock";
import { compilePolicy } from "#policy/compile";
import { policy, rule } from "../policy/granting.ts";
import { at, clientRecord, fhirBase, publicUrl } from "../support/credentials.ts";
import { serve as serveByLines } from "../support/json-lines-door.ts";

const scopes = [{ context: "system", type: "*", permissions: ["c", "r", "s"], filters: [] }] as const;
const digest = "sha256:1";
const compiled = compilePolicy(
  policy(rule(["Patient"], "everything", { interactions: ["read", "search", "create"] })),
  digest,
);
const budget = { limit: 10, windowSeconds: 60, remaining: 9, resetSeconds: 60, livesUntil: at };
const amara = { resourceType: "Patient", id: "amara", gender: "female" };
const storedRow: object = amara;
const unused = async () => {
  throw new Error("no stage of these tests asks this");
};

async function* bodyOf(value: object) {
  yield ok(new TextEncoder().encode(JSON.stringify(value)));
}

/** The dependencies of a gateway. They note each call, in order. */
function world({
  deniedAt = Infinity,
  failing = "",
  ledgerQueue = new LedgerQueue(() => instant(0)),
  measureElements = false,
  stored = storedRow,
  memory = new SharedMemory(() => at),
  thread = new SharedThread(() => at, unused),
} = {}) {
  const steps: string[] = [];
  const events: AuditEvent[] = [];
  const step = (name: string) => {
    steps.push(name);
    if (name === failing) throw new Error(name);
  };
  const recorded: Recorded = {
    log: "log",
    index: 0,
    count: 1,
    frame: 0,
    leafHash: new Uint8Array(32),
    frameHash: new Uint8Array(32),
  };
  const record = async (appended: readonly AuditEvent[]) => {
    step(`record ${appended.map(({ kind }) => kind).join(" ")}`);
    events.push(...appended);
    return recorded;
  };
  const [grant] = clientRecord([]).grants;
  if (grant === undefined) throw new Error("a test's own mistake");
  const quota = { requests: 10, windowSeconds: 60, revision: 1 };
  const quotas = { default: quota, records: quota };
  const client = clientRecord([], {
    certificates: [],
    unboundUntil: instant(at + 1_000),
    grants: [{ ...grant, policyDigest: digest, scopes, quotas, measureElements }],
  });
  const clients = {
    find: async () => {
      step("registry");
      return client;
    },
    findExternal: async () => undefined,
  };
  const denied: Denied = new Set();
  const renew: FhirDoorPorts["limiter"]["renew"] = async (_spend, revoked) => {
    step("lease");
    const names = steps.filter((name) => name === "lease").length >= deniedAt ? clientDenied : denied;
    const refusal = revoked(names);
    return refusal === undefined ? ok({ ...budget, policy: "default" }) : err(refusal);
  };
  const ports: FhirDoorPorts = {
    relations: new RememberedRelations(),
    requestKeys: { claim: unused },
    rowLeases: { take: unused },
    dataSets: {
      codesOf: () => ({ codesOf: unused, namesOf: unused }),
      inForm: unused,
      unknownAmong: unused,
      newId: () => "",
    },
    onFault: ({ name }) => step(`fault ${name}`),
    onRowFault: ({ name }) => step(`row fault ${name}`),
    recipients: unused,
    tokens: {
      verify: async () =>
        ok({
          issuer: publicUrl,
          issuedHere: true,
          namesBase: true,
          patient: undefined,
          user: undefined,
          subject: client.id,
          client: client.id,
          id: "jti",
          expires: instant(at + 300_000),
          scopes,
          purposes: ["TREAT"],
          keyId: "token-1",
          binding: { kind: "none" },
        }),
    },
    clients,
    proofs: { verify: unused, nonce: () => "nonce" },
    signatures: { verify: unused },
    answers: { sign: unused, publicKeys: async () => [] },
    recordProver: { prove: unused },
    limiter: {
      spend: async (spends) => {
        step(`spend ${spends.map(({ policy: name, many }) => `${name} ${many}`).join(" ")}`.trim());
        return ok(spends.map(({ policy: name }) => ({ ...budget, policy: name })));
      },
      renew,
    },
    policies: { byDigest: async (name) => (name === digest ? compiled : undefined), has: () => true },
    consentReadings: { bringUpToDate: async () => false },
    consents: {
      mayHave: () => false,
      consentsOf: async (_origin, patients) => new Map(patients.map((patient) => [patient, []])),
      applyFiled: () => {},
      reread: () => {},
    },
    reviews: { open: unused },
    caseOpening: { open: unused, settle: unused },
    onBreakGlass: () => {},
    consentDesk: { announce: unused, file: unused, isOnFile: unused },
    readAhead: async () => undefined,
    origins: {
      traits: async () => undefined,
      open: unused,
      ask: async () => {
        step("origin asked");
        return { kind: "answered", base: "https://origin.internal/fhir", body: bodyOf(stored) };
      },
      send: async () => {
        step("origin sent");
        const location = "https://origin.internal/fhir/Patient/new";
        const base = "https://origin.internal/fhir";
        return {
          kind: "written",
          status: 201,
          isJson: true,
          location,
          body: bodyOf({ ...amara, id: "new" }),
          base,
        };
      },
    },
    ledgerQueue,
    memory,
    thread,
    ledger: { record, recordOnce: record },
    ledgerSpread: 1,
    attachments: { linkTo: () => "", placeOf: () => undefined },
    pages: { seal: unused, open: async () => err({ reason: "page_link_malformed" }) },
    disclosures: { linesOf: unused, write: unused },
    accounting: {
      recipients: {},
      agreements: {},
      entity: undefined,
      ledger: undefined,
      zone: "UTC",
      protocols: [],
    },
    authorizationServers: { of: async () => ({ signIn: undefined, external: [] }) },
    publicUrl,
    askedUrl: publicUrl,
    fhirBase,
    audienceOf: fhirBase,
    clock: () => at,
    jitter: () => 0,
    elements: {
      note: (name, _at, bodies) => step(`measure ${name} ${Buffer.concat(bodies).toString()}`),
    },
    keepAlive: () => undefined,
  };
  return { ports, steps, events };
}

const clientDenied: Denied = { has: (name: string) => name.includes("telehealth"), size: 1 };

const get = (path: string, headers: Record<string, string> = { authorization: "Bearer token" }): Arrival => ({
  id: "0".repeat(32),
  at,
  method: "GET",
  url: `${fhirBase("main")}/${path}`,
  headers: new Headers(headers),
  tlsClientAuth: undefined,
});

function post(resource: object): Arrival {
  const headers = { authorization: "Bearer token", "content-type": "application/fhir+json" };
  async function* body() {
    yield new TextEncoder().encode(JSON.stringify(resource));
  }
  return { ...get("Patient", headers), method: "POST", body: body() };
}

const knownCaller = ["registry", "spend default 1"];

test("a read is released after the lease, the registry, the credits and the record, in this order", async ({
  expect,
}) => {
  const { ports, steps } = world();
  const answer = await serve(get("Patient/amara"), ports);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual(amara);
  expect(answer.headers.get("phylax-receipt")).toContain("index=0");
  expect(steps).toEqual([
    ...knownCaller,
    "origin asked",
    "lease",
    "registry",
    "spend records 1",
    "record disclosure",
  ]);
});

test("the elements of an answer are counted after its record, and only if the grant asks for it", async ({
  expect,
}) => {
  const { ports, steps } = world({ measureElements: true });
  await serve(get("Patient/amara"), ports);
  expect(steps.slice(-2)).toEqual([
    "record disclosure",
    `measure telehealth/main/TREAT ${JSON.stringify(amara)}`,
  ]);
  const denied = world({ measureElements: true, deniedAt: 1 });
  await serve(get("Patient/amara"), denied.ports);
  expect(denied.steps.at(-1), "nothing left").toBe("record refusal");
  const write = world({ measureElements: true });
  await serve(post({ resourceType: "Patient", gender: "female" }), write.ports);
  expect(write.steps.at(-1)).toMatch(/^measure .*"id":"new"/u);
  const head = world({ measureElements: true });
  await serve({ ...get("Patient/amara"), method: "HEAD" }, head.ports);
  expect(head.steps.at(-1), "the answer has no body").toBe("record disclosure");
});

test("the origin hears of a write after the lease, the registry and the record of the intent", async ({
  expect,
}) => {
  const { ports, steps } = world();
  const answer = await serve(post({ resourceType: "Patient", gender: "female" }), ports);
  expect(answer.status).toBe(201);
  expect(steps).toEqual([
    ...knownCaller,
    "lease",
    "registry",
    "record intent",
    "origin sent",
    "origin asked", // the form in which the origin reads the row
    "lease",
    "registry",
    "spend records 1",
    "record write disclosure",
  ]);
});

test("a client who is denied while the origin answers is refused, and nothing of the answer leaves", async ({
  expect,
}) => {
  const { ports, steps, events } = world({ deniedAt: 1 });
  const answer = await serve(get("Patient/amara"), ports);
  expect(answer.status).toBe(401);
  expect(await answer.text()).not.toContain("female");
  expect(steps.slice(-2)).toEqual(["lease", "record refusal"]);
  expect(events[0]?.outcome?.reason).toBe("client_denied");
});

test("a client who is denied before its write is sent writes nothing; a client who is denied after it learns only the status", async ({
  expect,
}) => {
  const before = world({ deniedAt: 1 });
  expect((await serve(post({ resourceType: "Patient" }), before.ports)).status).toBe(401);
  expect(before.steps).not.toContain("origin sent");
  const after = world({ deniedAt: 2 });
  const answer = await serve(post({ resourceType: "Patient" }), after.ports);
  expect([answer.status, await answer.text()]).toEqual([201, ""]);
  expect(answer.headers.get("location")).toBeNull();
  expect(after.events.at(-1)).toMatchObject({
    kind: "write",
    outcome: { status: 201, reason: "client_denied" },
  });
});

test("the answer to a write is its status alone if nothing says whether the client may still be answered", async ({
  expect,
}) => {
  const { ports, events } = world({ failing: "spend records 1" });
  const answer = await serve(post({ resourceType: "Patient" }), ports);
  expect([answer.status, await answer.text(), answer.headers.get("location")]).toEqual([201, "", null]);
  expect(events.at(-1)).toMatchObject({
    kind: "write",
    outcome: { status: 201, reason: "answer_unavailable" },
  });
});

test.for(["record disclosure", "registry"])(
  "nothing is answered and nothing more recorded when this fails: %s",
  async (failing, { expect }) => {
    const { ports, steps } = world({ failing });
    await expect(serve(get("Patient/amara"), ports)).rejects.toThrow(failing);
    expect(steps.filter((name) => name.startsWith("record"))).toEqual(
      failing.startsWith("record") ? [failing] : [],
    );
  },
);

test.for(["lease", "spend records 1", "origin asked"])(
  "the request of a known caller is on record as a fault when this fails: %s",
  async (failing, { expect }) => {
    const { ports, steps, events } = world({ failing });
    const answer = await serve(get("Patient/amara"), ports);
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(answer.headers.has("phylax-receipt")).toBe(true);
    const text = await answer.text();
    expect(text).toContain('"OperationOutcome"');
    expect(text).not.toMatch(/amara|Okafor/u);
    expect(events).toMatchObject([
      {
        kind: "refusal",
        outcome: { status: 503, reason: "fault" },
        who: { client: "telehealth" },
        what: { interaction: "read", type: "Patient", id: "amara" },
      },
    ]);
    expect(steps.slice(-2)).toEqual(["record refusal", "fault Error"]);
  },
);

test("the ledger is asked once for the record of a fault", async ({ expect }) => {
  const { ports, steps } = world({ failing: "lease" });
  const ledger = {
    record: async () => {
      steps.push("record tried");
      throw new Error("the ledger is down");
    },
    recordOnce: unused,
  };
  await expect(serve(get("Patient/amara"), { ...ports, ledger })).rejects.toThrow("lease");
  expect(steps.filter((name) => name === "record tried")).toHaveLength(1);
});

test("an answer that the ledger refuses to record as faulty is on record as a fault", async ({ expect }) => {
  const { ports, events } = world();
  const ledger: FhirDoorPorts["ledger"] = {
    ...ports.ledger,
    record: async (sent, sender) => {
      if (sent.some(({ kind }) => kind === "disclosure")) throw new TypeError("ledger: bad event: patients");
      return ports.ledger.record(sent, sender);
    },
  };
  const answer = await serve(get("Patient/amara"), { ...ports, ledger });
  expect(answer.status).toBe(503);
  expect(events).toMatchObject([{ kind: "refusal", outcome: { reason: "fault" } }]);
});

test("a fault after the record of a write's intent makes no second record", async ({ expect }) => {
  const { ports, events } = world({ failing: "origin sent" });
  await serve(post({ resourceType: "Patient" }), ports).catch(() => undefined);
  expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).not.toContainEqual(["refusal", "fault"]);
  expect(events.filter(({ kind }) => kind === "intent")).toHaveLength(1);
});

test("the origin is sent nothing when the record of the intent fails", async ({ expect }) => {
  const { ports, steps } = world({ failing: "record intent" });
  await expect(serve(post({ resourceType: "Patient" }), ports)).rejects.toThrow("record intent");
  expect(steps).not.toContain("origin sent");
});

test("a refusal is on record with the facts that were known by then, and the origin is not asked", async ({
  expect,
}) => {
  const { ports, steps, events } = world();
  const answer = await serve(get("Patient/amara", {}), ports);
  expect(answer.status).toBe(401);
  expect(steps).toEqual(["record refusal"]);
  expect(events[0]).toMatchObject({ kind: "refusal", outcome: { reason: "token_missing" }, why: undefined });
});

const create = () => post({ resourceType: "Patient", gender: "female" });
test.for<readonly [name: string, asked: () => Arrival, made?: Parameters<typeof world>[0]]>([
  ["a read", () => get("Patient/amara")],
  ["a read without a body", () => ({ ...get("Patient/amara"), method: "HEAD" })],
  ["a type without a rule", () => get("Observation/1")],
  ["no token", () => get("Patient/amara", {})],
  ["a denial while the origin answers", () => get("Patient/amara"), { deniedAt: 1 }],
  ["a write", create],
  ["a denial before a write is sent", create, { deniedAt: 1 }],
  ["a denial after a write was sent", create, { deniedAt: 2 }],
  ["metadata", () => get("metadata")],
  ["a fault of the guard", () => get("Patient/amara"), { failing: "lease" }],
  ["a fault of the origin", () => get("Patient/amara"), { failing: "origin asked" }],
])(
  "a second door of a few lines has the steps, the records and the verdict of the FHIR door: %s",
  async ([, asked, made], { expect }) => {
    const [one, other] = [world(made), world(made)];
    const answer = await serve(asked(), one.ports);
    const line = await serveByLines(asked(), other.ports);
    expect([line.status, await line.text()]).toEqual([answer.status, await answer.text()]);
    expect(line.headers.get("phylax-receipt")).toBe(answer.headers.get("phylax-receipt"));
    expect(other.steps).toEqual(one.steps);
    expect(other.events).toEqual(one.events);
  },
);

test("a caller who is claimed is no caller: only a proof makes one", async ({ expect }) => {
  const { ports, steps } = world();
  const question = { interaction: { kind: "capabilities" } } as Parameters<typeof perform>[0];
  const [claimed, gate] = [{ who: {} }, {}] as unknown as [Caller, ReleaseGate];
  const recorder = new Recorder({ id: "1", at, address: "" }, ports);
  await expect(perform(question, claimed, gate, recorder, ports)).rejects.toThrow("claimed, not proven");
  expect(steps).toEqual([]);
});

test("metadata of a known caller is answered without the origin, on record", async ({ expect }) => {
  const { ports, steps } = world();
  const answer = await serve(get("metadata"), ports);
  expect(await answer.json()).toMatchObject({ resourceType: "CapabilityStatement" });
  expect(steps).toEqual([...knownCaller, "record notice"]);
});

/** A queue in which answers of this size wait for a ledger that does not answer. */
function waiting(bytes: number) {
  const queue = new LedgerQueue(() => instant(0));
  const freed = Promise.withResolvers<void>();
  const held = queue.holding(bytes, "other", () => freed.promise);
  return { queue, free: () => (freed.resolve(), held) };
}

test("P1: with 32 MiB of answers waiting for the ledger a further answer is given up, without a record, and later answers go on", async ({
  expect,
}) => {
  const { queue, free } = waiting(33_554_432);
  const { ports, steps } = world({ ledgerQueue: queue });
  await expect(serve(get("Patient/amara"), ports)).rejects.toThrow(LedgerBusy);
  expect(steps).toContain("origin asked");
  expect(steps.filter((name) => name.startsWith("record"))).toEqual([]);
  await free();
  expect((await serve(get("Patient/amara"), ports)).status).toBe(200);
});

test("P10: a write that was sent goes on record, and a refusal too, however many answers wait", async ({
  expect,
}) => {
  const { queue } = waiting(33_554_432);
  const { ports, steps } = world({ ledgerQueue: queue });
  expect((await serve(post({ resourceType: "Patient" }), ports)).status).toBe(201);
  expect(steps.at(-1)).toBe("record write disclosure");
  expect((await serve(get("Patient/amara", {}), ports)).status).toBe(401);
  expect(steps.at(-1)).toBe("record refusal");
});

test("a request that arrives while the ledger is behind is 503 with Retry-After: nothing is asked, and the log names the fault", async ({
  expect,
}) => {
  const { queue, free } = waiting(40_000_000);
  const { ports, steps } = world({ ledgerQueue: queue });
  const faults: string[] = [];
  const counter = { limit: async () => ({ success: true }) };
  const app = gatewayApp({
    ...ports,
    mtlsUrl: undefined,
    newId: () => "1".repeat(32),
    configured: async () => undefined,
    dependencies: async () => ({}),
    onFault: ({ name }) => faults.push(name),
    anonymousCalls: counter,
    unprovenCalls: counter,
    provenCalls: counter,
    browserPages: { has: async () => false },
    originKeys: async () => undefined,
    exports: async () => new Response(null, { status: 404 }),
  });
  const ask = () =>
    app.fetch(new Request(get("Patient/amara").url, { headers: { authorization: "Bearer token" } }));
  const answer = await ask();
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(await answer.json()).toMatchObject({ resourceType: "OperationOutcome" });
  expect([steps, faults]).toEqual([[], ["LedgerBusy"]]);
  await free();
  expect((await ask()).status).toBe(200);
});

test("a client that holds half of the memory for requests, by long answers that it reads slowly, gets 503 on record, until one is read", async ({
  expect,
}) => {
  const memory = new SharedMemory(() => at);
  const { ports, events } = world({ stored: { ...amara, name: [{ text: "n".repeat(2_500_000) }] }, memory });
  const ask = () => serve(get("Patient/amara"), ports);
  memory.claim("telehealth").hold(47 * 1_048_576); // of further requests
  const slow = await ask();
  expect(slow.status).toBe(200);
  const refused = await ask();
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(events.at(-1)).toMatchObject({ kind: "refusal", outcome: { status: 503, reason: "fault" } });
  await slow.text();
  expect((await ask()).status).toBe(200);
});

test("a client that fills as many pages as it may gets 503 for a further long page, before the origin is asked; a short page is filled", async ({
  expect,
}) => {
  const memory = new SharedMemory(() => at);
  const stored = { resourceType: "Bundle", type: "searchset", entry: [{ resource: amara }] };
  const { ports, steps } = world({ stored, memory });
  const ask = (path: string) => serve(get(path), ports);
  const fill = () => memory.claim("telehealth").page(1_000);
  const ends = Array.from({ length: 17 }, fill);
  const refused = await ask("Patient?_count=1000");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(steps).not.toContain("origin asked");
  expect((await ask("Patient?_count=100")).status).toBe(200);
  ends[0]?.();
  for (let again = 0; again < 3; again += 1)
    expect((await ask("Patient?_count=1000")).status, "each page ends").toBe(200);
});

test("a client above its part of a busy isolate's thread gets 503 on record after ten seconds, before the origin is asked", async ({
  expect,
}) => {
  let now = at;
  const thread = new SharedThread(
    () => now,
    async (milliseconds) => {
      now = instant(now + milliseconds);
      thread.charge("telehealth", 33_554_432);
      thread.charge("neighbour", 1);
    },
  );
  const { ports, steps, events } = world({ thread });
  thread.charge("telehealth", 33_554_432);
  thread.charge("neighbour", 1);
  const end = await thread.enter("telehealth");
  const refused = await serve(get("Patient/amara"), ports);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(events.at(-1)).toMatchObject({ kind: "refusal", outcome: { status: 503, reason: "fault" } });
  expect(steps).not.toContain("origin asked");
  end();
  for (let again = 0; again < 3; again += 1)
    expect((await serve(get("Patient/amara"), ports)).status, "each request ends").toBe(200);
});

test("a request is charged by what its client sends, asks for and gets: hidden rows cost nothing", async ({
  expect,
}) => {
  const charged = async (arrival: ReturnType<typeof get>, stored: object = amara) => {
    const thread = new SharedThread(() => at, unused);
    const charge = vi.spyOn(thread, "charge");
    await serve(arrival, world({ thread, stored }).ports);
    return charge.mock.calls.reduce((sum, [, units]) => sum + units, 0);
  };
  const page = (...included: readonly object[]) => ({
    resourceType: "Bundle",
    type: "searchset",
    entry: [
      { resource: amara, search: { mode: "match" } },
      ...included.map((resource) => ({ resource, search: { mode: "include" } })),
    ],
  });
  const hidden = { resourceType: "Observation", id: "hidden", note: [{ text: "n".repeat(100_000) }] };
  const search = get("Patient?_count=100");
  const alone = await charged(search, page());
  expect(await charged(search, page(hidden))).toBe(alone);
  expect(alone - (await charged(get("Patient?_count=50"), page()))).toBeCloseTo(50 * rowUnits, -2);
  const written = (text: string) => charged(post({ resourceType: "Patient", name: [{ text }] }));
  expect((await written("n".repeat(1_000))) - (await written(""))).toBeGreaterThanOrEqual(
    1_000 * contentUnits,
  );
  const long = { ...amara, name: [{ text: "n".repeat(100_000) }] };
  expect((await charged(get("Patient/amara"), long)) - (await charged(get("Patient/amara")))).toBeGreaterThan(
    100_000,
  );
});
