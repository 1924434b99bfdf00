import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { readStoredForm } from "#policy/consent/stored-form";
import { eventsOf } from "../support/auditor.ts";
import { to } from "../support/fhir-parts.ts";
import {
  askAs,
  askPatiently,
  issuerEntry,
  joined,
  outsideClient,
  outsider,
  outsideToken,
  starterPolicy,
} from "../support/outside.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { patience } from "../support/patience.ts";

const thp = "http://terminology.hl7.org/CodeSystem/";
const consent = (patient: string, more: object = {}) => ({
  resourceType: "Consent",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
  patient: to(`Patient/${patient}`),
  dateTime: "2026-11-01",
  policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: "OPTIN" }] },
  provision: { type: "permit", purpose: [{ system: `${thp}v3-ActReason`, code: "TREAT" }] },
  ...more,
});
const world = [
  { resourceType: "Patient" as const, id: "amara" },
  { resourceType: "Patient" as const, id: "bela", identifier: [{ system: "urn:mrn", value: "b" }] },
  { resourceType: "Patient" as const, id: "dora", identifier: [{ system: "urn:mrn", value: "two" }] },
  { resourceType: "Patient" as const, id: "emil", identifier: [{ system: "urn:mrn", value: "two" }] },
  {
    resourceType: "Observation" as const,
    id: "emil-pulse",
    status: "final" as const,
    effectiveDateTime: "2026-01-01", // within the dates of service of both APIs
    code: { text: "pulse" },
    subject: to("Patient/emil"),
  },
  ...Array.from({ length: 12 }, (_, n) => ({
    resourceType: "Observation" as const,
    id: `dora-${n}`,
    status: "final" as const,
    code: { text: "a long note" },
    subject: to("Patient/dora"),
    note: [{ text: "n".repeat(300_000) }],
  })),
];
const policy = (name: string, more: object = {}) => ({
  name,
  body: {
    format: "phylax.policy.v1",
    name,
    title: "Consents",
    purposes: ["PATRQT", "TREAT"],
    rules: [
      {
        types: ["Consent", "Patient", "Observation", "DocumentReference"],
        interactions: ["read", "search", "create", "update", "delete"],
        show: "everything",
        why: "45 CFR 164.508: the individual's authorization.",
        examples: [{ says: "It may be read.", request: "Consent/1", is: "permitted" }],
      },
    ],
    ...more,
  },
});

type Who = "app" | "clinic" | "registrar" | "clerk" | "new-payer" | "network";
const npi = "http://hl7.org/fhir/sid/us-npi";
const [here, newPayer] = ["1234567893", "1999999992"];
const clients = {
  app: {
    purpose: "PATRQT",
    policy: "consents",
    scope: "patient/*.cruds",
    claims: { patient: "amara", fhirUser: "Patient/amara" },
  },
  clinic: { purpose: "TREAT", policy: "consents", scope: "system/*.cruds", claims: {} },
  registrar: { purpose: "TREAT", policy: "registrar", scope: "system/*.cruds", claims: {} },
  clerk: { purpose: "TREAT", policy: "clerk", scope: "system/*.cruds", claims: {} },
  "new-payer": { purpose: "COVERAGE", policy: "payer-to-payer", scope: "system/*.rs", claims: {} },
  network: { purpose: "TREAT", policy: "provider-access", scope: "system/*.rs", claims: {} },
} as const;
const certificates = new Map<Who, CertificateFiles>();
const tokens = new Map<Who, string>();
let isDeskDown = false;
let answersLeft = Infinity; // of `control` to a question for Consents
let onFiled = () => {};
let phylax: Door;

beforeAll(async () => {
  phylax = await startDoor({
    resources: world,
    remote: async (part, act, method) => {
      // Consents are read all the same: whether a copy is young enough not to be read again depends on the load.
      if (isDeskDown && part === "consents" && method !== "of") throw new Error("control does not answer");
      if (part === "consents" && method === "of" && answersLeft-- <= 0) throw new Error("control is busy");
      const answer = await act();
      if (part === "consents" && method === "file") onFiled();
      return answer;
    },
  });
  const issuer = await outsider("https://consents.example", "phylax");
  const entries = [];
  for (const who of ["app", "clinic", "registrar", "clerk", "new-payer", "network"] as const) {
    const organization = who === "new-payer" ? [`${npi}|${newPayer}`] : undefined;
    const { purpose, policy: name, scope, claims } = clients[who];
    const grant = { purpose, policy: name, scopes: scope };
    const { certificate, entries: own } = await outsideClient(phylax, issuer, who, grant, { organization });
    certificates.set(who, certificate);
    entries.push(own);
    tokens.set(who, await outsideToken(issuer, certificate, { client_id: who, scope, purpose, ...claims }));
  }
  const file = {
    issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })],
    policies: [
      policy("consents"),
      policy("registrar", { consentRegistrar: true, operations: ["fileConsent", "revokeConsent"] }),
      policy("clerk", {
        operations: ["revokeConsent"],
        rules: [
          {
            types: ["Consent"],
            interactions: ["read", "search", "create", "update"],
            show: ["status", "identifier", "patient.reference"],
            why: "A clerk who may not see the identifier of the patient of a Consent.",
            examples: [{ says: "It may be read.", request: "Consent/1", is: "permitted" }],
          },
        ],
      }),
      starterPolicy("payer-to-payer"),
      starterPolicy("provider-access"),
    ],
  };
  const applied = await phylax.addRegistry(joined(file, ...entries));
  if (!applied.ok) throw new Error(JSON.stringify(applied));
  await phylax.applyRegistry({
    origins: [
      {
        name: "main",
        url: phylax.dev.origin,
        credentials: { kind: "none" },
        organization: [`${npi}|${here}`],
        transactions: "atomic",
        honoursIfMatchOnDelete: true,
      },
    ],
  });
}, 60_000);
// also after a test that failed: the next begins without Consents
afterEach(async () => {
  isDeskDown = false;
  [answersLeft, onFiled] = [Infinity, () => {}];
  await clear();
});
afterAll(async () => {
  await phylax.close();
  vi.useRealTimers();
});

const ask = (who: Who, path: string, sending: Sending = {}) =>
  askPatiently(
    () => askAs(phylax, certificates.get(who), tokens.get(who) ?? "", path, sending),
    sending,
    () => isDeskDown,
  );
const sending = (method: string, resource: object, type = "application/fhir+json"): Sending => ({
  method,
  headers: { "content-type": type },
  body: JSON.stringify(resource),
});
const idOf = ({ headers }: Reply) =>
  /Consent\/(?<id>[^/]+)/u.exec(headers["location"] ?? "")?.groups?.["id"] ?? "";
/** `active` or not, `mayPermit` and the filing client of each Consent in force. */
const inForce = async (patient: string) =>
  (await phylax.consentsOf([patient]))[0]?.consents.map(({ form, mayPermit, filedBy }) => [
    filedBy,
    mayPermit,
    readStoredForm(form).readings[0]?.root.effect,
  ]);
const clear = async () => {
  for (const patient of ["amara", "bela", "dora"]) {
    const found = JSON.parse((await ask("registrar", `Consent?patient=${patient}`)).text) as {
      readonly entry?: readonly { readonly resource: { readonly id: string } }[];
    };
    for (const { resource } of found.entry ?? [])
      await ask("registrar", `Consent/${resource.id}`, { method: "DELETE" });
  }
};

test("a Consent is in force when its answer arrives: it permits if the patient's own token or a registrar filed it", async ({
  expect,
}) => {
  const created = await ask("app", "Consent", sending("POST", consent("amara")));
  expect(created.status).toBe(201);
  expect(await inForce("amara")).toEqual([["app", true, "permit"]]);
  expect((await ask("clinic", "Consent", sending("POST", consent("bela")))).status).toBe(201);
  expect((await ask("registrar", "Consent", sending("POST", consent("bela")))).status).toBe(201);
  expect(await inForce("bela")).toEqual(
    expect.arrayContaining([
      ["clinic", false, "permit"],
      ["registrar", true, "permit"],
    ]),
  );
  expect((await ask("app", "Consent", sending("POST", consent("bela")))).status, "of another patient").toBe(
    403,
  );
  await clear();
  expect(await inForce("bela"), "a deleted Consent is in force no longer").toEqual([]);
});

test("a Consent ends by an update, a patch or a deletion, also inside a batch or a transaction", async ({
  expect,
}) => {
  const withdraw = { ...consent("amara"), status: "inactive" };
  const patch = [{ op: "replace", path: "/status", value: "inactive" }];
  const bundleOf = (type: string, id: string) =>
    sending("POST", {
      resourceType: "Bundle",
      type,
      entry: [
        { request: { method: "PUT", url: `Consent/${id}` }, resource: { ...withdraw, id } },
        { request: { method: "POST", url: "Consent" }, resource: consent("bela", { id: undefined }) },
      ],
    });
  const ways: Readonly<Record<string, (id: string) => Promise<Reply>>> = {
    update: (id) => ask("app", `Consent/${id}`, sending("PUT", { ...withdraw, id })),
    patch: (id) => ask("app", `Consent/${id}`, sending("PATCH", patch, "application/json-patch+json")),
    delete: (id) => ask("app", `Consent/${id}`, { method: "DELETE" }),
    batch: (id) => ask("registrar", "", bundleOf("batch", id)),
    transaction: (id) => ask("registrar", "", bundleOf("transaction", id)),
  };
  for (const [way, end] of Object.entries(ways)) {
    const created = await ask("app", "Consent", sending("POST", consent("amara")));
    expect(await inForce("amara"), way).toEqual([["app", true, "permit"]]);
    const ended = await end(idOf(created));
    expect(ended.status, `${way} ${ended.text}`).toBeLessThan(300);
    expect(await inForce("amara"), way).toEqual([]);
    expect((await inForce("bela"))?.length, way).toBe(way === "batch" || way === "transaction" ? 1 : 0);
    await clear();
  }
});

test("a client that is no registrar takes no denial away: it cannot change or delete a Consent in any way", async ({
  expect,
}) => {
  // of a different purpose: a denial that holds for the client hides the Consent itself from it, once it knows it
  const marketing = { type: "deny", purpose: [{ system: `${thp}v3-ActReason`, code: "HMARKT" }] };
  const denial = { ...consent("bela"), provision: marketing };
  const id = idOf(await ask("registrar", "Consent", sending("POST", denial)));
  const ended = { ...denial, id, status: "inactive" };
  const inBundle = (type: string) =>
    sending("POST", {
      resourceType: "Bundle",
      type,
      entry: [{ request: { method: "DELETE", url: `Consent/${id}` } }],
    });
  const patch = [{ op: "replace", path: "/status", value: "inactive" }];
  for (const [path, how] of [
    [`Consent/${id}`, sending("PUT", ended)],
    [`Consent?_id=${id}`, sending("PUT", ended)],
    [`Consent/${id}`, sending("PATCH", patch, "application/json-patch+json")],
    [`Consent/${id}`, { method: "DELETE" }],
    [`Consent?_id=${id}`, { method: "DELETE" }],
    ["", inBundle("batch")],
    ["", inBundle("transaction")],
  ] as const) {
    const reply = await ask("clinic", path, how);
    expect(path === "" && reply.status === 200 ? reply.text : `${reply.status}`).toMatch(/403/u);
    expect(await inForce("bela")).toEqual([["registrar", true, "deny"]]);
  }
  await clear();
});

test("a Consent that cannot be filed is answered 503 and stands so on record, and it is not in force", async ({
  expect,
}) => {
  const id = idOf(await ask("app", "Consent", sending("POST", consent("amara"))));
  isDeskDown = true;
  const created = await ask("registrar", "Consent", sending("POST", consent("bela")));
  const batch = await ask(
    "registrar",
    "",
    sending("POST", {
      resourceType: "Bundle",
      type: "batch",
      entry: [{ request: { method: "POST", url: "Consent" }, resource: consent("bela") }],
    }),
  );
  isDeskDown = false;
  expect(created.status).toBe(503);
  expect(created.text).toContain("not in force");
  expect(batch.text).toContain("not in force");
  const events = await eventsOf(phylax.dev, created.headers["x-request-id"]);
  expect(events.map(({ kind, outcome }) => [kind, outcome])).toEqual([
    ["intent", undefined],
    ["write", { status: 503, reason: "consent_not_filed" }],
  ]);
  expect(await inForce("bela")).toEqual([]);
  expect(await inForce("amara"), id).toEqual([["app", true, "permit"]]);
  await clear();
});

test("a Consent that was not filed is filed when its request comes again: a keyed write, If-None-Exist, a deletion", async ({
  expect,
}) => {
  const resource = consent("bela", { identifier: [{ system: "urn:again", value: "1" }] });
  const down = async (act: () => Promise<Reply>) => {
    isDeskDown = true;
    const reply = await act();
    isDeskDown = false;
    expect(reply.status, reply.text).toBe(503);
    expect(reply.text).toContain("not in force");
  };
  const ifNone = { "if-none-exist": "identifier=urn:again|1" };
  for (const headers of [{ "idempotency-key": '"consent-again-1"' }, ifNone] as const) {
    const how = sending("POST", resource);
    const create = () => ask("registrar", "Consent", { ...how, headers: { ...how.headers, ...headers } });
    await down(create);
    expect(await inForce("bela")).toEqual([]);
    const again = await create();
    expect(again.status, again.text).toBeLessThan(300);
    expect(await inForce("bela")).toEqual([["registrar", true, "permit"]]);
    // found by a client that may not change it: it stays as it was filed
    expect((await ask("clinic", "Consent", { ...how, headers: { ...how.headers, ...ifNone } })).status).toBe(
      200,
    );
    expect(await inForce("bela")).toEqual([["registrar", true, "permit"]]);
    const id = idOf(again);
    const remove = () => ask("registrar", `Consent/${id}`, { method: "DELETE" });
    await down(remove);
    expect((await inForce("bela"))?.length).toBe(1);
    expect((await remove()).status, "it is gone").toBe(404);
    expect(await inForce("bela")).toEqual([]);
  }
});

test("a Consent that a transaction finds by its condition is filed before the transaction counts as done", async ({
  expect,
}) => {
  const resource = consent("bela", { identifier: [{ system: "urn:again", value: "2" }] });
  const request = { method: "POST", url: "Consent", ifNoneExist: "identifier=urn:again|2" };
  const entry = [{ request, resource }, { request: { method: "GET", url: "Patient/bela" } }];
  const create = () =>
    ask("registrar", "", sending("POST", { resourceType: "Bundle", type: "transaction", entry }));
  isDeskDown = true;
  expect((await create()).status, "done in part").toBe(502);
  expect((await create()).status, "it is found, and not filed").toBe(503);
  isDeskDown = false;
  expect(await inForce("bela")).toEqual([]);
  expect((await create()).status).toBe(200);
  expect(await inForce("bela")).toEqual([["registrar", true, "permit"]]);
});

test("a batch or a transaction is judged by the Consents that it files: its reads, its bodies, and in a batch its later writes", async ({
  expect,
}) => {
  const idAfter = async (type: string, more: object) => {
    const made = await ask("registrar", type, sending("POST", { resourceType: type, ...more }));
    return made.headers["location"]?.split("/").at(-3) ?? "";
  };
  const [permit, deny] = [{ type: "permit" }, { type: "deny" }];
  const answers: unknown[] = [];
  for (const [type, provision] of [
    ["batch", permit],
    ["batch", deny],
    ["transaction", permit],
    ["transaction", deny],
  ] as const) {
    // of its own patient: the isolate may know the Consents of the turn before for some seconds
    const patient = await idAfter("Patient", {});
    const pulse = { status: "final", code: { text: "pulse" }, subject: to(`Patient/${patient}`) };
    const id = await idAfter("Observation", pulse);
    const write = { request: { method: "POST", url: "Consent" }, resource: consent(patient, { provision }) };
    const read = { request: { method: "GET", url: `Observation/${id}` } };
    const later = {
      request: { method: "PUT", url: `Observation/${id}` },
      resource: { resourceType: "Observation", ...pulse, id },
    };
    const again = {
      request: { method: "POST", url: "Observation", ifNoneExist: `_id=${id}` },
      resource: { resourceType: "Observation", ...pulse },
    };
    const how = sending("POST", { resourceType: "Bundle", type, entry: [read, later, write, again] });
    const headers = { ...how.headers, prefer: "return=representation" };
    const answer = await ask("registrar", "", { ...how, headers });
    expect(answer.status, answer.text).toBe(200);
    const { entry } = JSON.parse(answer.text) as {
      readonly entry: readonly {
        readonly response: { readonly status: string };
        readonly resource?: object;
      }[];
    };
    answers.push(
      entry.map(({ response, resource }) => [response.status.slice(0, 3), resource !== undefined]),
    );
  }
  const all = [
    ["200", true],
    ["200", true],
    ["201", true],
    ["200", true],
  ];
  expect(answers).toEqual([
    all,
    // the denial is about writing too: the later write is as for an absent row, and If-None-Exist names no address
    [
      ["404", false],
      ["404", false],
      ["201", true],
      ["403", false],
    ],
    all,
    // a transaction is decided before any of it is done
    [
      ["404", false],
      ["200", false],
      ["201", true],
      ["200", false],
    ],
  ]);
});

test("a Consent that names its patient by an identifier is filed for the only Patient who has it, or refused", async ({
  expect,
}) => {
  const mrn = (value: string) => ({ patient: { identifier: { system: "urn:mrn", value } } });
  const created = await ask("registrar", "Consent", sending("POST", consent("bela", mrn("b"))));
  expect(created.status, created.text).toBe(201);
  expect(await inForce("bela")).toEqual([["registrar", true, "permit"]]);
  await ask("registrar", `Consent/${idOf(created)}`, { method: "DELETE" });
  expect(await inForce("bela")).toEqual([]);
  for (const patient of [
    mrn("nobody"),
    mrn("two"),
    { patient: { display: "Bela" } },
    { patient: undefined },
  ]) {
    const refused = await ask("registrar", "Consent", sending("POST", consent("bela", patient)));
    expect([refused.status, refused.text.includes("names no patient")], JSON.stringify(patient)).toEqual([
      422,
      true,
    ]);
  }
  const inactive = consent("bela", { ...mrn("nobody"), status: "draft" });
  expect((await ask("registrar", "Consent", sending("POST", inactive))).status).toBe(201);
});

/** Provisions of a Consent: as many as a Consent in force may have, and one more. */
const provisionsOf = (count: number) => ({
  type: "permit",
  provision: Array.from({ length: count - 1 }, () => ({ type: "deny" })),
});
const criteriaOf = (count: number) => {
  const coding = Array.from({ length: count - 1 }, (_, n) => ({ system: "urn:c", code: `c${n}` }));
  return { type: "deny", code: [{ coding }] }; // the concept counts too
};
const tooLong = {
  "51 provisions": provisionsOf(51),
  "66,000 characters of codes": {
    type: "deny",
    code: [{ coding: [{ system: "urn:c", code: "x".repeat(66_000) }] }],
  },
  "1,001 criteria in one provision": criteriaOf(1_001),
  "1,001 criteria in several provisions": {
    type: "permit",
    provision: [
      criteriaOf(400),
      { type: "deny", provision: [criteriaOf(600), { class: [{ code: "Observation" }] }] },
    ],
  },
};

test.for(Object.entries(tooLong))(
  "a Consent in force with %s is refused in every way of writing: on record, not in force, and the origin gets no write",
  async ([, provision], { expect }) => {
    const id = idOf(await ask("registrar", "Consent", sending("POST", consent("bela"))));
    const draft = idOf(
      await ask("registrar", "Consent", sending("POST", consent("bela", { status: "draft", provision }))),
    );
    const before = await inForce("bela");
    const long = consent("bela", { provision });
    const patch = (path: string, value: unknown) =>
      sending("PATCH", [{ op: "replace", path, value }], "application/json-patch+json");
    const bundleOf = (type: string, ...entry: readonly object[]) =>
      sending("POST", { resourceType: "Bundle", type, entry });
    const create = { request: { method: "POST", url: "Consent" }, resource: long };
    const update = { request: { method: "PUT", url: `Consent/${id}` }, resource: { ...long, id } };
    const short = { request: { method: "POST", url: "Consent" }, resource: consent("bela") };
    const conditional = sending("POST", long);
    const ways: Readonly<Record<string, readonly [path: string, how: Sending]>> = {
      create: ["Consent", sending("POST", long)],
      "conditional create": [
        "Consent",
        { ...conditional, headers: { ...conditional.headers, "if-none-exist": "identifier=urn:none|1" } },
      ],
      "create under a key": [
        "Consent",
        { ...conditional, headers: { ...conditional.headers, "idempotency-key": `"${id}"` } },
      ],
      update: [`Consent/${id}`, sending("PUT", { ...long, id })],
      "conditional update": [`Consent?_id=${id}`, sending("PUT", { ...long, id })],
      patch: [`Consent/${id}`, patch("/provision", provision)],
      "patch of a draft": [`Consent/${draft}`, patch("/status", "active")],
      batch: ["", bundleOf("batch", create, update)],
      "transaction of a create": ["", bundleOf("transaction", short, create)],
      "transaction of an update": ["", bundleOf("transaction", short, update)],
    };
    for (const [way, [path, how]] of Object.entries(ways)) {
      const from = phylax.forwarded.length;
      const reply = await ask("registrar", path, how);
      const faces = way === "batch" ? reply.text.match(/"status":"\d+/gu) : [`"status":"${reply.status}`];
      expect(new Set(faces), `${way} ${reply.text}`).toEqual(new Set(['"status":"422']));
      expect(reply.text, way).toContain("more than 50 provisions, 1,000 criteria or 64 KiB");
      const written = phylax.forwarded.slice(from).filter((each) => !/^GET |_search$/u.test(each));
      expect(written, way).toEqual([]);
      const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
      const refused = events.filter(({ outcome }) => outcome?.reason === "consent_too_long");
      expect(refused.length, way).toBe(way === "batch" ? 2 : 1);
      expect(
        events.filter(({ kind }) => kind === "intent" || kind === "write"),
        way,
      ).toEqual([]);
      expect(await inForce("bela"), way).toEqual(before);
    }
  },
);

test("a Consent of 50 provisions, or of 1,000 criteria, is in force; a longer one that stands at the origin can be ended and deleted", async ({
  expect,
}) => {
  for (const provision of [provisionsOf(50), criteriaOf(1_000)]) {
    const created = await ask("app", "Consent", sending("POST", consent("amara", { provision })));
    expect(created.status, created.text).toBe(201);
    expect((await inForce("amara"))?.length).toBe(1);
    await clear();
  }
  const standing = ["long-1", "long-2"].map((id) =>
    consent("amara", { id, provision: tooLong["51 provisions"] }),
  );
  phylax.origin.load(standing as never);
  const ended = { ...standing[0], status: "inactive" };
  const update = await ask("app", "Consent/long-1", sending("PUT", ended));
  expect(update.status, update.text).toBe(200);
  expect((await ask("app", "Consent/long-2", { method: "DELETE" })).status).toBe(204);
});

test("$fileConsent and $revokeConsent of HL7 FAST file a Consent with its document, and end it without a deletion", async ({
  expect,
}) => {
  const parameters = (...list: readonly (readonly [name: string, value: object])[]) =>
    sending("POST", {
      resourceType: "Parameters",
      parameter: list.map(([name, value]) =>
        "resourceType" in value ? { name, resource: value } : { name, valueReference: value },
      ),
    });
  const form = {
    resourceType: "DocumentReference",
    id: "form",
    status: "current",
    subject: to("Patient/bela"),
    content: [{ attachment: { contentType: "text/plain", title: "signed" } }],
  };
  const byMrn = { identifier: { system: "urn:mrn", value: "b" } };
  const fast = consent("bela", {
    identifier: [{ system: "urn:fast", value: "7" }],
    patient: byMrn,
    policyRule: { coding: [{ system: `${thp}consentpolicycodes`, code: "hipaa-auth" }] },
    sourceReference: to("DocumentReference/form"),
  });
  const filed = await ask(
    "registrar",
    "Consent/$fileConsent",
    parameters(["consent", fast], ["document", form]),
  );
  expect([filed.status, filed.text.includes("OperationOutcome")], filed.text).toEqual([200, true]);
  expect(await inForce("bela")).toEqual([["registrar", true, "permit"]]);
  const found = JSON.parse((await ask("registrar", "Consent?identifier=urn:fast|7")).text) as {
    readonly entry: readonly {
      readonly resource: { readonly id: string; readonly sourceReference: { readonly reference: string } };
    }[];
  };
  const [stored] = found.entry;
  const source = stored?.resource.sourceReference.reference ?? "";
  expect(source).toMatch(/^DocumentReference\//u);
  expect((await ask("registrar", source)).status, "the document is stored too").toBe(200);

  const logical = { identifier: { system: "urn:fast", value: "7" } };
  const foreign = parameters(["consent", logical], ["patient", to("Patient/amara")]);
  expect((await ask("registrar", "Consent/$revokeConsent", foreign)).status, "another patient's").toBe(404);
  const revoke = parameters(["consent", logical], ["patient", byMrn]);
  expect((await ask("clinic", "Consent/$revokeConsent", revoke)).status, "no registrar").toBe(403);
  expect((await inForce("bela"))?.length).toBe(1);
  const guess = await ask("clerk", "Consent/$revokeConsent", revoke);
  expect(guess.status, "a right guess at the hidden patient").toBe(404);
  const revoked = await ask("registrar", "Consent/$revokeConsent", revoke);
  expect(revoked.status, revoked.text).toBe(200);
  expect(await inForce("bela")).toEqual([]);
  const after = await ask("registrar", `Consent/${stored?.resource.id ?? ""}`);
  expect([after.status, after.text.includes('"inactive"')]).toEqual([200, true]);

  for (const [operation, ...list] of [
    ["$fileConsent", ["consent", fast]],
    ["$fileConsent", ["consent", { ...fast, status: "inactive" }], ["document", form]],
    ["$fileConsent", ["consent", form], ["document", form]],
    ["$fileConsent", ["consent", fast], ["document", form], ["note", form]],
    ["$revokeConsent", ["consent", logical]],
    ["$revokeConsent", ["consent", byMrn], ["patient", { display: "Bela" }]],
  ] as const)
    expect((await ask("registrar", `Consent/${operation}`, parameters(...list))).status).toBe(422);
  expect(
    (await ask("app", "Consent/$fileConsent", parameters(["consent", fast]))).status,
    "not granted",
  ).toBe(403);
  const statement = (await ask("registrar", "metadata")).text;
  for (const name of ["fileConsent", "revokeConsent"]) expect(statement).toContain(`"${name}"`);
  expect((await ask("clinic", "metadata")).text).not.toContain("fileConsent");
  await clear();
});

test("a withdrawal counts: in a read, on page two of a search, and at the third window of a stream", async ({
  expect,
}) => {
  const permitted = await ask("registrar", "Consent", sending("POST", consent("dora")));
  const page = JSON.parse((await ask("clinic", "Observation?patient=dora&_count=2")).text) as {
    readonly link: readonly { readonly relation: string; readonly url: string }[];
  };
  const next = page.link.find(({ relation }) => relation === "next")?.url ?? "";
  expect((await ask("clinic", "Observation/dora-0")).status).toBe(200);
  const headers = { authorization: `Bearer ${tokens.get("clinic") ?? ""}` };
  const url = `${phylax.dev.fhir}/Observation?patient=dora&_count=50`;
  const stream = await phylax.within(() =>
    phylax.fetch(
      requestOf(phylax.dev.clientCa.cert, certificates.get("clinic")?.cert ?? "", url, { headers }),
    ),
  );
  const reader = stream.body?.getReader();
  const first = await reader?.read();

  const id = idOf(permitted);
  const denial = { ...consent("dora"), id, provision: { type: "deny" } };
  expect((await ask("registrar", `Consent/${id}`, sending("PUT", denial))).status).toBe(200);
  const at = Date.now();
  while ((await ask("clinic", "Observation/dora-0")).status !== 404) {
    if (Date.now() - at > patience.timeout) throw new Error("the withdrawn Consent still permits a read");
    await new Promise((resolve) => void setTimeout(resolve, 250));
  }
  const second = await ask("clinic", next.replace(`${phylax.dev.fhir}/`, ""));
  expect(second.status).toBe(200);
  expect(second.text, "no row of page two").not.toContain("dora-");

  let text = Buffer.from(first?.value ?? new Uint8Array()).toString();
  const rest = async () => {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) return;
      text += Buffer.from(value ?? new Uint8Array()).toString();
    }
  };
  await expect(rest()).rejects.toThrow();
  expect(text).toContain("dora-0");
  const seen = new Set(Array.from(text.matchAll(/"id":"(dora-\d+)"/gu), ([, found]) => found));
  expect(seen.size, "two windows of three or four rows each").toBeLessThanOrEqual(8);
  const events = await eventsOf(phylax.dev, stream.headers.get("x-request-id"));
  expect(
    events.map(({ kind, outcome }) => [kind, outcome]),
    "the third window is neither sent nor on record",
  ).toEqual([
    ["intent", { status: 200 }],
    ["disclosure", { status: 200 }],
    ["disclosure", { status: 200 }],
    ["aborted", { reason: "lease_lost" }],
  ]);
  await clear();
});

/** A template of a payer's Consent, as the body of `$fileConsent`, for a patient of this world and of today. */
function template(name: string, more: Readonly<Record<string, string>> = {}): Sending {
  const file = join(import.meta.dirname, "../../examples/consents", `${name}.json`);
  const today = new Date().toISOString().slice(0, 10);
  const changes = {
    "Patient/amara-okafor": "Patient/emil",
    '"start": "2026-11-02"': `"start": "${today}"`,
    '"end": "2028-12-31"': `"end": "${new Date().getUTCFullYear() + 1}-12-31"`, // the clock may pass midnight
    ...more,
  };
  const text = Object.entries(changes).reduce(
    (all, [from, into]) => {
      if (!all.includes(from) && !from.startsWith('"end"')) throw new Error(`${name} has no ${from}`);
      return all.replaceAll(from, into);
    },
    readFileSync(file, "utf8"),
  );
  return { method: "POST", headers: { "content-type": "application/fhir+json" }, body: text };
}

test("payers: nothing flows to a new payer before the member opts in by NPI, and an opt-out of Provider Access ends that API alone, by the templates", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const read = async (who: Who) => (await ask(who, "Observation/emil-pulse")).status;
  const becomes = async (who: Who, status: number) => {
    for (let second = 0; (await read(who)) !== status; second++) {
      if (second > 10) throw new Error(`${who} is not ${status} after ten seconds`);
      vi.setSystemTime(Date.now() + 1_000);
      await new Promise((resolve) => void setTimeout(resolve, 5));
    }
  };
  const all = async () => [await read("new-payer"), await read("network"), await read("clinic")];
  const file = async (how: Sending) => {
    const filed = await ask("registrar", "Consent/$fileConsent", how);
    expect(filed.status, filed.text).toBe(200);
  };
  const revoke = async (...texts: readonly string[]) => {
    const found = JSON.parse((await ask("registrar", "Consent?patient=emil")).text) as {
      readonly entry: readonly { readonly resource: { readonly id: string } }[];
    };
    const one = found.entry.find(({ resource }) =>
      texts.every((text) => JSON.stringify(resource).includes(`"${text}"`)),
    );
    const parameter = [
      { name: "consent", valueReference: to(`Consent/${one?.resource.id ?? ""}`) },
      { name: "patient", valueReference: to("Patient/emil") },
    ];
    const revoked = await ask(
      "registrar",
      "Consent/$revokeConsent",
      sending("POST", { resourceType: "Parameters", parameter }),
    );
    expect(revoked.status, revoked.text).toBe(200);
  };
  expect(await all()).toEqual([404, 200, 200]);
  await file(template("payer-to-payer-opt-in", { [newPayer]: "1888888883" }));
  expect(await all(), "an opt-in for a different payer").toEqual([404, 200, 200]);
  await file(template("payer-to-payer-opt-in", { [here]: "1888888883" }));
  expect(await all(), "the opt-in of a different plan").toEqual([404, 200, 200]);
  await file(template("payer-to-payer-opt-in"));
  await becomes("new-payer", 200);
  expect(await all()).toEqual([200, 200, 200]);
  await file(template("provider-access-opt-out"));
  await becomes("network", 404);
  expect(await all()).toEqual([200, 404, 200]);
  await revoke("provider-access");
  await becomes("network", 200);
  await revoke("payer-to-payer", here, newPayer);
  await becomes("new-payer", 404);
  expect(await all()).toEqual([404, 200, 200]);
});

test("a client's own Consent does not end its answer, and the answer has its address when control fails after it", async ({
  expect,
}) => {
  let now = Date.now(); // it never goes back: the test before may have moved it
  vi.useFakeTimers({ toFake: ["Date"] });
  const ends: unknown[] = [];
  for (const answers of [Infinity, 0, 1]) {
    vi.setSystemTime((now += 60_000));
    await ask("clinic", "Observation?patient=bela");
    onFiled = () => {
      vi.setSystemTime(Date.now() + 6_000); // the lease is renewed before the answer
      answersLeft = answers;
    };
    const created = await ask("registrar", "Consent", sending("POST", consent("bela")));
    [answersLeft, onFiled] = [Infinity, () => {}];
    const events = await eventsOf(phylax.dev, created.headers["x-request-id"]);
    const body = created.text === "" ? "no body" : "Consent";
    expect(created.text).toContain(body === "Consent" ? `"resourceType":"${body}"` : "");
    ends.push([idOf(created) !== "", body, events.at(-1)?.outcome]);
  }
  expect(ends).toEqual([
    [true, "Consent", { status: 201 }],
    [true, "no body", { status: 201, reason: "answer_unavailable" }],
    [true, "no body", { status: 201, reason: "consent_changed" }],
  ]);
});
