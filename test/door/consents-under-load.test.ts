import { afterAll, beforeAll, beforeEach, test, vi } from "vitest";
import type { Resource } from "@medplum/fhirtypes";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import { readStoredForm } from "#policy/consent/stored-form";
import { eventsOf } from "../support/auditor.ts";
import { to } from "../support/fhir-parts.ts";
import { askAs, issuerEntry, joined, outsideClient, outsider, outsideToken } from "../support/outside.ts";
import { inLane, lane } from "../support/lane.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";
import { serveAt } from "../support/in-process/network.ts";

const thp = "http://terminology.hl7.org/CodeSystem/";
const denial = (patient: string) => ({
  resourceType: "Consent",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
  patient: to(`Patient/${patient}`),
  policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: "OPTOUT" }] },
  provision: { type: "deny" },
});
const many = Array.from({ length: 250 }, (_, n) => `p${n}`);
const pulse = (
  patient: string,
  id = `${patient}-pulse`,
): Extract<Resource, { resourceType: "Observation" }> => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "pulse" },
  subject: to(`Patient/${patient}`),
});
const [files, mebibyte] = ["https://film.example/", 1_048_576];
const world: readonly Resource[] = [
  ...["amara", "bela", "cora", "dora", ...many].flatMap((id): readonly Resource[] => [
    { resourceType: "Patient", id },
    pulse(id),
  ]),
  // two to a window
  ...Array.from({ length: 10 }, (_, n) => ({
    ...pulse("cora", `long-${n}`),
    note: [{ text: "n".repeat(600_000) }],
  })),
  {
    resourceType: "DocumentReference",
    id: "film",
    status: "current",
    subject: to("Patient/cora"),
    content: [{ attachment: { contentType: "video/mp4", url: `${files}film` } }],
  },
];
/** 100 MiB in pieces that are made as they are read. */
function film(): Response {
  let left = 100;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) controller.close();
      else controller.enqueue(new Uint8Array(mebibyte));
      left -= 1;
    },
  });
  return new Response(body, { headers: { "content-type": "video/mp4" } });
}
const policy = (name: string, more: object = {}) => ({
  name,
  body: {
    format: "phylax.policy.v1",
    name,
    title: name,
    purposes: ["PATRQT", "TREAT", "BTG"],
    rules: [
      {
        types: ["Consent", "Patient", "Observation", "DocumentReference", "Binary"],
        interactions: ["read", "search", "create", "update", "delete"],
        show: "everything",
        why: "45 CFR 164.506(c)(2): treatment.",
        examples: [{ says: "It may be read.", request: "Observation/1", is: "permitted" }],
      },
    ],
    ...more,
  },
});

const floods = ["flood-1", "flood-2", "flood-3"] as const;
type Who = "app" | "clinic" | "reader" | "viewer" | "registrar" | "emergency" | (typeof floods)[number];
const certificates = new Map<string, CertificateFiles>();
const tokens = new Map<string, string>();
const signIns: (() => Promise<void>)[] = [];
/** Tokens of now: the clock of these tests outruns them. */
const signIn = async () => void (await Promise.all(signIns.map((each) => each())));
/** A filing that begins meanwhile stays pending until the gate opens. */
let [isHolding, gate] = [false, Promise.resolve()];
let filings = 0;
let failsAt = Infinity;
/** Acts once, while the origin's next answer is on its way. */
let amid: (() => Promise<void>) | undefined;
let isGuardDown = false;
/** The registry's entries of the clients that read long answers. */
const readers = new Map<string, object>();
let phylax: Door;
let elsewhere: (request: Request) => Promise<Response>;

beforeAll(async () => {
  phylax = await startDoor({
    resources: world,
    originHosts: ["film.example"],
    remote: async (part, act, method) => {
      if (part === "guard" && isGuardDown) throw new Error("the guard does not answer");
      if (part === "consents" && method === "file") {
        filings += 1;
        if (filings === failsAt) throw new Error("control does not answer");
        if (isHolding) await gate;
      }
      const answer = await act();
      const acting = part === "origin" ? amid : undefined;
      if (acting !== undefined) amid = undefined;
      await acting?.();
      return answer;
    },
  });
  const issuer = await outsider("https://consents-load.example", "phylax");
  const entries = [];
  for (const who of ["app", "clinic", "reader", "viewer", "registrar", "emergency", ...floods] as const) {
    const purpose = who === "app" ? "PATRQT" : who === "emergency" ? "BTG" : "TREAT";
    const scopes = who === "app" ? "patient/*.cruds" : "system/*.cruds";
    const grant = { purpose, policy: who === "registrar" ? who : "clinic", scopes };
    const client = await outsideClient(phylax, issuer, who, grant);
    certificates.set(who, client.certificate);
    if (who === "reader" || who === "viewer") readers.set(who, { ...client.entries.clients[0] });
    const [first] = client.entries.grants;
    const breakGlass = { acr: ["urn:step-up"], maxSeconds: 600 };
    const grants = who === "emergency" ? [{ ...first, breakGlass }] : client.entries.grants;
    entries.push({ ...client.entries, grants });
    const claims = { client_id: who, scope: scopes, purpose };
    const of = (patient: string) => ({ ...claims, patient, fhirUser: `Patient/${patient}` });
    const person = { ...claims, acr: "urn:step-up", fhirUser: "Practitioner/vera", name: "Dr. Vera Lindt" };
    const sign = async (token: string, own: object) => {
      const auth = who === "emergency" ? { auth_time: Math.floor(Date.now() / 1_000) } : {};
      tokens.set(token, await outsideToken(issuer, client.certificate, { ...own, ...auth }));
    };
    signIns.push(async () => {
      await sign(who, who === "app" ? of("amara") : who === "emergency" ? person : claims);
      for (const patient of who === "app" ? ["bela", "dora"] : [])
        await sign(`app of ${patient}`, of(patient));
    });
  }
  const file = {
    issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })],
    policies: [policy("clinic"), policy("registrar", { consentRegistrar: true })],
  };
  const applied = await phylax.addRegistry(joined(file, ...entries));
  if (!applied.ok) throw new Error(JSON.stringify(applied));
  await phylax.applyRegistry({
    origins: [
      {
        name: "main",
        url: phylax.dev.origin,
        credentials: { kind: "none" },
        transactions: "atomic",
        honoursIfMatchOnDelete: true,
        storage: [{ base: files, bytesMax: 200 * mebibyte }],
      },
    ],
  });
  serveAt("film.example", film);
  elsewhere = await phylax.elsewhere();
  vi.useFakeTimers({ toFake: ["Date"] });
}, 60_000);
beforeEach(signIn);
afterAll(async () => {
  vi.useRealTimers();
  await phylax.close();
});

const ask = (who: Who, path: string, sending: Sending = {}, token: string = who) =>
  askAs(phylax, certificates.get(who), tokens.get(token) ?? "", path, sending);
const post = (resource: object): Sending => ({
  method: "POST",
  headers: { "content-type": "application/fhir+json" },
  body: JSON.stringify(resource),
});
/** The status of a clinic's read as soon as each lease has the changes of before (P4). */
const clinicReads = async (path: string) => {
  vi.setSystemTime(Date.now() + 6_000);
  return (await ask("clinic", path)).status;
};

const requestAs = (who: Who, path: string, sending: Sending = {}) =>
  requestOf(phylax.dev.clientCa.cert, certificates.get(who)?.cert, `${phylax.dev.fhir}/${path}`, {
    ...sending,
    headers: { ...sending.headers, authorization: `Bearer ${tokens.get(who) ?? ""}` },
  });

/** Files a Consent in another isolate, so that this isolate learns of the change by its next lease. */
async function fileElsewhere(method: string, path: string, resource?: object): Promise<string> {
  const sending = resource === undefined ? {} : post(resource);
  const request = requestAs("registrar", path, { ...sending, method });
  const response = await phylax.within(() => elsewhere(request));
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  vi.setSystemTime(Date.now() + 6_000);
  return /Consent\/([^/]+)/u.exec(response.headers.get("location") ?? "")?.[1] ?? "";
}

test("a Consent that changes between a question and its answer leads to a further judgement inside of the request: no 503", async ({
  expect,
}) => {
  const permit = { ...denial("cora"), provision: { type: "permit" } };
  const row = pulse("cora");
  const put: Sending = { ...post({ ...row, status: "amended" }), method: "PUT" };
  const bundle = (type: string, ...requests: readonly object[]) =>
    post({ resourceType: "Bundle", type, entry: requests });
  const get = { request: { method: "GET", url: "Observation/cora-pulse" } };
  const change = { request: { method: "PUT", url: "Observation/cora-pulse" }, resource: row };
  const ways: Readonly<Record<string, readonly [path: string, how?: Sending]>> = {
    read: ["Observation/cora-pulse"],
    page: ["Observation?_id=cora-pulse,bela-pulse"],
    history: ["Observation/cora-pulse/_history"],
    update: ["Observation/cora-pulse", put],
    batch: ["", bundle("batch", get, change)],
    transaction: ["", bundle("transaction", change)],
  };
  const seen: Record<string, unknown> = {};
  for (const [way, [path, how]] of Object.entries(ways)) {
    for (const [consent, isDenied] of [
      [permit, false],
      [denial("cora"), true],
    ] as const) {
      await ask("clinic", "Observation/cora-pulse"); // its Consents are known
      let id = "";
      amid = async () => void (id = await fileElsewhere("POST", "Consent", consent));
      const from = phylax.forwarded.length;
      const { status, text } = await ask("clinic", path, how);
      const puts = phylax.forwarded.slice(from).filter((each) => !/^GET |\/Consent/u.test(each)).length;
      const entries = text.match(/(?<="status":")\d+/gu) ?? [];
      const isShown = text.includes('"id":"cora-pulse"');
      seen[`${way}, ${isDenied ? "denied" : "permitted"}`] = [status, ...entries, isShown, puts];
      await fileElsewhere("DELETE", `Consent/${id}`);
    }
  }
  expect(seen, "the first of them is the first Consent of the origin").toEqual({
    "read, permitted": [200, true, 0],
    "read, denied": [404, false, 0],
    "page, permitted": [200, true, 0],
    "page, denied": [200, false, 0],
    "history, permitted": [200, "200", true, 0],
    "history, denied": [404, false, 0],
    "update, permitted": [200, true, 1],
    "update, denied": [404, false, 0],
    "batch, permitted": [200, "200", "200", true, 1],
    "batch, denied": [200, "404", "404", false, 0],
    "transaction, permitted": [200, "200", false, 1],
    "transaction, denied": [404, false, 0],
  });
});

/** Whether a long answer ends whole, if a Consent changes after its first window was read. */
async function endsWhole(consent: object): Promise<boolean> {
  const stream = await phylax.within(() =>
    phylax.fetch(requestAs("clinic", "Observation?_id=long-0,long-1,long-2,long-3,long-4,long-5")),
  );
  const reader = stream.body?.getReader();
  let text = "";
  const readOn = async () => {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    text += Buffer.from(value ?? new Uint8Array()).toString();
    return !done;
  };
  await readOn();
  const id = await fileElsewhere("POST", "Consent", consent);
  try {
    while (await readOn());
    return (JSON.parse(text) as { readonly entry: readonly unknown[] }).entry.length === 6;
  } catch {
    return false;
  } finally {
    await fileElsewhere("DELETE", `Consent/${id}`);
  }
}

test("a Consent that is added as a permit breaks no long answer; a denial of what is still to leave does", async ({
  expect,
}) => {
  const provision = (type: string) => ({ ...denial("cora"), provision: { type } });
  expect([await endsWhole(provision("permit")), await endsWhole(provision("deny"))]).toEqual([true, false]);
});

const ends: readonly (readonly [what: string, act: (who: Who) => Promise<unknown>])[] = [
  ["a withdrawal", () => fileElsewhere("POST", "Consent", denial("cora"))],
  ["the end of the lease", async () => void (isGuardDown = true)],
  [
    "a revocation",
    (who) => phylax.applyRegistry({ clients: [{ ...readers.get(who), status: "suspended" }] }),
  ],
];

test.skipIf(lane === "fast").for(ends)(
  "a reader that stopped reading 100 MiB of a content gets at most one window more than it took after %s",
  async ([, act], { expect }) => {
    await signIn();
    const row = JSON.parse((await ask("viewer", "DocumentReference/film")).text);
    const path = String(row.content[0].attachment.url).slice(`${phylax.dev.fhir}/`.length);
    const stream = await phylax.within(() =>
      phylax.fetch(requestAs("viewer", path, { headers: { accept: "*/*" } })),
    );
    const body = stream.body?.getReader();
    let taken = 0;
    const takeUpTo = async (most: number) => {
      for (;;) {
        const { done, value } = (await body?.read()) ?? { done: true, value: undefined };
        taken += value?.length ?? 0;
        if (done || taken >= most) return;
      }
    };
    expect(stream.status).toBe(200);
    await takeUpTo(3 * mebibyte);
    const before = taken;
    const done = await act("viewer");
    vi.setSystemTime(Date.now() + 10_000);
    await expect(takeUpTo(Infinity)).rejects.toThrow();
    expect([before, taken <= before + mebibyte]).toEqual([3 * mebibyte, true]);
    isGuardDown = false;
    if (typeof done === "string") await fileElsewhere("DELETE", `Consent/${done}`);
    vi.setSystemTime(Date.now() + 10_000);
    const events = await eventsOf(phylax.dev, stream.headers.get("x-request-id"));
    const windows = events.filter(({ kind }) => kind === "disclosure");
    expect(windows.length, "windows on record").toBeLessThanOrEqual(5);
    expect(events.at(-1)).toMatchObject({ kind: "aborted" });
  },
);

test.skipIf(lane === "fast").for(ends)(
  "a reader that stopped reading a long answer gets at most one window more than it took after %s",
  async ([what, act], { expect }) => {
    const ids = Array.from({ length: 10 }, (_, n) => `long-${n}`);
    const stream = await phylax.within(() =>
      phylax.fetch(requestAs("reader", `Observation?_id=${ids.join(",")}`)),
    );
    const body = stream.body?.getReader();
    const taken = [(await body?.read())?.value];
    const rows = () =>
      Buffer.concat(taken.flatMap((part) => part ?? []))
        .toString()
        .match(/"long-\d"/gu) ?? [];
    const before = rows().length;
    const done = await act("reader");
    vi.setSystemTime(Date.now() + 10_000);
    const rest = async () => {
      for (;;) {
        const { done: ended, value } = (await body?.read()) ?? { done: true, value: undefined };
        if (ended) return;
        taken.push(value);
      }
    };
    await expect(rest()).rejects.toThrow();
    expect(before, "the reader has a window").toBeGreaterThan(0);
    expect(new Set(rows()).size).toBeLessThanOrEqual(before + 2);
    isGuardDown = false;
    if (typeof done === "string") await fileElsewhere("DELETE", `Consent/${done}`);
    vi.setSystemTime(Date.now() + 10_000);
    const events = await eventsOf(phylax.dev, stream.headers.get("x-request-id"));
    expect(
      events.filter(({ kind }) => kind === "disclosure").length,
      "windows on record",
    ).toBeLessThanOrEqual(2);
    expect(events.at(-1)).toMatchObject({ kind: "aborted" });
    await signIn();
    const { status } = await ask("reader", "Observation/cora-pulse");
    expect(status, "afterwards").toBe(what === "a revocation" ? 401 : 200);
  },
);

const roundsMax = inLane({ fast: 1, slow: 3, long: 20 });
const floodTimeout = 30_000 * roundsMax; // a machine with other work needs thrice the time

/** Amara denies everything, and takes it back, some times, while a flood of filings is pending. */
async function denialsAmid(flood: () => readonly Promise<Reply>[]) {
  let open = () => {};
  [isHolding, gate, filings] = [true, new Promise((resolve) => (open = resolve)), 0];
  const flooding = flood();
  let answered = 0;
  for (const each of flooding) void each.then(() => (answered += 1));
  while (answered + filings < flooding.length) await new Promise((resolve) => setTimeout(resolve, 10));
  isHolding = false;
  const rounds = [];
  for (let round = 0; round < roundsMax; round += 1) {
    await signIn();
    const created = await ask("app", "Consent", post(denial("amara")));
    const hidden = await clinicReads("Observation/amara-pulse");
    const [, id = ""] = /Consent\/([^/]+)/u.exec(created.headers["location"] ?? "") ?? [];
    const ended = await ask("app", `Consent/${id}`, { method: "DELETE" });
    rounds.push([created.status, hidden, ended.status]);
  }
  open();
  const replies = await Promise.all(flooding);
  rounds.push(await clinicReads("Observation/amara-pulse"));
  return { rounds, replies };
}

/** A filing that waits longer than ten seconds, or beyond a quota, is answered so, with the time for a repetition. */
const isFloodsOwn = ({ status, headers }: Reply) =>
  status === 201 || ([429, 503].includes(status) && Number(headers["retry-after"]) > 0);

test("a gateway that answers a denial or its withdrawal with a success applies it at once, before any delta", async ({
  expect,
}) => {
  const reads = async () => (await ask("clinic", "Observation/dora-pulse")).status;
  const seen = [await reads()];
  const created = await ask("app", "Consent", post(denial("dora")), "app of dora");
  seen.push(created.status, await reads());
  const [, id = ""] = /Consent\/([^/]+)/u.exec(created.headers["location"] ?? "") ?? [];
  seen.push((await ask("app", `Consent/${id}`, { method: "DELETE" }, "app of dora")).status, await reads());
  expect(seen).toEqual([200, 201, 404, 204, 200]);
});

test("of the 100 Consents in force that clients without authority have for a patient a client takes half; the patient and a registrar file on", async ({
  expect,
}) => {
  const marketing = {
    ...denial("bela"),
    provision: {
      type: "deny",
      purpose: [{ system: `${thp}v3-ActReason`, code: "HMARKT" }],
    },
  };
  const create = async (who: Who, token?: string) =>
    (await ask(who, "Consent", post(marketing), token)).status;
  const entry = Array.from({ length: 48 }, () => ({
    request: { method: "POST", url: "Consent" },
    resource: marketing,
  }));
  await ask("clinic", "", post({ resourceType: "Bundle", type: "transaction", entry }));
  const statuses = [];
  for (let n = 0; n < 8; n += 1) statuses.push(await create(n % 2 === 0 ? "clinic" : "flood-1"));
  expect(statuses).toEqual([201, 201, 201, 201, 422, 201, 422, 201]);
  expect([await create("registrar"), await create("app", "app of bela")]).toEqual([201, 201]);
});

const inForceEachTime = [...Array.from({ length: roundsMax }, () => [201, 404, 204]), 200];

test(
  "a patient's denial and its withdrawal are in force while three clients flood the filing of Consents",
  async ({ expect }) => {
    const flooded = many.slice(0, 70);
    const { rounds, replies } = await denialsAmid(() =>
      floods.flatMap((who) => flooded.map((patient) => ask(who, "Consent", post(denial(patient))))),
    );
    expect(rounds).toEqual(inForceEachTime);
    expect(replies.filter((reply) => !isFloodsOwn(reply)).map(({ text }) => text)).toEqual([]);
    const onFile = await phylax.consentsOf(flooded);
    const isInForce = (who: string, n: number) => onFile[n]?.consents.some(({ filedBy }) => filedBy === who);
    const said = floods.flatMap((who, f) =>
      flooded.map((_, n) => replies[f * flooded.length + n]?.status === 201 && !isInForce(who, n)),
    );
    expect(said.filter(Boolean), "each that is answered as stored is in force").toEqual([]);
  },
  floodTimeout,
);

test.skipIf(lane === "fast")(
  "a patient's denial is in force while another patient of the same app floods the filing of Consents",
  async ({ expect }) => {
    const { rounds, replies } = await denialsAmid(() =>
      [...many, ...many].map(() => ask("app", "Consent", post(denial("bela")), "app of bela")),
    );
    expect(rounds).toEqual(inForceEachTime);
    expect(replies.filter((reply) => !isFloodsOwn(reply)).map(({ text }) => text)).toEqual([]);
  },
  floodTimeout,
);

/** The patients for whom a denial is in force. */
const denied = async () => {
  const found = await phylax.consentsOf(many);
  return many.filter((_, n) =>
    found[n]?.consents.some(
      ({ form, filedBy }) =>
        filedBy === "registrar" && readStoredForm(form).readings[0]?.root.effect === "deny",
    ),
  );
};

test.skipIf(lane === "fast")(
  "of a registrar's transaction of 250 denials each is in force, or its entry says that it is not",
  async ({ expect }) => {
    const bundle = (patients: readonly string[]) => ({
      resourceType: "Bundle",
      type: "transaction",
      entry: patients.map((patient) => ({
        request: { method: "POST", url: "Consent" },
        resource: denial(patient),
      })),
    });
    [filings, failsAt] = [0, 3];
    const partly = await ask("registrar", "", post(bundle(many)));
    const { issue = [] } = JSON.parse(partly.text) as {
      readonly issue?: readonly {
        readonly severity: string;
        readonly details?: { readonly text?: string };
      }[];
    };
    const inForce = await denied();
    expect([partly.status, inForce.length, issue.length]).toEqual([502, 240, 250]);
    expect(
      many.filter((_, n) => issue[n]?.severity === "error"),
      "those that are not in force",
    ).toEqual(many.filter((patient) => !inForce.includes(patient)));

    failsAt = Infinity;
    const whole = await ask("registrar", "", post(bundle(many)));
    expect([whole.status, (await denied()).length]).toEqual([200, 250]);
  },
  60_000,
);

test("a patient with more Consents at the origin than are read has her rows withheld from staff alone: she, an emergency and the registrar go on", async ({
  expect,
}) => {
  const small = Array.from({ length: 1_050 }, (_, n) => `small-${n}`);
  const headersOf = { "content-type": "application/fhir+json" };
  for (const id of small) {
    const permit = { ...denial("amara"), id, provision: { type: "permit" } };
    const how = { method: "PUT", headers: headersOf, body: JSON.stringify(permit) };
    const stored = await phylax.within(() => fetch(`${phylax.dev.origin}/Consent/${id}`, how));
    if (!stored.ok) throw new Error(await stored.text());
  }
  await phylax.applyRegistry({
    origins: [
      {
        name: "main",
        url: phylax.dev.origin,
        credentials: { kind: "none" },
        transactions: "atomic",
        honoursIfMatchOnDelete: true,
        consents: { readEverySeconds: 60 },
      },
    ],
  });
  vi.setSystemTime(Date.now() + 60_000);
  const page = async () => {
    const reply = await ask("clinic", "Observation?_id=amara-pulse,cora-pulse");
    const { entry = [] } = JSON.parse(reply.text) as {
      readonly entry?: readonly { readonly resource: { readonly id: string } }[];
    };
    return [reply.status, ...entry.map(({ resource }) => resource.id)];
  };
  expect(await page(), "the rows of other patients arrive").toEqual([200, "cora-pulse"]);
  expect((await ask("clinic", "Observation/amara-pulse")).status).toBe(404);
  expect((await ask("app", "Observation/amara-pulse")).status).toBe(200);
  const headers = { "phylax-purpose": "BTG", "phylax-justification": "Unconscious after a fall" };
  expect((await ask("emergency", "Observation/amara-pulse", { headers })).status).toBe(200);
  expect((await ask("registrar", "Consent?patient=amara&_count=10")).status).toBe(200);

  for (const some of [small.slice(0, 30), small.slice(30, 60)]) {
    const entry = some.map((id) => ({ request: { method: "DELETE", url: `Consent/${id}` } }));
    const deleted = await ask("registrar", "", post({ resourceType: "Bundle", type: "batch", entry }));
    expect([deleted.status, deleted.text.match(/"204/gu)?.length]).toEqual([200, 30]);
  }
  vi.setSystemTime(Date.now() + 60_000);
  expect(await page()).toEqual([200, "amara-pulse", "cora-pulse"]);
}, 60_000);

test("a few long Consents of a patient at the origin count as too many, too: another patient's row arrives", async ({
  expect,
}) => {
  const long = Array.from({ length: 5 }, (_, n) => ({
    ...denial("dora"),
    id: `long-${n}`,
    provision: { type: "permit", code: [{ coding: [{ system: "urn:c", code: `${n}`.repeat(60_000) }] }] },
  }));
  const put = async (consent: { readonly id: string; readonly provision: object }) => {
    const how = {
      method: "PUT",
      headers: { "content-type": "application/fhir+json" },
      body: JSON.stringify(consent),
    };
    expect((await phylax.within(() => fetch(`${phylax.dev.origin}/Consent/${consent.id}`, how))).ok).toBe(
      true,
    );
  };
  const clinicFinds = async () => {
    vi.setSystemTime(Date.now() + 60_000);
    const { text } = await ask("clinic", "Observation?_id=dora-pulse,cora-pulse");
    return [...text.matchAll(/"id":"(\w+-pulse)"/gu)].map(([, id]) => id);
  };
  for (const consent of long.slice(0, 4)) await put({ ...consent, provision: { type: "permit" } });
  expect(await clinicFinds()).toEqual(["dora-pulse", "cora-pulse"]);
  for (const consent of long) await put(consent);
  expect(await clinicFinds()).toEqual(["cora-pulse"]);
  expect((await ask("app", "Observation/dora-pulse", {}, "app of dora")).status).toBe(200);
  const headers = { "phylax-purpose": "BTG", "phylax-justification": "Unconscious after a fall" };
  expect((await ask("emergency", "Observation/dora-pulse", { headers })).status).toBe(200);
}, 60_000);
