import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { eventsOf } from "../support/auditor.ts";
import { entryOf, fhirSending, restricted, to } from "../support/fhir-parts.ts";
import {
  askAs,
  issuerEntry,
  joined,
  outsideClient,
  outsider,
  outsideToken,
  starterPolicy,
  type Outsider,
} from "../support/outside.ts";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { patience } from "../support/patience.ts";

// The messages have the form of the examples of HL7 Patient Request for Corrections 1.0.0.
const guide = "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrection";
const coded = (system: string, code: string) => ({ coding: [{ system: `${guide}${system}`, code }] });
const communication = (more: object = {}) => ({
  resourceType: "Communication",
  status: "completed",
  category: [coded("CommunicationTypes", "medRecCxReq")],
  subject: to("Patient/amara"),
  sender: to("Patient/amara"),
  recipient: [to("Practitioner/smith")],
  sent: "2021-05-19T10:00:17-00:00",
  payload: [{ contentReference: to("Observation/smoking") }],
  ...more,
});
const disagreement = (more: object = {}) =>
  communication({ category: [coded("CommunicationTypes", "medRecCxDenialDisagree")], ...more });
const task = (request: string, more: object = {}) => ({
  resourceType: "Task",
  status: "ready",
  businessStatus: coded("BusinessStatus", "queued"),
  intent: "order",
  code: coded("TaskTypes", "medRecCxReq"),
  for: to("Patient/amara"),
  authoredOn: "2021-05-19T10:00:17-00:00",
  requester: to("Patient/amara"),
  owner: to("Practitioner/smith"),
  input: [{ type: coded("CommunicationTypes", "medRecCxReq"), valueReference: to(request) }],
  ...more,
});
const smoking = {
  resourceType: "Observation" as const,
  id: "smoking",
  status: "final" as const,
  code: { coding: [{ system: "http://loinc.org", code: "72166-2" }] },
  subject: to("Patient/amara"),
  valueString: "smoker",
};
const world = [
  { resourceType: "Patient" as const, id: "amara" },
  { resourceType: "Patient" as const, id: "bela" },
  { resourceType: "Practitioner" as const, id: "smith" },
  smoking,
  { ...smoking, id: "other" },
  { ...smoking, id: "belas", subject: to("Patient/bela") },
  { resourceType: "Patient" as const, id: "cora" },
  { ...smoking, id: "coras", subject: to("Patient/cora") },
  { resourceType: "Patient" as const, id: "dora", meta: restricted },
  { ...smoking, id: "doras", subject: to("Patient/dora"), meta: restricted },
  { ...smoking, id: "coras-old", subject: to("Patient/cora-old") },
  {
    resourceType: "Bundle" as const,
    id: "document",
    type: "document" as const,
    entry: [
      { resource: { resourceType: "Composition", subject: to("Patient/amara") } },
      { resource: smoking },
      { resource: { ...smoking, id: "other" } },
    ],
  },
];
const provenance = (request: string, target = "Observation/smoking") => ({
  resourceType: "Provenance",
  target: [to(target)],
  recorded: "2021-05-25T12:00:17Z",
  agent: [{ who: to("Practitioner/smith") }],
  entity: [{ role: "source", what: to(request) }],
});

const treat = starterPolicy("treat").body as { readonly rules: readonly object[] };
// The entity's own staff amend records; a partner with the same rules does not.
const records = {
  name: "records",
  body: {
    ...treat,
    name: "records",
    amendmentRegistrar: true,
    rules: [
      ...treat.rules,
      {
        types: ["Bundle"],
        interactions: ["read"],
        show: "everything",
        why: "45 CFR 164.506(c): treatment.",
        examples: [
          {
            says: "A document is read.",
            resource: { resourceType: "Bundle", id: "1", type: "document" },
            becomes: { resourceType: "Bundle", id: "1", type: "document" },
          },
        ],
      },
    ],
  },
};

const reader = {
  name: "reader",
  body: {
    format: "phylax.policy.v1",
    name: "reader",
    title: "Reads observations",
    purposes: ["TREAT"],
    rules: [
      {
        types: ["Observation"],
        interactions: ["read"],
        show: ["status", "code", "subject", "valueString"],
        why: "45 CFR 164.506(c): treatment.",
        examples: [
          {
            says: "A result is read.",
            resource: { resourceType: "Observation", id: "1", status: "final", code: { text: "a" } },
            becomes: {
              resourceType: "Observation",
              id: "1",
              status: "final",
              code: { text: "a" },
              meta: {
                tag: [
                  {
                    system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                    code: "SUBSETTED",
                    display: "Subsetted",
                  },
                ],
              },
            },
          },
        ],
      },
    ],
  },
};

type Who = "app" | "clinic" | "partner" | "reader" | "visitor";
const clients = {
  app: {
    purpose: "PATRQT",
    policy: "patrqt",
    scope: "patient/*.crus",
    claims: { patient: "amara", fhirUser: "Patient/amara" },
  },
  clinic: { purpose: "TREAT", policy: "records", scope: "system/*.crus", claims: {} },
  reader: { purpose: "TREAT", policy: "reader", scope: "system/*.r", claims: {} },
  partner: { purpose: "TREAT", policy: "treat", scope: "system/*.crus", claims: {} },
  visitor: { purpose: "TREAT", policy: "treat", scope: "system/*.crus", claims: {} },
} as const;
const certificates = new Map<Who, CertificateFiles>();
let phylax: Door;
let issuer: Outsider;
let failing: string | undefined; // the method of `control` that fails
let losing: string | undefined; // the method of `control` whose answer is lost
let answer: (() => Response) | undefined; // of the origin to a write
let forgets = false; // the gateway learns of no Consent and no statement

beforeAll(async () => {
  phylax = await startDoor({
    resources: world,
    remote: async (part, act, method) => {
      if (part === "control" && method === failing) throw new Error("control does not answer");
      if (part === "control" && method === losing) {
        await act();
        throw new Error("the answer is lost");
      }
      if (part === "origin" && answer !== undefined) return answer() as Awaited<ReturnType<typeof act>>;
      const done = await act();
      if (!forgets || part !== "consents" || method !== "of") return done;
      return (done as object[]).map((each) => Object.assign({}, each, { consents: [] })) as typeof done;
    },
  });
  issuer = await outsider("https://amendment.example", "phylax");
  const entries = [];
  for (const who of ["app", "clinic", "partner", "reader", "visitor"] as const) {
    const { purpose, policy, scope } = clients[who];
    const { certificate, entries: own } = await outsideClient(phylax, issuer, who, {
      purpose,
      policy,
      scopes: scope,
    });
    certificates.set(who, certificate);
    entries.push(own);
  }
  const applied = await phylax.addRegistry(
    joined(
      {
        issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })],
        policies: [starterPolicy("patrqt"), starterPolicy("treat"), records, reader],
      },
      ...entries,
    ),
  );
  if (!applied.ok) throw new Error(JSON.stringify(applied));
}, 60_000);
afterAll(() => phylax.close());
afterEach(() => {
  [failing, losing, answer, forgets] = [undefined, undefined, undefined, false];
  vi.useRealTimers();
});

const ask = async (who: Who, path: string, sending: Parameters<typeof askAs>[4] = {}) => {
  const certificate = certificates.get(who);
  if (certificate === undefined) throw new Error("no certificate");
  const { scope, purpose, claims } = clients[who];
  const token = await outsideToken(issuer, certificate, { client_id: who, scope, purpose, ...claims });
  return askAs(phylax, certificate, token, path, sending);
};
const write = (who: Who, resource: { readonly resourceType: string }) =>
  ask(who, resource.resourceType, fhirSending("POST", resource));
const placeOf = (reply: { readonly headers: object }): string =>
  /(?:Communication|Task)\/[^/]+/u.exec(String(Reflect.get(reply.headers, "location")))?.[0] ?? "";
interface Listed {
  readonly id: string;
  readonly resource: string | null;
  readonly requestId: string;
}
const listed = async (
  ...more: readonly string[]
): Promise<readonly (Listed & Readonly<Record<string, unknown>>)[]> =>
  JSON.parse((await commandIn(phylax.home, "cases", "list", "--json", ...more)).out);
const run = (...args: readonly string[]) => commandIn(phylax.home, "cases", ...args);
/** Writes a request, and returns its place and its case. */
const requested = async () => {
  const place = placeOf(await write("app", communication()));
  const found = (await listed()).find(({ resource }) => resource === place);
  return { place, id: found?.id ?? "no case" };
};
const files = mkdtempSync(join(tmpdir(), "phylax-letters-"));
const filled = (name: string): string => {
  const file = join(files, name);
  const text = readFileSync(join(import.meta.dirname, `../../examples/letters/${name}`), "utf8");
  writeFileSync(file, text.replaceAll(/\[[^\]]*\]/gu, "Records Office 617 555 0100"));
  return file;
};

const voided = (id: string) => {
  const reason = join(files, "void.txt");
  writeFileSync(reason, "We hold no such result.");
  return run("void", id, "--reason", reason);
};

test("a patient's request opens a case that is due sixty days after the receipt on record", async ({
  expect,
}) => {
  const reply = await write("app", communication());
  expect(reply.status, reply.text).toBe(201);
  const found = (await listed()).find(({ resource }) => resource === placeOf(reply));
  const [receipt] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  if (receipt === undefined) throw new Error("no record");
  const due = new Date(Math.floor(receipt.at / 86_400_000) * 86_400_000 + 60 * 86_400_000)
    .toISOString()
    .slice(0, 10);
  expect(found).toMatchObject({
    receivedAt: receipt.at,
    requestId: receipt.id,
    due,
    client: "app",
    origin: "main",
    patient: "Patient/amara",
    decision: null,
  });
  expect((await run("show", found?.id ?? "")).out).toContain(`open, due ${due}`);
});

test("later messages and the task of a request belong to its case", async ({ expect }) => {
  const { place } = await requested();
  const before = await listed();
  const messages = [
    await write("app", communication({ partOf: [to(place)], payload: [{ contentString: "more" }] })),
    await write(
      "clinic",
      communication({
        sender: to("Practitioner/smith"),
        recipient: [to("Patient/amara")],
        partOf: [to(place)],
      }),
    ),
    await write("clinic", task(place)),
    await write("clinic", task("Communication/unknown", { status: "completed" })),
  ];
  expect(messages.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
  expect(await listed()).toEqual(before);
  // a Task of its own is a request that came another way
  expect((await write("clinic", task("Communication/unknown"))).status).toBe(201);
  expect(await listed()).toHaveLength(before.length + 1);
});

test("a patient asks about the own record, in the own name, and sends no other message", async ({
  expect,
}) => {
  const before = await listed("--all");
  const refused = {
    "another's record": await write("app", communication({ subject: to("Patient/bela") })),
    "nobody's record": await write("app", communication({ subject: undefined })),
    "in the name of the practitioner": await write(
      "app",
      communication({ sender: to("Practitioner/smith") }),
    ),
    "a statement about another's record": await write("app", disagreement({ subject: to("Patient/bela") })),
    "a statement in the name of the practitioner": await write(
      "app",
      disagreement({ sender: to("Practitioner/smith") }),
    ),
    "a message of the practitioner": await write(
      "app",
      communication({ category: [coded("CommunicationTypes", "instruction")] }),
    ),
    "a request that is a statement too": await write(
      "app",
      communication({
        category: ["medRecCxReq", "medRecCxDenialDisagree"].map((code) => coded("CommunicationTypes", code)),
      }),
    ),
    "a task": await write("app", task("Communication/1")),
  };
  expect(Object.entries(refused).map(([what, { status }]) => [what, status])).toEqual([
    ["another's record", 403],
    ["nobody's record", 422],
    ["in the name of the practitioner", 422],
    ["a statement about another's record", 403],
    ["a statement in the name of the practitioner", 422],
    ["a message of the practitioner", 403],
    ["a request that is a statement too", 422],
    ["a task", 403],
  ]);
  expect(refused["nobody's record"].text).toContain("name the token's patient");
  // absent and foreign records are alike
  const absent = await write("app", communication({ subject: to("Patient/nobody") }));
  const textOf = ({ text }: { readonly text: string }) => text.replace(/Request [0-9a-f]+/u, "");
  expect([absent.status, textOf(absent)]).toEqual([403, textOf(refused["another's record"])]);
  expect(await listed("--all")).toEqual(before);
});

test("no request reaches the origin without its case", async ({ expect }) => {
  failing = "open";
  const from = phylax.forwarded.length;
  const before = await listed();
  const reply = await write("app", communication());
  expect([reply.status, phylax.forwarded.slice(from).filter((line) => line.startsWith("POST Comm"))]).toEqual(
    [503, []],
  );
  const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
    ["intent", undefined],
    ["refusal", "case_not_opened"],
  ]);
  expect(await listed()).toEqual(before);
});

test("a late `control` fails the request of a batch alone, and a whole as a whole", async ({ expect }) => {
  failing = "open";
  const bundle = (type: string) =>
    ask(
      "clinic",
      "",
      fhirSending("POST", {
        resourceType: "Bundle",
        type,
        entry: [
          entryOf("POST", "Communication", communication()),
          entryOf("PUT", "Observation/smoking", smoking),
        ],
      }),
    );
  const batch = JSON.parse((await bundle("batch")).text);
  const statuses = batch.entry.map((each: { response: { status: string } }) => each.response.status);
  expect(statuses).toEqual([expect.stringContaining("503"), expect.stringContaining("200")]);
  const from = phylax.forwarded.length;
  expect((await bundle("transaction")).status).toBe(503);
  expect(phylax.forwarded.slice(from).filter((line) => line.startsWith("POST"))).toEqual([]);
});

test("an unconfirmed case is confirmed with its request, or voided", async ({ expect }) => {
  answer = () => new Response("", { status: 500 });
  const before = await listed();
  await write("app", communication());
  await write("app", communication());
  answer = undefined;
  const [first, second] = (await listed()).filter(({ id }) => !before.some((each) => each.id === id));
  const [one, other] = [first?.id ?? "", second?.id ?? ""];
  expect(await voided(other), "its request may be under way").toMatchObject({ code: 2 });
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
  expect(await run("confirm", one, "--request", "Patient/amara")).toMatchObject({ code: 2 });
  expect(await run("confirm", one, "--request", "Communication/found")).toMatchObject({ code: 0 });
  expect((await run("show", one)).out).toContain("main/Communication/found of main/Patient/amara: open");
  for (const again of [
    await run("confirm", one, "--request", "Communication/other"),
    await voided(one),
    await voided("0".repeat(32)),
  ])
    expect(again).toMatchObject({
      code: 2,
      error: expect.stringContaining("not the id of an unconfirmed case"),
    });
  expect(await voided(other)).toMatchObject({ code: 0 });
  expect((await listed("--all")).map(({ id }) => id)).not.toContain(other);
});

test("a request whose outcome is unknown keeps its case, and a refused request has none", async ({
  expect,
}) => {
  const before = await listed();
  answer = () => Response.json({ resourceType: "OperationOutcome", issue: [] }, { status: 422 });
  expect((await write("app", communication())).status).toBe(422);
  expect(await listed()).toEqual(before);
  answer = () => new Response("", { status: 500 });
  expect((await write("app", communication())).status).toBe(504);
  answer = undefined;
  failing = "settle"; // as after a crash between the origin's answer and the end of the case
  expect((await write("app", communication())).status).toBe(201);
  const opened = (await listed()).filter(({ id }) => !before.some((each) => each.id === id));
  expect(opened.map(({ resource }) => resource)).toEqual([null, null]);
  expect((await run("list")).out).toContain("open, unconfirmed");
});

test("a request is accepted once a Provenance links the amendment to it", async ({ expect }) => {
  const { place, id } = await requested();
  const isRefused = async () =>
    expect(await run("accept", id)).toMatchObject({
      code: 2,
      error: expect.stringContaining("no amendment on record"),
    });
  await isRefused();
  expect((await write("partner", provenance(place))).status).toBe(201);
  await isRefused(); // not of the entity's own staff
  expect((await write("clinic", provenance(place, "Observation/other"))).status).toBe(201);
  await isRefused(); // of another row than the request names
  const amended = await ask(
    "clinic",
    "",
    fhirSending("POST", {
      resourceType: "Bundle",
      type: "transaction",
      entry: [
        entryOf("PUT", "Observation/smoking", { ...smoking, status: "corrected" }),
        entryOf("POST", "Provenance", provenance(place)),
      ],
    }),
  );
  expect(amended.status, amended.text).toBe(200);
  expect(await run("accept", id)).toMatchObject({ code: 0, out: expect.stringContaining("164.526(c)(2)") });
  expect(await listed(), "it is decided").not.toContainEqual(expect.objectContaining({ id }));
  const found = (await listed("--all")).find((each) => each.id === id);
  expect(found).toMatchObject({
    decision: "accepted",
    amendedBy: "clinic",
    amendedRequest: amended.headers["x-request-id"],
  });
  expect(await run("accept", id), "once").toMatchObject({ code: 2 });
});

const noticesOf = async (id: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  JSON.parse((await run("notices", id, "--json")).out);

test("a notice is due to each client that got information of the amended type before, and to each person named", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const reads = async (who: Who, path: string) => expect((await ask(who, path)).status).toBe(200);
  await reads("partner", "Observation/coras");
  await reads("reader", "Observation/coras-old"); // before the two records were united
  await reads("visitor", "Patient/cora"); // of another type
  await reads("clinic", "Observation/coras"); // it amends the row itself
  const named = { for: to("Patient/cora"), requester: to("Patient/cora"), focus: to("Observation/coras") };
  const place = placeOf(await write("clinic", task("Communication/paper", named)));
  const id = (await listed()).find(({ resource }) => resource === place)?.id ?? "";
  const notAccepted = { code: 2, error: expect.stringContaining("not the id of an accepted case") };
  expect(await run("notices", "find", id)).toMatchObject(notAccepted);
  expect(await run("notices", "name", id, "--person", "Dr. Okoye")).toMatchObject(notAccepted);
  const lastAt = Date.now();
  vi.setSystemTime(lastAt + 60_000);
  expect((await write("clinic", provenance(place, "Observation/coras"))).status).toBe(201);
  vi.setSystemTime(Date.now() + 900_000);
  await reads("reader", "Observation/coras"); // the amended row
  expect(await run("accept", id)).toMatchObject({ code: 0 });

  const [first, again] = [await run("notices", "find", id), await run("notices", "find", id)];
  expect([first.code, again.code], first.error).toEqual([0, 0]);
  const [holder, ...more] = await noticesOf(id);
  expect(more).toEqual([]);
  expect(holder, "no row, no count and no earlier disclosure").toEqual({
    kind: "holder",
    recipient: "partner",
    notedAt: expect.any(Number),
    notedBy: expect.any(String),
    lastAt: expect.any(Number),
    purposes: ["TREAT"],
    endedAt: null,
    endedBy: null,
    letter: null,
    reason: null,
  });
  expect(Number(holder?.["lastAt"])).toBeLessThanOrEqual(lastAt);
  expect(await run("notices", "name", id, "--person", "<b>Dr. Okoye")).toMatchObject({ code: 2 });
  expect(await run("notices", "name", id, "--person", "Dr. Okoye, Lagos")).toMatchObject({ code: 0 });

  const [letter, reason] = [join(files, "notice.txt"), join(files, "not-needed.txt")];
  writeFileSync(letter, "We corrected the result of 2 May.");
  writeFileSync(reason, "It no longer treats the patient.");
  const sent = () => run("notices", "sent", id, "--person", "Dr. Okoye, Lagos", "--letter", letter);
  const waived = () => run("notices", "waive", id, "--holder", "partner", "--reason", reason);
  expect([await sent(), await waived()]).toMatchObject([{ code: 0 }, { code: 0 }]);
  const ended = { code: 2, error: expect.stringContaining("no open notice") };
  expect([await sent(), await waived()], "once").toMatchObject([ended, ended]);
  expect((await run("notices", "waive", id, "--holder", "nobody", "--reason", reason)).code).toBe(2);
  await run("notices", "find", id);
  const digest = createHash("sha256").update(readFileSync(letter)).digest("hex");
  expect(await noticesOf(id), "a further search opens no ended notice").toMatchObject([
    { recipient: "partner", reason: "It no longer treats the patient.", letter: null },
    { kind: "person", recipient: "Dr. Okoye, Lagos", letter: digest, reason: null },
  ]);
  expect((await run("notices", id)).out).toContain(`sent, letter ${digest}`);

  const acts = (await phylax.records()).map(({ event }) => event);
  const words = acts.map(({ what }) => what?.interaction);
  for (const step of ["find-notices", "name-notice", "send-notice", "waive-notice", "holdersOf"])
    expect(words, step).toContain(step);
  const look = acts.find(({ what }) => what?.interaction === "holdersOf");
  expect(
    acts.flatMap(({ id, what }) => (id === look?.id ? [what?.interaction] : [])),
    "the look-up is a step of the request that asked for it",
  ).toEqual(expect.arrayContaining(["find-notices", "holdersOf"]));
  expect(look).toMatchObject({
    who: { operator: holder?.["notedBy"] },
    what: { parameters: [["type", "Observation"]] },
    patients: [{ patient: "main/Patient/cora" }],
  });

  expect(await run("notices", "find", id, "--patient", "Observation/coras-old")).toMatchObject({ code: 2 });
  expect(await run("notices", "find", id, "--patient", "Patient/cora-old")).toMatchObject({ code: 0 });
  const united = (await noticesOf(id)).filter(({ recipient }) => recipient === "reader");
  expect(united, "the holder under a further id of the person").toMatchObject([{ endedAt: null }]);
  expect(Number(united[0]?.["lastAt"])).toBeLessThanOrEqual(lastAt);
  const both = (await phylax.records()).findLast(({ event }) => event.what?.interaction === "holdersOf");
  expect(both?.event.patients.map(({ patient }) => patient)).toEqual([
    "main/Patient/cora",
    "main/Patient/cora-old",
  ]);
}, 60_000);

test("another entity's notice of its amendment is taken in once, is not denied, and is accepted with its amendment alone", async ({
  expect,
}) => {
  const notice = async () =>
    placeOf(
      await write(
        "clinic",
        communication({ category: undefined, subject: to("Patient/cora"), sender: to("Practitioner/smith") }),
      ),
    );
  const [place, other] = [await notice(), await notice()];
  const opens = (...more: readonly string[]) => run("open", "--patient", "Patient/cora", ...more);
  const open = (at = place, from = "Lagos Clinic", origin = "main") =>
    opens("--origin", origin, "--notice", at, "--from", from, "--row", "Observation/coras", "--json");
  const { place: ofPatient } = await requested();
  for (const refused of [
    await open(place, "Lagos Clinic", "elsewhere"),
    await open(place, "<script>"),
    await open("Observation/coras"),
    await open(ofPatient), // a request of the individual
    await opens("--origin", "main"),
  ])
    expect(refused).toMatchObject({ code: 2 });
  const opened = await open();
  expect(opened, opened.error).toMatchObject({ code: 0 });
  expect((await open()).out, "a repeat").toBe(opened.out);
  expect(await open(place, "Accra Clinic"), "a notice of a different entity").toMatchObject({
    code: 2,
    error: expect.stringContaining("has a case"),
  });
  const { case: id } = JSON.parse(opened.out);
  const found = (await listed()).find((each) => each.id === id);
  expect(found).toMatchObject({
    informedBy: "Lagos Clinic",
    resource: place,
    disputed: ["Observation/coras"],
  });
  expect((await run("list")).out).toMatch(new RegExp(`${id} .* open, notice of another entity$`, "mu"));
  const [act] = await eventsOf(phylax.dev, found?.requestId ?? "");
  expect(act).toMatchObject({ what: { interaction: "open-case" }, who: { operator: found?.["client"] } });

  // a request that names the notice is a request of its own
  const own = await write(
    "clinic",
    communication({ subject: to("Patient/cora"), sender: to("Patient/cora"), partOf: [to(place)] }),
  );
  expect((await listed()).map(({ resource }) => resource)).toContain(placeOf(own));

  const [letter, reason] = [join(files, "informed.txt"), join(files, "informed-reason.txt")];
  writeFileSync(reason, "It takes longer.");
  const informed = { code: 2, error: expect.stringContaining("is a notice of another entity") };
  const ground = [
    "--ground",
    "accurate-and-complete",
    "--template",
    filled("denial.txt"),
    "--letter",
    letter,
  ];
  expect(await run("deny", id, ...ground)).toMatchObject(informed);
  expect(
    await run("extend", id, "--reason", reason, "--template", filled("extension.txt"), "--letter", letter),
  ).toMatchObject(informed);
  const unamended = { code: 2, error: expect.stringContaining("no amendment on record") };
  expect(await run("accept", id)).toMatchObject(unamended);
  expect((await write("partner", provenance(place, "Observation/coras"))).status).toBe(201);
  expect((await write("clinic", provenance(place, "Observation/other"))).status).toBe(201);
  expect(await run("accept", id), "not of the staff, and of another row").toMatchObject(unamended);
  expect((await ask("partner", "Observation/coras")).status).toBe(200);
  const amended = await ask(
    "clinic",
    "",
    fhirSending("POST", {
      resourceType: "Bundle",
      type: "transaction",
      entry: [
        entryOf("PUT", "Observation/coras", {
          ...smoking,
          id: "coras",
          subject: to("Patient/cora"),
          valueString: "never",
        }),
        entryOf("POST", "Provenance", provenance(place, "Observation/coras")),
      ],
    }),
  );
  expect(amended.status, amended.text).toBe(200);
  expect(await voided(id), "it is amended").toMatchObject({ code: 2 });
  expect(await run("accept", id)).toMatchObject({ code: 0 });
  expect((await run("show", id)).out).toContain("notice of Lagos Clinic, taken in by");
  expect(await run("notices", "find", id)).toMatchObject({ code: 0 });
  expect((await noticesOf(id)).map(({ recipient }) => recipient)).toContain("partner");

  const { case: none } = JSON.parse((await open(other)).out);
  expect(await run("void", none), "without a reason").toMatchObject({ code: 2 });
  expect(await voided(none)).toMatchObject({ code: 0 });
  expect((await listed("--all")).map((each) => each.id)).not.toContain(none);
  const acts = (await phylax.records()).filter(({ event }) => event.what?.interaction === "void-case");
  expect(JSON.stringify(acts), "the reason is on record").toContain("We hold no such result.");
}, 60_000);

test("a fault between the look-up and its notices, and a lost answer, lose no notice and end none twice", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const { place, id } = await requested();
  expect((await ask("partner", "Observation/smoking")).status).toBe(200);
  vi.setSystemTime(Date.now() + 60_000);
  expect((await write("clinic", provenance(place))).status).toBe(201);
  expect(await run("accept", id)).toMatchObject({ code: 0 });
  failing = "addHolders";
  expect((await run("notices", "find", id)).code).not.toBe(0);
  expect(await noticesOf(id)).toEqual([]);
  [failing, losing] = [undefined, "addHolders"];
  await run("notices", "find", id);
  losing = undefined;
  expect((await run("notices", "find", id)).code).toBe(0);
  const holders = (await noticesOf(id)).map(({ recipient }) => recipient);
  expect(holders).toEqual([...new Set(holders)]);
  expect(holders).toContain("partner");

  const letter = join(files, "lost.txt");
  writeFileSync(letter, "We corrected the result.");
  const sent = () => run("notices", "sent", id, "--holder", "partner", "--letter", letter);
  losing = "sendNotice";
  expect((await sent()).code, "nobody knows").not.toBe(0);
  losing = undefined;
  expect(await sent()).toMatchObject({ code: 2, error: expect.stringContaining("no open notice") });
  const digest = createHash("sha256").update(readFileSync(letter)).digest("hex");
  expect((await noticesOf(id)).find(({ recipient }) => recipient === "partner")).toMatchObject({
    letter: digest,
  });
}, 60_000);

test("the individual's own reads make nobody a holder", async ({ expect }) => {
  const { place, id } = await requested();
  expect((await ask("app", "Observation/smoking")).status).toBe(200);
  expect((await write("clinic", provenance(place))).status).toBe(201);
  expect(await run("accept", id)).toMatchObject({ code: 0 });
  expect(await run("notices", "find", id)).toMatchObject({ code: 0 });
  expect((await noticesOf(id)).map(({ recipient }) => recipient)).not.toContain("app");
});

test("a denial has one of four grounds, and a letter with each part of (d)(1)", async ({ expect }) => {
  const { id } = await requested();
  const letter = join(files, "denial-out.md");
  const deny = (...more: readonly string[]) =>
    run("deny", id, "--template", filled("denial.txt"), "--letter", letter, ...more);
  expect((await deny("--ground", "we-do-not-want-to")).code).toBe(2);
  const raw = join(import.meta.dirname, "../../examples/letters/denial.txt");
  expect(
    await run("deny", id, "--ground", "accurate-and-complete", "--template", raw, "--letter", letter),
  ).toMatchObject({ code: 2, error: expect.stringContaining("place that is not filled") });
  const explanation = join(files, "explanation.txt");
  writeFileSync(explanation, "<script>alert(1)</script> {case}");
  expect(await deny("--ground", "accurate-and-complete", "--partly"), "nothing was amended").toMatchObject({
    code: 2,
  });
  expect(existsSync(letter), "a refused step leaves no letter").toBe(false);
  expect(await deny("--ground", "accurate-and-complete", "--explanation", explanation)).toMatchObject({
    code: 0,
  });
  const text = readFileSync(letter, "utf8");
  expect(text).toContain("accurate and complete");
  expect(text, "words of a person are no template").toContain("<script>alert(1)</script> {case}");
  expect(text).not.toContain("<!--");
  const found = (await listed("--all")).find((each) => each.id === id);
  expect(found).toMatchObject({
    decision: "denied",
    reasons: ["accurate-and-complete"],
    decidedBy: expect.any(String),
  });
  const acts = (await phylax.records()).map(({ event }) => event.what?.interaction);
  expect(acts).toContain("deny-case");
});

test("a letter stays while nobody knows whether its step is done, and a repeat says that it is", async ({
  expect,
}) => {
  const { id } = await requested();
  const letter = join(files, "unknown.md");
  const deny = () =>
    run("deny", id, "--ground", "not-created-here", "--template", filled("denial.txt"), "--letter", letter);
  failing = "deny";
  expect(await deny()).toMatchObject({ code: 1, error: expect.stringContaining("repeat the command") });
  const text = readFileSync(letter, "utf8");
  [failing, losing] = [undefined, "deny"];
  expect(await deny(), "it stands with this letter").toMatchObject({ code: 0 });
  losing = undefined;
  expect(await deny(), "again").toMatchObject({ code: 0 });
  expect(readFileSync(letter, "utf8")).toBe(text);
  writeFileSync(letter, "of another case");
  expect(await deny()).toMatchObject({ code: 2, error: expect.stringContaining("exists") });
  expect(readFileSync(letter, "utf8")).toBe("of another case");
});

test("the time of a request is extended once, and only within its sixty days", async ({ expect }) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const [first, second] = [await requested(), await requested()];
  const reason = join(files, "reason.txt");
  writeFileSync(reason, "The record is at another site.");
  let letters = 0;
  const extend = (id: string) =>
    run(
      "extend",
      id,
      "--reason",
      reason,
      "--template",
      filled("extension.txt"),
      "--letter",
      join(files, `${++letters}.md`),
    );
  const received = Math.floor(Date.now() / 86_400_000) * 86_400_000;
  vi.setSystemTime(received + 61 * 86_400_000 - 1);
  const due = new Date(received + 90 * 86_400_000).toISOString().slice(0, 10);
  expect(await extend(first.id)).toMatchObject({ code: 0, out: expect.stringContaining(due) });
  expect(readFileSync(join(files, "1.md"), "utf8")).toContain(
    `The record is at another site.\n\nWe will answer your request by ${due}.`,
  );
  expect(await extend(first.id)).toMatchObject({
    code: 2,
    error: expect.stringContaining("extended before"),
  });
  vi.setSystemTime(received + 61 * 86_400_000);
  expect(await extend(second.id)).toMatchObject({
    code: 2,
    error: expect.stringContaining("past its first 60 days"),
  });
  const { out } = await run("list");
  expect(out).toMatch(new RegExp(`${second.id} .* open, late`, "u"));
  expect(out).toMatch(new RegExp(`${first.id} .* ${due} .* open, extended$`, "mu"));
  // the entity is late, and the individual gets the decision all the same
  const letter = ["--template", filled("denial.txt"), "--letter", join(files, "too-late.txt")];
  expect(await run("deny", second.id, "--ground", "not-created-here", ...letter)).toMatchObject({ code: 0 });
});

/** Denies a new request. Returns its case. */
const denied = async (more: object = {}) => {
  const place = placeOf(await write("app", communication(more)));
  const id = (await listed()).find(({ resource }) => resource === place)?.id ?? "no case";
  const letter = join(files, `${id}.md`);
  const ground = ["--ground", "accurate-and-complete"];
  const reply = await run("deny", id, ...ground, "--template", filled("denial.txt"), "--letter", letter);
  expect(reply, reply.error).toMatchObject({ code: 0 });
  return { place, id };
};
/** The resources of an answer that carry a statement, and those that carry none. */
const byStatement = (text: string) => {
  const body = JSON.parse(text);
  const all = body.resourceType === "Bundle" ? body.entry : [{ resource: body }];
  const names = (isStated: boolean) =>
    all.flatMap(({ resource }: { resource?: Record<string, unknown> }) =>
      resource === undefined || resource["resourceType"] === "OperationOutcome"
        ? []
        : JSON.stringify(resource["extension"] ?? "").includes("urn:phylax:statement") === isStated
          ? [`${String(resource["resourceType"])}/${String(resource["id"])}`]
          : [],
    );
  return { stated: names(true), plain: names(false) };
};

const summaryOf = (reply: { readonly status: number; readonly headers: object }) => ({
  at: expect.any(Number),
  requestId: Reflect.get(reply.headers, "x-request-id"),
  resource: placeOf(reply) === "" ? null : placeOf(reply),
});

test("a patient's statements are in the officer's list until the officer files what follows", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const { id, place } = await denied({ payload: [{ contentReference: to("Observation/absent") }] });
  const cases = (await listed("--all")).length;
  const inList = async () => (await listed()).find((each) => each.id === id)?.["disagreements"];
  const noted = async () => JSON.parse((await run("show", id, "--json")).out).disagreements;
  const state = (...more: readonly string[]) => run("state", id, "--statement", "Communication/1", ...more);
  const say = (more: object = {}) => write("app", disagreement({ partOf: [to(place)], ...more }));
  expect(await inList(), "a denied case without a statement").toBeUndefined();
  // a message of the staff, and a statement that does not arrive
  await write("clinic", disagreement({ sender: to("Practitioner/smith"), partOf: [to(place)] }));
  answer = () => Response.json({ resourceType: "OperationOutcome", issue: [] }, { status: 422 });
  expect((await say()).status).toBe(422);
  answer = undefined;
  failing = "open";
  const sent = phylax.forwarded.length;
  expect([(await say()).status, phylax.forwarded.slice(sent)]).toEqual([503, []]);
  failing = undefined;
  expect([await noted(), await inList()]).toEqual([[], undefined]);

  const first = await say();
  expect(await inList()).toEqual([summaryOf(first)]);
  expect((await run("list")).out).toMatch(new RegExp(`${id} .* denied, statement received$`, "mu"));
  expect((await run("show", id)).out).toContain(`statement of disagreement ${placeOf(first)}`);
  const version = await ask(
    "clinic",
    placeOf(first),
    fhirSending("PUT", {
      ...disagreement({ partOf: [to(place)], payload: [{ contentString: "in other words" }] }),
      id: placeOf(first).slice("Communication/".length),
    }),
  );
  expect(version.status, version.text).toBe(200);
  const second = await say();
  answer = () => new Response("", { status: 500 });
  const unknown = await say();
  answer = undefined;
  failing = "settle"; // as after a crash between the origin's answer and the end of the statement
  const lost = await say();
  failing = undefined;
  const all = [
    summaryOf(first),
    summaryOf(second),
    summaryOf(unknown),
    { ...summaryOf(lost), resource: null },
  ];
  expect([unknown.status, lost.status, await inList()]).toEqual([504, 201, all]);

  vi.setSystemTime(Date.now() + 1_000);
  expect(await state()).toMatchObject({ code: 0 });
  expect([await noted(), await inList()]).toEqual([all, undefined]);
  vi.setSystemTime(Date.now() + 1_000);
  const later = await say();
  expect(await inList(), "a further statement, after the filing").toEqual([...all, summaryOf(later)]);
  for (let more = all.length + 1; more < 20; more += 1) expect((await say()).status).toBe(201);
  const refused = await say();
  expect([refused.status, await noted()]).toMatchObject([422, { length: 20 }]);
  expect(refused.text).toContain("20 statements");
  expect(await listed("--all"), "no statement is a request").toHaveLength(cases);
});

test("a statement that names no denied request opens a case, so it is in the list", async ({ expect }) => {
  const { id, place } = await requested();
  expect((await write("clinic", provenance(place))).status).toBe(201);
  expect(await run("accept", id)).toMatchObject({ code: 0 });
  for (const more of [{}, { partOf: [to("Communication/unknown")] }, { partOf: [to(place)] }]) {
    const reply = await write("app", disagreement(more));
    const found = (await listed()).find(({ resource }) => resource === placeOf(reply));
    expect(found?.["disagreements"]).toEqual([summaryOf(reply)]);
    expect((await run("list")).out).toMatch(
      new RegExp(`${found?.id ?? ""} .* open, statement received$`, "mu"),
    );
    const letter = ["--template", filled("denial.txt"), "--letter", join(files, `${found?.id ?? ""}.txt`)];
    expect(await run("deny", found?.id ?? "", "--ground", "accurate-and-complete", ...letter)).toMatchObject({
      code: 0,
    });
  }
});

test("a statement follows each later disclosure of the disputed row, and of no other", async ({ expect }) => {
  const { id, place } = await denied();
  const ofBela = async () => {
    const from = phylax.forwarded.length;
    const texts = [];
    for (const path of ["Observation/belas", "Observation?patient=bela", "Patient/bela/$everything"])
      texts.push((await ask("partner", path)).text.replaceAll(/"(?:id|timestamp)":"[0-9a-fT:.Z-]+"/gu, ""));
    return { texts, asked: phylax.forwarded.slice(from) };
  };
  const belasBefore = await ofBela();
  const { stated: before } = byStatement((await ask("partner", "Observation/smoking")).text);
  expect(before).toEqual([]);
  const message = placeOf(await write("app", disagreement({ partOf: [to(place)] })));
  const summary = join(files, "summary.txt");
  const state = (...more: readonly string[]) => run("state", id, "--statement", message, ...more);
  writeFileSync(summary, "<script>alert(1)</script>");
  const scripted = await state("--element", "valueString", "--summary", summary);
  expect(scripted).toMatchObject({ code: 2, error: expect.stringContaining("summary") });
  writeFileSync(summary, "The patient never smoked.");
  expect(await state("--summary", summary), "of no member").toMatchObject({ code: 2 });
  const done = await state("--element", "valueString", "--summary", summary);
  expect(done, done.error).toMatchObject({ code: 0 });
  expect(await state(), "a second").toMatchObject({
    code: 2,
    error: expect.stringContaining("has a statement"),
  });
  expect((await run("show", id)).out).toContain("disagreement by");

  const read = await vi.waitFor(
    async () => {
      const reply = await ask("partner", "Observation/smoking");
      expect(byStatement(reply.text)).toEqual({ stated: ["Observation/smoking"], plain: [] });
      return reply;
    },
    { ...patience, interval: 250 },
  );
  expect(await ofBela(), "a patient without statements").toEqual(belasBefore);
  const statement = {
    url: "urn:phylax:statement",
    extension: [
      { url: "summary", valueString: "The patient never smoked." },
      { url: "statement", valueReference: { reference: message } },
    ],
  };
  expect(JSON.parse(read.text).extension).toEqual([statement]);
  expect(read.headers["link"]).toContain(`/${message}>; rel="related"`);
  const [version] = /[0-9]+/u.exec(JSON.parse(read.text).meta?.versionId ?? "") ?? [];
  for (const path of [
    "Observation?patient=amara",
    "Observation?_id=smoking,other",
    "Observation?patient=amara&_elements=valueString",
    "Patient/amara/$everything",
    "Observation/smoking/_history",
    `Observation/smoking/_history/${version ?? "1"}`,
    "Provenance?target=Observation/smoking&_include=Provenance:target",
    "Patient?_id=amara&_revinclude=Observation:patient",
  ]) {
    const { status, text } = await ask("partner", path);
    expect(status, path + text).toBe(200);
    const { stated, plain } = byStatement(text);
    expect([path, new Set(stated)]).toEqual([path, new Set(["Observation/smoking"])]);
    expect(plain, path).not.toContain("Observation/smoking");
    if (text.includes('"searchset"')) expect(text, path).toContain("A patient disputes entries");
  }
  const batch = await ask(
    "partner",
    "",
    fhirSending("POST", {
      resourceType: "Bundle",
      type: "batch",
      entry: [entryOf("GET", "Observation/smoking"), entryOf("GET", "Observation/other")],
    }),
  );
  expect(byStatement(batch.text)).toEqual({ stated: ["Observation/smoking"], plain: ["Observation/other"] });
  const hidden = await ask("partner", "Observation?patient=amara&_elements=code");
  expect(byStatement(hidden.text).stated, "the disputed member does not leave").toEqual([]);

  // a policy without messages names none
  const tight = await ask("reader", "Observation/smoking");
  expect(JSON.parse(tight.text).extension).toEqual([{ ...statement, extension: [statement.extension[0]] }]);
  expect(tight.headers["link"]).toContain("<urn:phylax:statement>");

  // the individual's own reads, of all forms
  for (const path of ["Observation/smoking", "Observation?patient=amara", "Patient/amara/$everything"]) {
    const { status, text } = await ask("app", path);
    expect([path, status, new Set(byStatement(text).stated)]).toEqual([
      path,
      200,
      new Set(["Observation/smoking"]),
    ]);
    expect(byStatement(text).plain).not.toContain("Observation/smoking");
  }
  // a copy of the row in a document
  const { text, headers } = await ask("clinic", "Bundle/document");
  const inside = JSON.parse(text).entry.map(
    ({ resource }: { resource: { extension?: unknown } }) => resource.extension,
  );
  expect(inside).toEqual([undefined, [statement], undefined]);
  expect(headers["link"]).toContain(`/${message}>; rel="related"`);

  // a client sends the row back as it was read: the statement stays with the gateway
  const own = await ask("clinic", "Observation/smoking");
  const back = { ...JSON.parse(own.text), status: "amended" };
  const written = await ask(
    "clinic",
    "Observation/smoking",
    fhirSending("PUT", back, { "if-match": String(own.headers["etag"]), prefer: "return=representation" }),
  );
  expect(written.status, written.text).toBe(200);
  expect(byStatement(written.text).stated).toEqual(["Observation/smoking"]);
  expect(JSON.parse(written.text).extension).toEqual([statement]);
});

test("a request and its denial follow rows as a whole, by a sentence that tells no more", async ({
  expect,
}) => {
  const { id, place } = await denied({ payload: [{ contentString: "please" }] });
  const open = await requested();
  expect(await run("state", open.id, "--row", "Observation/other")).toMatchObject({
    code: 2,
    error: expect.stringContaining("denied case"),
  });
  expect(await run("state", id)).toMatchObject({ code: 2, error: expect.stringContaining("names no row") });
  const reason = join(files, "unstate.txt");
  writeFileSync(reason, "It names the wrong member.");
  expect(await run("unstate", open.id, "--reason", reason), "not denied").toMatchObject({ code: 2 });
  expect(await run("state", id, "--row", "Observation/other", "--element", "code")).toMatchObject({
    code: 0,
  });
  expect(await run("unstate", id), "without a reason").toMatchObject({ code: 2 });
  expect(await run("unstate", id, "--reason", reason)).toMatchObject({ code: 0 });
  expect(await run("state", id, "--row", "Observation/other"), "anew").toMatchObject({ code: 0 });
  const following = async (expected: unknown) =>
    await vi.waitFor(
      async () => {
        const { text } = await ask("partner", "Observation/other");
        expect(JSON.parse(text).extension?.[0].extension).toEqual(expected);
      },
      { ...patience, interval: 250 },
    );
  await following([
    {
      url: "summary",
      valueString: "The patient asked for an amendment of this information, and the request was denied.",
    },
    { url: "request", valueReference: { reference: place } },
  ]);
  for (const again of [false, true])
    expect([again, await run("unstate", id, "--reason", reason)]).toMatchObject([again, { code: 0 }]);
  await following(undefined);
  const acts = (await phylax.records()).filter(({ event }) => event.what?.interaction === "unstate-case");
  expect(JSON.stringify(acts), "the reason is on record").toContain("It names the wrong member.");
});

test("an auditor proves that each later disclosure carried the statement, and finds a disclosure without it", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const { id } = await denied();
  const file = join(files, "records.jsonl");
  const lines: string[] = [];
  const check = async (...replies: readonly { readonly headers: object }[]) => {
    for (const { headers } of replies)
      for (const event of await eventsOf(phylax.dev, String(Reflect.get(headers, "x-request-id"))))
        lines.push(JSON.stringify({ log: "l", leaves: [lines.length], event }));
    writeFileSync(file, lines.join("\n"));
    return await run("check", id, "--records", file);
  };
  const reads = async (path: string, isStated: boolean) =>
    await vi.waitFor(
      async () => {
        const reply = await ask("partner", path);
        expect([path, reply.text.includes("urn:phylax:statement")]).toEqual([path, isStated]);
        return reply;
      },
      { ...patience, interval: 250 },
    );
  const later = () => vi.setSystemTime(Date.now() + 15_000); // each change counts everywhere
  expect(await check(), "before the statement").toMatchObject({
    code: 2,
    error: "the case has no statement\n",
  });
  const early = await ask("partner", "Observation/other");
  expect(await run("state", id)).toMatchObject({ code: 0 });
  later();
  const carried = [
    await reads("Observation/smoking", true),
    await reads("Observation?patient=amara", true),
    await reads("Observation/other", false), // the statement is in force, and follows no row of this answer
    await reads("Patient/amara", false), // of no disputed type
  ];
  const accounted = await ask("app", "Patient/amara/$disclosures?all=true"); // its Bundle has no row of the record
  expect(accounted.status).toBe(200);
  const proven = await check(early, ...carried, accounted);
  expect(proven, proven.error).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^yes: each of 3 later/u),
  });
  expect(accounted.text, "a statement is no Consent that permits").not.toContain("statement/");

  forgets = true;
  const reason = join(files, "anew.txt");
  writeFileSync(reason, "Filed anew.");
  expect(await run("unstate", id, "--reason", reason)).toMatchObject({ code: 0 });
  expect(await run("state", id)).toMatchObject({ code: 0 });
  later();
  const planted = await reads("Observation/smoking", false);
  const found = await check(planted);
  expect(found).toMatchObject({ code: 1, out: expect.stringContaining("no: 1 of 4 later disclosures") });
  expect(found.out).toContain(`l/${lines.length - 1} does not name the statement`);
}, 60_000);

test("a request about rows that are absent, or of another patient, is taken in like each other, and denied for good", async ({
  expect,
}) => {
  const places = ["Observation/smoking", "Observation/absent", "Observation/belas", "Coverage/none"];
  const ends = [];
  for (const place of places) {
    const from = phylax.forwarded.length;
    const reply = await write("app", communication({ payload: [{ contentReference: to(place) }] }));
    const [found] = await listed("--all").then((all) =>
      all.filter((each) => each.resource === placeOf(reply)),
    );
    expect(found?.["disputed"]).toEqual([place]);
    const said = reply.text.replaceAll(place, "").replaceAll(/"(?:id|lastUpdated)":"[^"]*"/gu, "");
    ends.push({ status: reply.status, said, asked: phylax.forwarded.slice(from) });
    const letter = join(files, `not-held-${found?.id ?? ""}.txt`);
    const ground = ["--ground", "not-in-record-set", "--template", filled("denial.txt"), "--letter", letter];
    expect(await run("deny", found?.id ?? "", ...ground)).toMatchObject({ code: 0 });
    expect(readFileSync(letter, "utf8")).toContain("not part of the records about you");
  }
  expect(ends[0]).toMatchObject({ status: 201, asked: ["POST /fhir/Communication"] });
  expect(new Set(ends.map((end) => JSON.stringify(end))).size, "no answer tells of a row").toBe(1);
});

test("what names another patient's row follows no row of that patient", async ({ expect }) => {
  const rows = ["Observation/belas", "Observation/absent", "Observation/other"];
  const { id } = await denied({ payload: rows.map((row) => ({ contentReference: to(row) })) });
  const before = [];
  const paths = ["Observation/belas", "Observation?patient=bela", "Patient/bela/$everything"];
  const stamp = /"(?:id|timestamp)":"[0-9a-fT:.Z-]+"/gu;
  for (const path of paths) before.push((await ask("partner", path)).text.replaceAll(stamp, ""));
  expect(await run("state", id)).toMatchObject({ code: 0 });
  await vi.waitFor(
    async () => expect((await ask("partner", "Observation/other")).text).toContain("urn:phylax:statement"),
    { ...patience, interval: 250 },
  );
  const after = [];
  for (const path of paths) after.push((await ask("partner", path)).text.replaceAll(stamp, ""));
  expect(after).toEqual(before);
  const both = byStatement((await ask("partner", "Observation?_id=belas,other")).text);
  expect(both).toEqual({ stated: ["Observation/other"], plain: ["Observation/belas"] });

  const filter = encodeURIComponent("Observation?_id=belas,other");
  const begun = await ask("partner", `$export?_type=Observation&_typeFilter=${filter}`, {
    headers: { prefer: "respond-async" },
  });
  const manifest = JSON.parse((await ask("partner", String(begun.headers["content-location"]))).text);
  const lines = (await ask("partner", manifest.output[0].url)).text.trim().split("\n");
  const stated = (id: string) => lines.find((line) => line.includes(`"id":"${id}"`))?.includes("urn:phylax:");
  expect([lines.length, stated("other"), stated("belas")], "no line but rows").toEqual([2, true, false]);
});

test("a hidden row and a hidden patient with a statement are as without: in answers, questions and public leaves", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const { id: further } = await denied({ payload: [{ contentReference: to("Observation/absent") }] });
  expect(await run("state", further), "the server has a statement").toMatchObject({ code: 0 });
  const named = { for: to("Patient/dora"), requester: to("Patient/dora"), focus: to("Observation/doras") };
  const place = placeOf(await write("clinic", task("Communication/paper", named)));
  const id = (await listed()).find(({ resource }) => resource === place)?.id ?? "no case";
  const letter = ["--template", filled("denial.txt"), "--letter", join(files, "dora.txt")];
  expect(await run("deny", id, "--ground", "not-created-here", ...letter)).toMatchObject({ code: 0 });
  const paths = [
    "Observation/doras",
    "Observation/doras/_history",
    "Observation/doras/_history/1",
    "Observation?_id=doras,belas",
    "Observation?patient=dora",
    "Observation?patient=dora,bela",
    "Observation?code=72166-2&_count=2",
    "Patient/dora",
    "Patient/dora/$everything",
    "Patient?_id=dora&_revinclude=Observation:patient",
  ];
  const leafSizes = async () => {
    const ofLogs = Map.groupBy(await phylax.leaves(), ({ log }) => log);
    return [...ofLogs].map(([log, leaves]) => [log, leaves.map(({ length }) => length)] as const);
  };
  const seen = async () => {
    vi.setSystemTime(Date.now() + 15_000); // what was filed counts everywhere, and no copy is left
    const old = new Map(await leafSizes());
    const all = [];
    for (const who of ["partner", "app"] as const)
      for (const path of paths) {
        const from = phylax.forwarded.length;
        const { status, text, headers } = await ask(who, path);
        const said = text.replaceAll(
          /"(?:id|timestamp)":"[0-9a-fT:.Z-]+"|Request [0-9a-f]+|_page=[^"]+/gu,
          "",
        );
        const names = Object.keys(headers).toSorted();
        all.push({ who, path, status, said, names, asked: phylax.forwarded.slice(from) });
      }
    const leaves = await leafSizes();
    return JSON.stringify({
      all,
      leaves: leaves.flatMap(([log, sizes]) => sizes.slice(old.get(log)?.length)).toSorted((a, b) => a - b),
    });
  };
  const seenTwice = async () => [await seen(), await seen()]; // a log may begin a key epoch in one of the two
  await seen();
  const before = await seenTwice();
  expect(await run("state", id)).toMatchObject({ code: 0 });
  const [onFile] = await phylax.consentsOf(["dora"]);
  expect(onFile?.consents, "the statement is in force").toHaveLength(1);
  const after = await seenTwice();
  expect(after.filter((each) => before.includes(each)).length, `${after[0]} ${before[0]}`).toBeGreaterThan(0);
  for (const path of ["Observation/doras", "Patient/dora"])
    expect((await ask("partner", path)).status).toBe(404);
}, 60_000);

test("each refusal about an amendment is on record with its reason", async ({ expect }) => {
  for (const [more, reason] of [
    [{ subject: to("Patient/bela") }, "result_outside_access"],
    [{ sender: to("Practitioner/smith") }, "amendment_request_unfit"],
  ] as const)
    for (const message of [communication(more), disagreement(more)]) {
      const reply = await write("app", message);
      const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
      expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).toContainEqual(["refusal", reason]);
    }
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 61 * 86_400_000 });
  const { id: late } = await requested();
  vi.useRealTimers();
  const { id: open } = await requested();
  const { id } = await denied({ payload: [{ contentReference: to("Observation/other") }] });
  expect(await run("state", id)).toMatchObject({ code: 0 });
  const [summary, reason] = [join(files, "script.txt"), join(files, "late.txt")];
  writeFileSync(reason, "It takes longer.");
  writeFileSync(summary, "<script>alert(1)</script>");
  const ground = ["--ground", "accurate-and-complete", "--template", filled("denial.txt")];
  const steps: readonly (readonly [string, readonly string[]])[] = [
    ["case_stated", ["state", id, "--row", "Observation/other"]],
    ["case_malformed", ["state", id, "--element", "valueString", "--summary", summary]],
    ["case_not_denied", ["state", open, "--row", "Observation/other"]],
    ["case_not_amended", ["accept", open]],
    ["case_not_open", ["deny", id, ...ground, "--letter", join(files, "refused.txt")]],
    ["case_not_unconfirmed", ["void", open, "--reason", reason]],
    [
      "case_time_over",
      [
        "extend",
        late,
        "--reason",
        reason,
        "--template",
        filled("extension.txt"),
        "--letter",
        join(files, "refused.txt"),
      ],
    ],
  ];
  for (const [refusal, step] of steps) {
    expect(await run(...step), refusal).toMatchObject({ code: 2 });
    const ends = (await phylax.records()).flatMap(({ event: { what, outcome } }) =>
      what?.interaction === `${step[0]}-case` ? [outcome] : [],
    );
    expect(ends, refusal).toContainEqual({ status: 422, reason: refusal });
  }
});

test("a client has twenty open cases of a patient: a further request is refused for good, and another client's is not", async ({
  expect,
}) => {
  const openOf = async (client: string) =>
    (await listed()).filter(
      (each) => each["client"] === client && each["patient"] === "Patient/amara" && each["decision"] === null,
    );
  for (let open = (await openOf("app")).length; open < 19; open += 1)
    expect((await write("app", communication())).status).toBe(201);
  const sent = phylax.forwarded.length;
  const both = {
    resourceType: "Bundle",
    type: "batch",
    entry: [
      entryOf("POST", "Communication", communication()),
      entryOf("POST", "Communication", communication()),
    ],
  };
  const batch = JSON.parse((await ask("app", "", fhirSending("POST", both))).text);
  const statuses = batch.entry.map((each: { response: { status: string } }) => each.response.status);
  expect(statuses, "there is room for one").toEqual(
    ["422", "422"].map((code) => expect.stringContaining(code)),
  );
  expect(await openOf("app"), "none of the two has a case").toHaveLength(19);
  expect(phylax.forwarded.slice(sent)).not.toContain("POST /fhir/Communication");

  const last = await write("app", communication());
  expect(last.status).toBe(201);
  const refused = await write("app", communication());
  expect([refused.status, refused.headers["retry-after"]]).toEqual([422, undefined]);
  expect(refused.text).toContain("name an open request in partOf");
  expect((await write("app", communication({ partOf: [to(placeOf(last))] }))).status).toBe(201);
  expect((await write("clinic", communication())).status).toBe(201);
});
