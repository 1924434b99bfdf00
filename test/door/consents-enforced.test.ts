import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { askPatiently, starterPolicy } from "../support/outside.ts";
import { type AskAs, outsideApps, registerMain } from "../support/outside-apps.ts";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { policyEntry, rule } from "../policy/granting.ts";

const thp = "http://terminology.hl7.org/CodeSystem/";
const act = (code: string) => ({ system: `${thp}v3-ActCode`, code });
const consent = (patient: string, provision: object) => ({
  resourceType: "Consent",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [act("IDSCL")] }],
  patient: to(`Patient/${patient}`),
  dateTime: "2026-11-01",
  policyRule: { coding: [act("OPTIN")] },
  provision,
});
const deny = (patient: string, ...codes: readonly string[]) =>
  consent(patient, { type: "deny", ...(codes.length > 0 && { securityLabel: codes.map(act) }) });
const normal = { system: `${thp}v3-Confidentiality`, code: "N" };
const permit = (patient: string, ...codes: readonly string[]) =>
  consent(patient, { type: "permit", securityLabel: [normal, ...codes.map(act)] });

const hivTest = { coding: [{ system: "http://loinc.org", code: "80203-3" }] };
const pulse = { coding: [{ system: "http://loinc.org", code: "8867-4" }] };
const observation = (id: string, patient: string, code: object, more: object = {}) => ({
  resourceType: "Observation" as const,
  id,
  status: "final" as const,
  code,
  subject: to(`Patient/${patient}`),
  effectiveDateTime: "2026-01-01",
  ...more,
});
const labelled = { meta: { security: [{ system: `${thp}v3-Confidentiality`, code: "R" }, act("PSY")] } };
const diagnosis = (what: string, category: string, security: readonly ReturnType<typeof act>[]) => ({
  resourceType: "Condition" as const,
  id: `cato-${what}`,
  meta: { security: [...security] },
  code: { text: what },
  category: [{ coding: [{ system: `${thp}condition-category`, code: category }] }],
  subject: to("Patient/cato"),
});
/** The kinds of nine labelled Conditions. */
const sensitivities = ["bh", "eth", "gdis", "hiv", "mh", "psy", "sdv", "sex", "std"];
const labelledReference = {
  ...to("Practitioner/doc"),
  extension: [
    {
      url: "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
      valueCoding: { system: `${thp}v3-Confidentiality`, code: "R" },
    },
  ],
};
/**
 * Two worlds in one: `xena` has neither the rows that the Consents of `vera` withhold nor anything more. Both names
 * sort after any UUID: rows that a test creates come first in each world.
 */
const twin = (patient: string) => [
  { resourceType: "Patient" as const, id: patient },
  observation(
    `${patient}-pulse`,
    patient,
    pulse,
    patient === "vera" ? { performer: [labelledReference] } : {},
  ),
  {
    resourceType: "DiagnosticReport" as const,
    id: `${patient}-report`,
    status: "final" as const,
    code: pulse,
    subject: to(`Patient/${patient}`),
    result: [to(`Observation/${patient}-hiv`), to(`Observation/${patient}-pulse`)],
  },
];
const world = [
  { resourceType: "Practitioner" as const, id: "doc", name: [{ family: "Doe" }] },
  ...twin("xena"),
  ...twin("vera"),
  observation("vera-hiv", "vera", hivTest),
  observation("vera-psy", "vera", pulse, labelled),
  observation("vera-nest", "vera", pulse, {
    contained: [{ resourceType: "Observation", id: "c", status: "final", code: hivTest }],
    hasMember: [to("#c")],
  }),
  { resourceType: "Patient" as const, id: "cora" },
  { resourceType: "Patient" as const, id: "dora" },
  observation("dora-inside", "dora", pulse, {
    contained: [{ resourceType: "Condition", id: "c", code: { text: "inside, and of a further type" } }],
    focus: [to("#c")],
  }),
  { resourceType: "Patient" as const, id: "tara" },
  ...(["hiv", "pulse"] as const).flatMap((kind) => [
    observation(`tara-${kind}`, "tara", kind === "hiv" ? hivTest : pulse),
    {
      resourceType: "Provenance" as const,
      id: `of-tara-${kind}`,
      target: [to(`Observation/tara-${kind}`)],
      recorded: "2026-01-01T10:00:00Z",
      agent: [{ who: { display: "Dr. Virus" } }],
    },
  ]),
  { resourceType: "Patient" as const, id: "cato" },
  observation("cato-pulse", "cato", pulse),
  observation("cato-sud", "cato", pulse, {
    meta: { security: [{ system: `${thp}v3-ActUSPrivacyLaw`, code: "42CFRPart2" }] },
  }),
  observation("cato-nest", "cato", pulse, {
    contained: [
      {
        resourceType: "Observation",
        id: "c",
        meta: { security: [{ system: `${thp}v3-ActUSPrivacyLaw`, code: "42CFRPart2" }] },
        status: "final",
        code: pulse,
        subject: to("Patient/cato"),
      },
    ],
    hasMember: [to("#c")],
  }),
  diagnosis("cold", "problem-list-item", []),
  ...sensitivities.map((what) =>
    diagnosis(what, "encounter-diagnosis", [
      { system: `${thp}v3-Confidentiality`, code: "R" },
      act(what.toUpperCase()),
    ]),
  ),
  {
    resourceType: "Patient" as const,
    id: "nina",
    name: [{ given: ["Nina"], family: "Novak" }],
    birthDate: "1970-03-04",
  },
  {
    resourceType: "DiagnosticReport" as const,
    id: "cora-report",
    status: "final" as const,
    code: pulse,
    subject: to("Patient/cora"),
  },
  {
    resourceType: "Patient" as const,
    id: "lina",
    meta: { versionId: "1", lastUpdated: "2026-01-01T00:00:00Z", tag: [{ code: "hidden-tag" }] },
    active: true,
    gender: "female" as const,
    name: [{ given: ["Lina"], family: "Lang" }],
    birthDate: "1981-02-03",
  },
  ...["2022-05-01", "2026-01-01"].map((day) =>
    observation(`lina-${day.slice(0, 4)}`, "lina", pulse, { effectiveDateTime: day }),
  ),
  ...["amara", "bela"].flatMap((patient) => [
    { resourceType: "Patient" as const, id: patient },
    observation(`${patient}-pulse`, patient, pulse),
    observation(`${patient}-hiv`, patient, hivTest),
    observation(`${patient}-psy`, patient, pulse, labelled),
    {
      resourceType: "DiagnosticReport" as const,
      id: `${patient}-report`,
      status: "final" as const,
      code: pulse,
      subject: to(`Patient/${patient}`),
      result: [to(`Observation/${patient}-hiv`), to(`Observation/${patient}-pulse`)],
    },
  ]),
];
const everything = policyEntry(
  "everything",
  [
    rule(
      ["Consent", "Condition", "Patient", "Practitioner", "Observation", "DiagnosticReport", "Provenance"],
      "everything",
      { interactions: ["read", "search", "create", "update", "delete"] },
    ),
  ],
  {
    purposes: ["PATRQT", "TREAT"],
    operations: ["everything", "lastn"],
    consentRegistrar: true,
    labels: { part2: true },
  },
);

const clients = {
  app: {
    purpose: "PATRQT",
    policy: "everything",
    scopes: "patient/*.cruds",
    claims: { patient: "amara", fhirUser: "Patient/amara" },
  },
  // a parent's app: the token is of the ward, and does not name its user
  parent: {
    purpose: "PATRQT",
    policy: "everything",
    scopes: "patient/*.cruds",
    claims: { patient: "amara" },
  },
  stranger: {
    purpose: "PATRQT",
    policy: "everything",
    scopes: "patient/*.cruds",
    claims: { patient: "amara", fhirUser: "https://other.example/fhir/Patient/amara" },
  },
  clinic: { purpose: "TREAT", policy: "everything", scopes: "system/*.cruds" },
  // signed in at the server, which names the person below its own base
  doctor: {
    purpose: "TREAT",
    policy: "everything",
    scopes: "system/*.rs",
    claims: { fhirUser: "Practitioner/doc" },
  },
  registrar: { purpose: "TREAT", policy: "everything", scopes: "system/*.cruds" },
  officer: { purpose: "HOPERAT", policy: "privacy-office", scopes: "system/*.rs" },
} as const;
type Who = keyof typeof clients;
let isDeskDown = false;
let phylax: Door;
let askOnce: AskAs<Who>;

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  phylax = await startDoor({
    resources: world,
    remote: (part, act) => {
      if (isDeskDown && part === "consents") throw new Error("control does not answer");
      return act();
    },
  });
  const claims = { fhirUser: `${phylax.dev.origin}/${clients.doctor.claims.fhirUser}` };
  const policies = [everything, starterPolicy("privacy-office")];
  askOnce = await outsideApps(phylax, { ...clients, doctor: { ...clients.doctor, claims } }, policies);
  await registerMain(phylax, { transactions: "atomic", honoursIfMatchOnDelete: true });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  vi.useRealTimers();
});

const ask = (who: Who, path: string, sending: Sending = {}) =>
  askPatiently(
    () => askOnce(who, path, sending),
    sending,
    () => isDeskDown,
  );
const sending = (method: string, resource: object): Sending => fhirSending(method, resource);
const file = async (who: Who, resource: object): Promise<string> => {
  const created = await ask(who, "Consent", sending("POST", resource));
  if (created.status !== 201) throw new Error(created.text);
  const [, id] = /Consent\/([^/]+)/u.exec(created.headers["location"] ?? "") ?? [];
  if (id === undefined) throw new Error(`no Location: ${created.text}`);
  return id;
};
const withdraw = async (id: string) => {
  const reply = await ask("registrar", `Consent/${id}`, { method: "DELETE" });
  if (reply.status !== 204) throw new Error(reply.text);
};
/** A change of a Consent counts everywhere within ten seconds (P4). The clock is moved on, second by second. */
const soon = async (what: string, isSo: () => Promise<boolean>) => {
  for (let second = 0; second <= 10; second++) {
    if (await isSo()) return;
    vi.setSystemTime(Date.now() + 1_000);
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
  throw new Error(`${what} after ten seconds`);
};
const becomes = (who: Who, path: string, status: number) =>
  soon(`${path} is not ${status}`, async () => (await ask(who, path)).status === status);
interface Bundle {
  readonly total?: number;
  readonly entry?: readonly { readonly resource: { readonly id: string; readonly resourceType: string } }[];
}
const idsIn = ({ text }: Reply): readonly string[] =>
  ((JSON.parse(text) as Bundle).entry ?? []).map(({ resource: { id } }) => id).toSorted();
const withoutId = ({ text }: Reply) => text.replace(/Request [0-9a-f]+/u, "");
const totalOf = ({ text }: Reply) => (JSON.parse(text) as Bundle).total;

test("the record of a refusal names what decided: a provision, a label, a rule or a scope, and is as long for an absent row", async ({
  expect,
}) => {
  const deciding = async (who: Who, path: string, sent: Sending = {}) => {
    const reply = await ask(who, path, sent);
    const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    const { decision, outcome } = events.find(({ kind }) => kind === "refusal") ?? {};
    return { status: reply.status, decision, reason: outcome?.reason };
  };
  const nested = {
    type: "permit",
    provision: [
      { type: "deny", code: [pulse], purpose: [{ system: `${thp}v3-ActReason`, code: "HMARKT" }] },
      { type: "deny", code: [pulse] },
    ],
  };
  const id = await file("registrar", consent("tara", nested));
  await becomes("clinic", "Observation/tara-pulse", 404);
  const byConsent = await deciding("clinic", "Observation/tara-pulse");
  const created = observation("new", "tara", pulse);
  expect(await deciding("clinic", "Observation", sending("POST", created)), "the result of a write").toEqual({
    ...byConsent,
    status: 403,
    reason: "result_outside_access",
  });
  expect(byConsent).toEqual({
    status: 404,
    reason: "row_outside_access",
    decision: {
      by: "consent",
      consentDigest: expect.stringMatching(/^[0-9a-f]{64}$/u) as string,
      place: "provision.provision[1]",
    },
  });
  expect(await deciding("clinic", "Observation/tara-pulse", { method: "DELETE" })).toEqual(byConsent);
  await withdraw(id);
  await becomes("clinic", "Observation/tara-pulse", 200);

  expect(await deciding("clinic", "Observation/amara-psy")).toMatchObject({
    status: 404,
    decision: { by: "label", place: "PSY" },
  });
  expect(await deciding("app", "Observation/bela-pulse")).toMatchObject({
    status: 404,
    decision: { by: "scope" },
  });
  expect(await deciding("clinic", "Encounter/any")).toEqual({
    status: 403,
    reason: "rule_missing",
    decision: { by: "policy", place: "/rules" },
  });
  const ofBela = observation("x", "bela", pulse);
  expect(await deciding("app", "Observation", sending("POST", ofBela))).toEqual({
    status: 403,
    reason: "result_outside_access",
    decision: { by: "scope" },
  });
  expect(await deciding("clinic", "Observation", sending("POST", { ...ofBela, ...labelled }))).toEqual({
    status: 403,
    reason: "result_outside_access",
    decision: { by: "label", place: "PSY" },
  });
  expect(
    await deciding(
      "clinic",
      "Observation/bela-pulse",
      sending("PUT", observation("bela-pulse", "amara", pulse)),
    ),
  ).toMatchObject({ reason: "result_changes_patient", decision: { by: "policy", place: "/rules" } });
  expect(await deciding("clinic", "Observation/absent")).toEqual({
    status: 404,
    reason: "absent",
    decision: undefined,
  });
});

test("rows that a Consent denies by the codes in them are absent in every answer, and the origin is asked as before", async ({
  expect,
}) => {
  const routes = [
    "Observation?patient=bela&_sort=_id",
    "Observation?code=80203-3",
    "DiagnosticReport?result.code=80203-3&patient=bela",
    "Patient?_has:Observation:patient:code=80203-3&_id=bela",
    "DiagnosticReport?patient=bela&_include=DiagnosticReport:result",
    "Observation?_id=bela-pulse&_revinclude=DiagnosticReport:result",
    "Patient/bela/$everything",
    "Observation/$lastn?patient=bela&category=x",
  ];
  const before = new Map<string, Reply>();
  const questions = async (path: string) => {
    const from = phylax.forwarded.length;
    const reply = await ask("clinic", path);
    return { reply, asked: phylax.forwarded.slice(from) };
  };
  const first = new Map<string, readonly string[]>();
  for (const path of routes) {
    const { reply, asked } = await questions(path);
    before.set(path, reply);
    first.set(path, asked);
  }
  expect((await ask("clinic", "Observation/bela-hiv")).status).toBe(200);
  const id = await file("registrar", deny("bela", "HIV"));

  await becomes("clinic", "Observation/bela-hiv", 404);
  const hidden = await ask("clinic", "Observation/bela-hiv");
  const absent = await ask("clinic", "Observation/bela-nothing");
  expect(hidden.status).toBe(404);
  expect(withoutId(hidden)).toBe(withoutId(absent));
  for (const path of ["Observation/bela-hiv/_history", "Observation/bela-hiv/_history/1"])
    expect((await ask("clinic", path)).status, path).toBe(404);
  for (const path of routes) {
    const { reply, asked } = await questions(path);
    const [was, is] = [before.get(path), reply];
    if (was?.status !== 200) throw new Error(`${path}: ${was?.text}`);
    expect(reply.status, path).toBe(200);
    const shown = idsIn(was).filter((each) => each !== "bela-hiv");
    const isJoin = /result\.code|_has/u.test(path);
    expect(
      idsIn(is).filter((each) => each !== id),
      path,
    ).toEqual(isJoin ? [] : shown);
    if (isJoin) expect(asked.join(), path).not.toContain("bela-hiv");
    else expect(asked, path).toEqual(first.get(path));
  }
  expect(totalOf(await ask("clinic", "Observation?patient=bela"))).toBe(1);

  const update = sending("PUT", observation("bela-hiv", "bela", hivTest));
  expect((await ask("clinic", "Observation/bela-hiv", update)).status).toBe(404);
  expect((await ask("clinic", "Observation/bela-hiv", { method: "DELETE" })).status).toBe(404);
  expect((await ask("clinic", "Observation?code=80203-3&patient=bela", { method: "DELETE" })).status).toBe(
    204,
  );
  const batch = {
    resourceType: "Bundle",
    type: "batch",
    entry: ["Observation/bela-hiv", "Observation/amara-hiv", "Observation?patient=bela&code=80203-3"].map(
      (url) => ({
        request: { method: "GET", url },
      }),
    ),
  };
  const answered = await ask("clinic", "", sending("POST", batch));
  expect(answered.text).not.toContain("bela-hiv");
  expect(answered.text).toContain("amara-hiv");

  await withdraw(id);
  await becomes("clinic", "Observation/bela-hiv", 200);
});

test("a Consent never limits the individual's own access, and limits each further client", async ({
  expect,
}) => {
  const id = await file("app", deny("amara"));
  await becomes("clinic", "Patient/amara", 404);
  expect((await ask("app", "Observation/amara-hiv")).status).toBe(200);
  const own = ["amara-hiv", "amara-psy", "amara-pulse"]; // also the labelled row
  expect(idsIn(await ask("app", "Observation?patient=amara"))).toEqual(own);
  expect((await ask("clinic", "Observation/amara-hiv")).status).toBe(404);
  expect(idsIn(await ask("clinic", "Observation?patient=amara,bela&_sort=_id"))).toEqual([
    "bela-hiv",
    "bela-pulse",
  ]);
  for (const other of ["parent", "stranger"] as const) {
    await becomes(other, "Patient/amara", 404);
    expect((await ask(other, "Observation/amara-psy")).status, other).toBe(404);
  }
  await becomes("registrar", "Patient/amara", 404);
  expect((await ask("registrar", `Consent/${id}`)).status, "a registrar withdraws it").toBe(200);
  const inactive = { ...deny("amara"), id, status: "inactive" };
  expect((await ask("registrar", `Consent/${id}`, sending("PUT", inactive))).status).toBe(200);
  await becomes("clinic", "Patient/amara", 200);
});

test("L54: a Provenance leaves a system only if its targets leave", async () => {
  const id = await file("registrar", deny("tara", "HIV"));
  await becomes("clinic", "Observation/tara-hiv", 404);
  expect((await ask("clinic", "Provenance/of-tara-hiv")).status).toBe(404);
  expect((await ask("clinic", "Provenance/of-tara-pulse")).status).toBe(200);
  expect(idsIn(await ask("clinic", "Provenance?target=Observation/tara-hiv"))).toEqual([]);
  expect(idsIn(await ask("clinic", "Provenance?target=Observation/tara-pulse"))).toEqual(["of-tara-pulse"]);
  await withdraw(id);
  await becomes("clinic", "Provenance/of-tara-hiv", 200);
});

test("the page of an accounting names a person only if the reader may read the Patient", async ({
  expect,
}) => {
  const page = async () => {
    const { status, text } = await ask("officer", "Patient/nina/$disclosures?_format=text/html");
    expect(status, text).toBe(200);
    return text;
  };
  expect(await page()).toContain("Nina Novak, born March 4, 1970");
  const id = await file("registrar", deny("nina"));
  await becomes("officer", "Patient/nina", 404);
  expect(await page()).not.toMatch(/Novak|, born /u);
  await withdraw(id);
});

test("a person is known by the name that the server gives, and a denial of a type holds for what a row contains", async ({
  expect,
}) => {
  const denies = (provision: object) => consent("dora", { type: "deny", ...provision });
  const actor = (person: string) => ({
    actor: [
      { role: { coding: [{ system: `${thp}v3-ParticipationType`, code: "IRCP" }] }, reference: to(person) },
    ],
  });
  const ofColleague = await file("registrar", denies(actor("Practitioner/colleague")));
  await becomes("clinic", "Patient/dora", 404); // it may act for anyone
  expect((await ask("doctor", "Patient/dora")).status).toBe(200);
  await withdraw(ofColleague);
  const ofDoctor = await file("registrar", denies(actor("Practitioner/doc")));
  await becomes("doctor", "Patient/dora", 404);
  await withdraw(ofDoctor);
  await becomes("clinic", "Patient/dora", 200);

  const path = "Observation/dora-inside";
  expect((await ask("clinic", path)).text).toContain("inside, and");
  const classes = [{ system: "http://hl7.org/fhir/resource-types", code: "Condition" }];
  const ofType = await file("registrar", denies({ class: classes }));
  await becomes("clinic", path, 404);
  expect((await ask("clinic", "Observation?patient=dora")).text).not.toContain("inside, and");
  await withdraw(ofType);
  await becomes("clinic", path, 200);
});

test("a denial of correction or of collection refuses writes, and leaves the rows readable", async ({
  expect,
}) => {
  const row = observation("bela-pulse", "bela", pulse);
  const writes: Readonly<Record<string, Sending & { readonly path: string }>> = {
    create: { path: "Observation", ...sending("POST", { ...row, id: undefined }) },
    update: { path: "Observation/bela-pulse", ...sending("PUT", { ...row, status: "amended" }) },
    delete: { path: "Observation/bela-pulse", method: "DELETE" },
    batch: {
      path: "",
      ...sending("POST", {
        resourceType: "Bundle",
        type: "transaction",
        entry: [{ request: { method: "POST", url: "Observation" }, resource: { ...row, id: undefined } }],
      }),
    },
  };
  for (const code of ["correct", "collect"]) {
    const action = [{ coding: [{ system: `${thp}consentaction`, code }] }];
    const id = await file("registrar", consent("bela", { type: "deny", action }));
    for (const [write, { path, ...how }] of Object.entries(writes)) {
      // Until the denial counts a repeated update is done. After that the deletion and the batch are refused at once.
      if (write === "create" || write === "update")
        await soon(
          `${code} does not refuse ${write}`,
          async () => (await ask("clinic", path, how)).status >= 400,
        );
      expect((await ask("clinic", path, how)).status, `${code}, ${write}`).toBeGreaterThanOrEqual(400);
    }
    expect((await ask("clinic", "Observation/bela-pulse")).status).toBe(200);
    await withdraw(id);
  }
});

test("a denial of a patient's new rows holds where a transaction names the patient by the fullUrl of a conditional update", async ({
  expect,
}) => {
  const fullUrl = "urn:uuid:77777777-7777-4777-8777-777777777777";
  const row = { ...observation("new", "bela", pulse), id: undefined };
  const entries = (subject: string) =>
    sending("POST", {
      resourceType: "Bundle",
      type: "transaction",
      entry: [
        {
          fullUrl,
          request: { method: "PUT", url: "Patient?_id=bela" },
          resource: { resourceType: "Patient" },
        },
        { request: { method: "POST", url: "Observation" }, resource: { ...row, subject: to(subject) } },
      ],
    });
  const denial = consent("bela", {
    type: "deny",
    action: [{ coding: [{ system: `${thp}consentaction`, code: "collect" }] }],
    class: [{ system: "http://hl7.org/fhir/resource-types", code: "Observation" }],
  });
  await soon(
    "a withdrawn denial still counts",
    async () => (await ask("clinic", "", entries(fullUrl))).status === 200,
  );
  const id = await file("registrar", denial);
  await soon(
    "the denial does not count",
    async () => (await ask("clinic", "", entries("Patient/bela"))).status >= 400,
  );
  expect((await ask("clinic", "", entries(fullUrl))).status).toBeGreaterThanOrEqual(400);
  await withdraw(id);
});

test("a labelled row leaves by a Consent that names its label, not by the Consent of the client that profits", async ({
  expect,
}) => {
  expect((await ask("clinic", "Observation/bela-psy")).status).toBe(404);
  const own = await file("clinic", permit("bela", "PSY"));
  await becomes("registrar", "Observation/bela-psy", 200); // by the clinic's
  expect((await ask("clinic", "Observation/bela-psy")).status, "its own").toBe(404);
  const id = await file("registrar", permit("bela", "PSY"));
  await becomes("clinic", "Observation/bela-psy", 200);
  expect(idsIn(await ask("clinic", "Observation?patient=bela"))).toContain("bela-psy");
  for (const each of [own, id]) await withdraw(each);
  await becomes("clinic", "Observation/bela-psy", 404);
});

test("a search whose rows are all labelled shows them by a Consent and is empty after the withdrawal; every other answer stays as it was", async ({
  expect,
}) => {
  const diagnoses = "Condition?category=encounter-diagnosis";
  const others = [
    "Condition?category=problem-list-item",
    "Observation?patient=cato",
    "Patient?_id=cato",
    "DiagnosticReport?patient=amara",
    "Condition/cato-cold",
    "Condition?patient=bela",
  ];
  const said = async (path: string) => {
    const { status, text } = await ask("clinic", path);
    expect(status, path).toBe(200);
    return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/gu, "TIME");
  };
  const all = async (paths: readonly string[]) => Promise.all(paths.map(said));
  const [empty, before] = [await said(diagnoses), await all(others)];
  expect(JSON.parse(empty)).toMatchObject({ type: "searchset", total: 0 });

  const id = await file("registrar", permit("cato", ...sensitivities.map((what) => what.toUpperCase())));
  await becomes("clinic", "Condition/cato-psy", 200);
  const shown = await ask("clinic", diagnoses);
  expect(idsIn(shown)).toEqual(sensitivities.map((what) => `cato-${what}`));
  expect(totalOf(shown)).toBe(9);
  expect(await all(others)).toEqual(before);

  await withdraw(id);
  await becomes("clinic", "Condition/cato-psy", 404);
  expect(await said(diagnoses)).toBe(empty);
  expect(await all(others)).toEqual(before);
});

test("a record of 42 CFR Part 2 leaves with its notice, and may be sent back as it was read; each answer has the header", async ({
  expect,
}) => {
  const notice = "42 CFR part 2 prohibits unauthorized use or disclosure of these records.";
  const given = {
    ...permit("cato", "SUD"),
    provision: {
      ...permit("cato", "SUD").provision,
      purpose: ["TREAT", "HPAYMT", "HOPERAT"].map((code) => ({ system: `${thp}v3-ActReason`, code })),
    },
  };
  const id = await file("registrar", given);
  await becomes("clinic", "Observation/cato-sud", 200);
  const read = await ask("clinic", "Observation/cato-sud");
  const searched = await ask("clinic", "Observation?patient=cato");
  expect(searched.text).toContain(notice);
  for (const { headers } of [read, searched, await ask("clinic", "Observation/absent")])
    expect(headers["phylax-part2-notice"]).toBe(notice);
  const row = JSON.parse(read.text) as { readonly meta: object };
  const put = async (resource: object) =>
    (await ask("clinic", "Observation/cato-sud", sending("PUT", resource))).status;
  expect(await put({ ...row, status: "amended" })).toBe(200);
  expect(await put({ ...row, meta: { ...row.meta, security: [act("PERSISTLABEL")] } })).toBe(422);
  const again = await ask("clinic", "Observation/cato-sud");
  expect(JSON.parse(again.text)).toMatchObject({ status: "amended" });
  expect(again.text.match(/NORDSCLCD/gu)).toHaveLength(1);
  // the same for a row that has such a record inside
  const nest = JSON.parse((await ask("clinic", "Observation/cato-nest")).text) as {
    readonly meta: { readonly security: readonly { readonly code: string }[] };
  };
  const marks = ["42CFRPart2", "PERSISTLABEL", "NORDSCLCD"];
  expect(nest.meta.security.map(({ code }) => code)).toEqual(marks);
  expect((await ask("clinic", "Observation?_id=cato-nest")).text).toContain(notice);
  // the Consent is filed again with a different date: the label of a present read states its new digest
  const renewed = await file("registrar", { ...given, dateTime: "2026-01-02" });
  await withdraw(id);
  await soon("the label still states the first Consent", async () => {
    const { status, text } = await ask("clinic", "Observation/cato-sud");
    return status === 200 && consentIn(text) !== consentIn(again.text);
  });
  expect(await put(JSON.parse(again.text) as object)).toBe(200);
  await withdraw(renewed);
});
const consentIn = (text: string) => /: Consent ([0-9a-f]{64}) /u.exec(text)?.[1];

test("phylax consent check proves that a withdrawn Consent let nothing through, and finds a record that names it", async ({
  expect,
}) => {
  const id = await file("registrar", permit("bela", "PSY"));
  await becomes("clinic", "Observation/bela-psy", 200);
  const used = await ask("clinic", "Observation/bela-psy");
  const unused = await ask("clinic", "Observation/amara-pulse");
  const events = async (reply: Reply) => eventsOf(phylax.dev, reply.headers["x-request-id"]);
  const [named] = await events(used);
  const [none] = await events(unused);
  for (const event of [named, none]) expect(event?.consents).toMatch(/^[0-9a-f]{64}$/u);

  const list = async () =>
    (await commandIn(phylax.home, "consent", "list", "main/Patient/bela")).out.trim().split("\n");
  const line = (await list()).at(-1) ?? "";
  expect(line).toMatch(/^main\/Patient\/bela \S{43} [0-9a-f]{64} \S+ permits and denies by registrar$/u);
  const [, consentName = ""] = line.split(" ");
  const records = join(phylax.home, "records.jsonl");
  const check = async (...found: readonly unknown[]) => {
    const lines = found.map((event) => JSON.stringify({ log: "l", leaves: [0], event }));
    await writeFile(records, lines.join("\n"));
    return commandIn(phylax.home, "consent", "check", "main/Patient/bela", consentName, "--records", records);
  };
  expect(await check(named, none)).toMatchObject({ code: 2, error: "the Consent is in force\n" });
  await withdraw(id);
  const good = await check(named, none);
  expect(good, good.error).toMatchObject({ code: 0 });
  expect(good.out).toContain("2 records, 1 name the Consent");
  const late = await check({ ...named, at: Date.now() + 60_000 }, none);
  expect(late.code).toBe(1);
  expect(late.out).toContain("names the Consent");
  await becomes("clinic", "Observation/bela-psy", 404);
});

/** The answers about the two patients, without the names and times that differ in any case. */
async function both(who: Who, path: string, how: Sending = {}): Promise<readonly string[]> {
  const answers = [];
  for (const patient of ["vera", "xena"]) {
    const of = (text: string) => text.replaceAll("vera", patient);
    const body = typeof how.body === "string" ? { body: of(how.body) } : {};
    const { status, text, headers } = await ask(who, of(path), { ...how, ...body });
    const said = JSON.stringify([status, text, headers["etag"] === undefined, headers["content-length"]]);
    answers.push(
      said
        .replaceAll(patient, "vera")
        .replaceAll(/Request [0-9a-f]+/gu, "Request")
        .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gu, "ID")
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/gu, "TIME"),
    );
  }
  return answers;
}
describe("two worlds that differ only in rows that Consents and labels withhold answer alike", () => {
  let known = "";
  const filed: string[] = [];
  const alike = async (path: string, how: Sending = {}) => {
    const [withRows, without] = await both("clinic", path, how);
    expect(withRows, path).toBe(without);
  };

  beforeAll(async () => {
    known = (await ask("clinic", "Observation/vera-hiv")).headers["etag"] ?? "";
    for (const patient of ["vera", "xena"]) filed.push(await file("registrar", deny(patient, "HIV")));
    await becomes("clinic", "Observation/vera-hiv", 404);
  });
  afterAll(async () => {
    for (const id of filed) await withdraw(id);
  });

  test("L44: a client that writes a Consent gains no row by it", async ({ expect }) => {
    for (const patient of ["vera", "xena"]) filed.push(await file("clinic", permit(patient, "PSY", "HIV")));
    await becomes("registrar", "Observation/vera-psy", 200); // the Consent counts for other clients
    await alike("Observation/vera-psy");
    await alike("Observation/vera-hiv");
    await alike("Observation?patient=vera&_sort=_id");
    expect((await ask("clinic", "Observation/vera-psy")).status).toBe(404);
  });

  test("L45: a writer that labels less reaches no labelled row", async () => {
    const bare = observation("vera-psy", "vera", pulse);
    await alike("Observation/vera-psy", sending("PUT", bare));
    const patch = { headers: { "content-type": "application/json-patch+json" }, method: "PATCH" };
    await alike("Observation/vera-psy", { ...patch, body: '[{"op":"remove","path":"/meta/security"}]' });
    await alike("Observation?_id=vera-psy", sending("PUT", { ...bare, id: undefined }));
    await alike("Observation/vera-psy", { method: "DELETE" });
    await alike("Observation/vera-psy");
  });

  test("L46: a contained resource that a Consent denies withholds its row", async () => {
    await alike("Observation/vera-nest");
    await alike("Observation?patient=vera&_sort=_id");
    await alike("Observation/vera-nest", sending("PUT", observation("vera-nest", "vera", pulse)));
  });

  test("L47: an entry of a Bundle shows, finds and changes no row that a Consent denies", async () => {
    const urls = ["Observation/vera-hiv", "Observation/vera-psy", "Observation?patient=vera&_sort=_id"];
    for (const type of ["batch", "transaction"])
      for (const request of [
        ...urls.map((url) => ({ method: "GET", url })),
        { method: "DELETE", url: "Observation/vera-hiv" },
        { method: "DELETE", url: "Observation?_id=vera-hiv" },
      ])
        await alike("", sending("POST", { resourceType: "Bundle", type, entry: [{ request }] }));
  });

  test("L48: a chain or a `_has` through a denied row finds nothing", async () => {
    await alike("DiagnosticReport?result.code=80203-3&patient=vera");
    await alike("Patient?_has:Observation:patient:code=80203-3&_id=vera");
    await alike("DiagnosticReport?result=Observation/vera-hiv&result.status=final");
  });

  test("L43: a reference with a label of its own finds, sorts and includes nothing", async () => {
    await alike("Practitioner?_has:Observation:performer:patient=vera");
    await alike("Practitioner?_has:Observation:performer:_id=vera-pulse");
    await alike("Observation?patient=vera&performer=Practitioner/doc");
    await alike("Observation?patient=vera&performer.family=Doe");
    await alike("Observation?patient=vera&performer:missing=false");
    await alike("Observation?patient=vera&performer:missing=true");
    await alike("Patient?_has:Observation:patient:performer:missing=true&_id=vera");
    await alike("Observation?patient=vera&_include=Observation:performer");
    await alike(
      "Practitioner?_id=doc&_revinclude=Observation:performer&_has:Observation:performer:patient=vera",
    );
    await alike("Patient?_has:Observation:patient:performer=Practitioner/doc&_id=vera");
    await alike("Observation/vera-pulse/_history");
    await alike("Observation/$lastn?patient=vera&performer=Practitioner/doc");
    await alike("Observation?patient=vera&performer=Practitioner/doc", { method: "DELETE" });
    const create = sending("POST", { ...observation("vera-pulse", "vera", pulse), id: undefined });
    const once = { "if-none-exist": "patient=vera&performer=Practitioner/doc" };
    await alike("Observation", { ...create, headers: { ...create.headers, ...once } });
  });

  test("L49: an include of a denied row adds nothing", async () => {
    await alike("DiagnosticReport?patient=vera&_include=DiagnosticReport:result");
    await alike("Patient?_id=vera&_revinclude=Observation:patient");
  });

  test("L50: `$everything` and `$lastn` leave a denied row out", async () => {
    await alike("Patient/vera/$everything");
    await alike("Observation/$lastn?patient=vera");
    await alike("Observation?patient=vera&_total=accurate&_sort=_id");
  });

  test("L51: a denied row has no version and no history", async () => {
    for (const path of ["vera-hiv/_history", "vera-hiv/_history/1", "vera-psy/_history/1"])
      await alike(`Observation/${path}`);
  });

  test("L52: an ETag of before tells nothing of a row that is denied now", async ({ expect }) => {
    expect(known).toMatch(/"/u);
    for (const name of ["if-none-match", "if-match"])
      for (const value of [known, "*", 'W/"1"'])
        await alike("Observation/vera-hiv", { headers: { [name]: value } });
    const update = sending("PUT", observation("vera-hiv", "vera", pulse));
    await alike("Observation/vera-hiv", { ...update, headers: { ...update.headers, "if-match": known } });
    await alike("Observation/vera-hiv", { method: "DELETE", headers: { "if-match": known } });
  });
});

test("without an answer about Consents no row of a patient leaves, and the record says why", async ({
  expect,
}) => {
  const id = await file("registrar", deny("bela", "HIV"));
  isDeskDown = true;
  try {
    const reply = await ask("clinic", "DiagnosticReport/cora-report");
    expect(reply.status).toBe(503);
    const [event] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect(event?.outcome?.reason).toBe("consents_unavailable");
    const own = await ask("app", "Observation/amara-pulse");
    expect([own.status, own.headers["retry-after"]], "the individual's statements are not known").toEqual([
      503,
      expect.any(String),
    ]);
  } finally {
    isDeskDown = false;
  }
  await withdraw(id);
});

test("a Consent that permits the data of a year shows the id of its Patient to a read, and to no other question", async () => {
  const year = { dataPeriod: { start: "2022-01-01", end: "2022-12-31" } };
  const hidden = await ask("clinic", "Patient/lina");
  expect(hidden.status, "no Consent is on file").toBe(200);
  const id = await file("registrar", consent("lina", { type: "permit", ...year }));
  const read = await ask("clinic", "Patient/lina");
  const { meta, ...rest } = JSON.parse(read.text) as { meta: { tag: { code: string }[] } };
  expect([read.status, rest]).toEqual([200, { resourceType: "Patient", id: "lina" }]);
  expect([Object.keys(meta), meta.tag.map(({ code }) => code)]).toEqual([["tag"], ["SUBSETTED"]]);
  expect(read.headers["last-modified"]).toBeUndefined();
  const { etag = "" } = read.headers;
  expect(etag).not.toBe(hidden.headers["etag"]);

  for (const path of [
    "Patient?_id=lina",
    "Patient?name=Lang",
    "Patient?_id=lina&birthdate=1981-02-03",
    "Patient?_id=lina&_sort=family",
    "Observation?patient.name=Lang",
    "Observation?subject=Patient/lina&_include=Observation:subject&date=2026",
    "Patient/lina/_history",
    "Patient/lina/_history/1",
    "Patient/lina/$everything",
  ]) {
    const { status, text } = await ask("clinic", path);
    const { entry = [] } = JSON.parse(text) as { entry?: readonly { readonly resource: object }[] };
    const isShown = /Lang|1981|"resourceType":"Patient"/u.test(JSON.stringify(entry));
    expect([path, status, isShown]).toEqual([path, path.includes("_history") ? 404 : 200, false]);
    if (path.endsWith("everything")) expect(text).toContain('"lina-2022"');
    expect(text).not.toContain('"lina-2026"');
  }
  // a write is answered as for a Patient who is not there, by any tag or condition
  const changed = { resourceType: "Patient", id: "lina", active: true };
  const absent = { ...changed, id: "nobody-here" };
  for (const headers of [{}, { "if-match": etag }, { "if-match": 'W/"1"' }]) {
    const sent = (body: { readonly id: string }) => {
      const sending = fhirSending("PUT", body);
      return ask("clinic", `Patient/${body.id}`, { ...sending, headers: { ...sending.headers, ...headers } });
    };
    const [ofHidden, ofAbsent] = [await sent(changed), await sent(absent)];
    expect(ofHidden.status, JSON.stringify(headers)).toBeGreaterThanOrEqual(400);
    if (Object.keys(headers).length > 0) expect(ofHidden.status).toBe(ofAbsent.status);
  }
  // the tag is the same for any content, and no scope or label decides anything by the Patient
  const again = await ask("clinic", "Patient/lina", { headers: { "if-none-match": etag } });
  expect(again.status).toBe(304);
  for (const condition of ["gender=female", "gender=male"])
    expect(
      (await askOnce("clinic", "Patient/lina", {}, { scope: `system/Patient.rs?${condition}` })).status,
    ).toBe(404);
  const denial = await file(
    "registrar",
    consent("lina", {
      type: "deny",
      class: [{ system: "http://hl7.org/fhir/resource-types", code: "Patient" }],
    }),
  );
  expect((await ask("clinic", "Patient/lina")).status, "a denial of its own").toBe(404);
  await withdraw(denial);
  await withdraw(id);
});

test("a Consent that denies the data of a year leaves the Patient whole", async () => {
  await file(
    "registrar",
    consent("nina", { type: "deny", dataPeriod: { start: "1970-01-01", end: "1970-12-31" } }),
  );
  const { status, text } = await ask("clinic", "Patient/nina");
  expect([status, text]).toEqual([200, expect.stringContaining("Novak")]);
});

test("a Consent between the start of an export and its download keeps the rows out of the file, and no number says so", async ({
  expect,
}) => {
  vi.setSystemTime(Date.now() + 2_000); // rows that changed at the start are left to the next export
  const headers = { prefer: "respond-async" };
  const begun = await ask("clinic", "$export?_type=Observation,Patient", { headers });
  expect(begun.status, begun.text).toBe(202);
  const status = String(begun.headers["content-location"]);
  const manifest = await ask("clinic", status);
  const { output } = JSON.parse(manifest.text) as { output: { url: string }[] };
  const download = () => ask("clinic", output[0]?.url ?? "");
  const idsOf = ({ text }: Reply) =>
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { id: string }).id);
  const before = idsOf(await download());
  expect(before).toContain("bela-hiv");
  const id = await file("registrar", deny("bela"));
  await soon("the row still leaves", async () => !idsOf(await download()).includes("bela-hiv"));
  const after = await download();
  expect(after.status).toBe(200);
  expect(idsOf(after).length, "the rows of every further patient").toBeGreaterThan(0);
  expect(after.text).not.toContain("OperationOutcome");
  expect((await ask("clinic", status)).text).toBe(manifest.text);
  await withdraw(id);
});
