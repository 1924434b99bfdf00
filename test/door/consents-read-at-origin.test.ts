import { afterAll, beforeAll, beforeEach, test, vi } from "vitest";
import type { Resource } from "@medplum/fhirtypes";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { type AskAs, outsideApps, registerMain } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { handlerOf } from "../support/in-process/memory-handler.ts";
import { policyEntry, rule } from "../policy/granting.ts";

const thp = "http://terminology.hl7.org/CodeSystem/";
const periodMilliseconds = 60_000;
const consent = (id: string, patient: string, type: "permit" | "deny", status = "active") => ({
  resourceType: "Consent",
  id,
  status,
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
  patient: to(`Patient/${patient}`),
  policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: type === "deny" ? "OPTOUT" : "OPTIN" }] },
  provision: { type },
});
const patients = ["amara", "bela", "cora", "dina", "elsa", "fina"];
const world: readonly Resource[] = patients.flatMap((id): readonly Resource[] => [
  { resourceType: "Patient", id },
  {
    resourceType: "Observation",
    id: `${id}-pulse`,
    status: "final",
    code: { text: "pulse" },
    subject: to(`Patient/${id}`),
  },
]);
const policy = (name: string, base: "honoured" | "required", consentRegistrar = true) =>
  policyEntry(
    name,
    [
      rule(["Consent", "Patient", "Observation"], "everything", {
        interactions: ["read", "search", "create", "update", "delete"],
      }),
    ],
    { ...(consentRegistrar && { consentRegistrar: true }), consent: { base } },
  );

const grant = { purpose: "TREAT", scopes: "system/*.cruds" };
const apps = {
  clinic: { ...grant, policy: "clinic" },
  careful: { ...grant, policy: "careful" },
  poster: { ...grant, policy: "poster" },
};
type Who = keyof typeof apps;
let isDown = false;
/** The Consents that the origin sends, whatever it is asked. */
let whateverIsAsked: readonly object[] | undefined;
let phylax: Door;
let ask: AskAs<Who>;

beforeAll(async () => {
  phylax = await startDoor({
    resources: world,
    answer: (request) => {
      if (!new URL(request.url).pathname.startsWith("/fhir/Consent"))
        return handlerOf(phylax.origin)(request);
      if (isDown) return new Response("", { status: 500 });
      return whateverIsAsked === undefined
        ? handlerOf(phylax.origin)(request)
        : Response.json({
            resourceType: "Bundle",
            type: "searchset",
            entry: whateverIsAsked.map((resource) => ({ resource, search: { mode: "match" } })),
          });
    },
  });
  const policies = [
    policy("clinic", "honoured"),
    policy("careful", "required"),
    policy("poster", "honoured", false),
  ];
  ask = await outsideApps(phylax, apps, policies);
  await register();
  vi.useFakeTimers({ toFake: ["Date"] });
}, 60_000);
// Each test begins with readings that are due.
beforeEach(() => pass(periodMilliseconds));
afterAll(async () => {
  vi.useRealTimers();
  await phylax.close();
});

const register = (verified?: "origin" | "verification") =>
  registerMain(phylax, {
    honoursIfMatchOnDelete: true,
    consents: { readEverySeconds: periodMilliseconds / 1_000, verified },
  });
function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds);
}
const statusOf = async (who: Who, path: string) => (await ask(who, path)).status;
/** Writes at the origin itself, which no gateway sees. */
async function atOrigin(
  resource: {
    readonly id: string;
    readonly verification?: readonly object[];
    readonly resourceType?: string;
  },
  method = "PUT",
) {
  const headers = { "content-type": "application/fhir+json" };
  const url = `${phylax.dev.origin}/${resource.resourceType ?? "Consent"}/${resource.id}`;
  const body = method === "PUT" ? { body: JSON.stringify(resource) } : {};
  const written = await phylax.within(() => fetch(url, { method, headers, ...body }));
  if (!written.ok) throw new Error(`${written.status} ${await written.text()}`);
}
const questions = () => phylax.forwarded.filter((each) => each === "POST /fhir/Consent/_search").length;
async function questionsIn(act: () => Promise<unknown>): Promise<number> {
  const before = questions();
  await act();
  return questions() - before;
}

test("a denial that is written at the origin counts within the period, and so does its withdrawal or its deletion", async ({
  expect,
}) => {
  expect(await statusOf("clinic", "Observation/amara-pulse")).toBe(200);
  await atOrigin(consent("a", "amara", "deny"));
  pass(periodMilliseconds);
  expect(await statusOf("clinic", "Observation/amara-pulse")).toBe(404);
  expect(await statusOf("clinic", "Observation/bela-pulse"), "a different patient").toBe(200);

  await atOrigin(consent("a", "amara", "deny", "inactive"));
  pass(periodMilliseconds);
  expect(await statusOf("clinic", "Observation/amara-pulse"), "withdrawn").toBe(200);

  await atOrigin(consent("b", "amara", "deny"));
  pass(periodMilliseconds);
  expect(await statusOf("clinic", "Observation/amara-pulse")).toBe(404);
  await atOrigin({ id: "b" }, "DELETE");
  pass(periodMilliseconds);
  expect(await statusOf("clinic", "Observation/amara-pulse"), "deleted").toBe(200);
});

test("a permit that is written at the origin does not widen; a registrar's permit ends when it is withdrawn there", async ({
  expect,
}) => {
  await atOrigin(consent("c", "cora", "permit"));
  expect(await statusOf("careful", "Observation/cora-pulse"), "the base asks for a permit").toBe(404);

  const { id: _id, ...resource } = consent("", "cora", "permit");
  const created = await ask("clinic", "Consent", fhirSending("POST", resource));
  expect(created.status).toBe(201);
  pass(2 * periodMilliseconds);
  expect(await statusOf("careful", "Observation/cora-pulse"), "the reading takes nothing away").toBe(200);
  const [, id] = /Consent\/([^/]+)/u.exec(created.headers["location"] ?? "") ?? [];
  if (id === undefined) throw new Error(`no Location: ${created.text}`);
  await atOrigin(consent(id, "cora", "permit", "inactive"));
  pass(periodMilliseconds);
  expect(await statusOf("careful", "Observation/cora-pulse")).toBe(404);
});

test("a page of several patients costs a single question in a period, over all isolates", async ({
  expect,
}) => {
  const page = "Observation?_sort=_id&_count=10";
  expect(await questionsIn(() => ask("clinic", page))).toBe(1);
  expect(await questionsIn(() => ask("clinic", page)), "known").toBe(0);
  expect(await questionsIn(() => ask("clinic", "Observation/bela-pulse"))).toBe(0);
  pass(periodMilliseconds);
  const both = () => Promise.all([ask("clinic", page), ask("careful", page)]);
  expect(await questionsIn(both), "two requests at once").toBe(1);
});

test("a hidden patient and a shown patient are asked for alike", async ({ expect }) => {
  const shown = await questionsIn(() => ask("clinic", "Observation/dina-pulse"));
  await atOrigin(consent("d", "dina", "deny"));
  pass(periodMilliseconds);
  const before = phylax.forwarded.length;
  const hidden = await questionsIn(async () =>
    expect(await statusOf("clinic", "Observation/dina-pulse")).toBe(404),
  );
  expect([shown, hidden]).toEqual([1, 1]);
  expect(phylax.forwarded.slice(before).toSorted()).toEqual([
    "GET /fhir/Observation/dina-pulse",
    "POST /fhir/CareTeam/_search",
    "POST /fhir/Consent/_search",
    "POST /fhir/Device/_search",
    "POST /fhir/Group/_search",
    "POST /fhir/Organization/_search",
    "POST /fhir/PractitionerRole/_search",
  ]);
});

test("an origin that does not answer the question: 503 until it answers again, and never an answer without it", async ({
  expect,
}) => {
  isDown = true;
  const refused = await ask("clinic", "Observation/bela-pulse");
  expect([refused.status, refused.text.includes("Consents")]).toEqual([503, true]);
  isDown = false;
  expect(await statusOf("clinic", "Observation/bela-pulse")).toBe(200);
});

test("where the origin is the source of Consents, its permits widen, and no client writes a Consent there", async ({
  expect,
}) => {
  const reads = () => statusOf("careful", "Observation/dina-pulse");
  const verified = { ...consent("v", "dina", "permit"), verification: [{ verified: true }] };
  await atOrigin({ id: "d" }, "DELETE");
  await atOrigin(consent("v", "dina", "permit"));
  expect(await reads(), "not verified").toBe(404);

  await register("verification");
  pass(periodMilliseconds);
  expect(await reads(), "the Consent does not say so").toBe(404);
  await atOrigin({ ...verified, verification: [{ verified: false }] });
  pass(periodMilliseconds);
  expect(await reads(), "it says the contrary").toBe(404);
  await atOrigin(verified);
  pass(periodMilliseconds);
  expect(await reads()).toBe(200);

  const { id: _id, ...resource } = verified;
  const headers = { "content-type": "application/fhir+json" };
  const create = { method: "POST", headers, body: JSON.stringify(resource) };
  expect((await ask("clinic", "Consent", create)).status, "also a registrar").toBe(403);
  const update = { method: "PUT", headers, body: JSON.stringify(verified) };
  expect((await ask("clinic", "Consent/v", update)).status).toBe(403);
  const entry = [{ request: { method: "POST", url: "Consent" }, resource }];
  const batch = { resourceType: "Bundle", type: "batch", entry };
  const answer = await ask("clinic", "", { method: "POST", headers, body: JSON.stringify(batch) });
  expect(answer.text).toContain('"403');

  await atOrigin(consent("v", "dina", "permit"));
  pass(periodMilliseconds);
  expect(await reads(), "verified no longer").toBe(404);
  await register("origin");
  pass(periodMilliseconds);
  expect(await reads(), "each Consent of the origin").toBe(200);
  await register();
  pass(periodMilliseconds);
  expect(await reads(), "the entry trusts none any more").toBe(404);
});

test("a Consent of a stranger, whom it names by an identifier, permits nothing where the origin ignores the patient of the question", async ({
  expect,
}) => {
  const stranger = { identifier: { system: "urn:mrn", value: "of a stranger" } };
  await register("origin");
  pass(periodMilliseconds);
  whateverIsAsked = [{ ...consent("stranger", "x", "permit"), patient: stranger }];
  expect(await statusOf("careful", "Observation/bela-pulse")).toBe(404);
  whateverIsAsked = [consent("of-bela", "bela", "permit")];
  pass(periodMilliseconds);
  expect(await statusOf("careful", "Observation/bela-pulse")).toBe(200);
  expect(await statusOf("careful", "Observation/amara-pulse"), "it is no Consent of Amara").toBe(404);
  whateverIsAsked = undefined;
  await register();
});

test("a denial of whoever is named by an identifier stays in force for each patient for whom the origin sends it", async ({
  expect,
}) => {
  const both = () =>
    Promise.all(["bela", "amara"].map((id) => statusOf("clinic", `Observation/${id}-pulse`)));
  const stranger = { identifier: { system: "urn:mrn", value: "of a stranger" } };
  const denial = (status: string) => ({ ...consent("by-mrn", "x", "deny", status), patient: stranger });
  whateverIsAsked = [denial("active")];
  expect(await both()).toEqual([404, 404]);
  expect(await both(), "the reading for Amara takes nothing from Bela").toEqual([404, 404]);
  pass(2 * periodMilliseconds);
  expect(await both()).toEqual([404, 404]);
  whateverIsAsked = [denial("inactive")];
  pass(2 * periodMilliseconds);
  expect(await both(), "withdrawn").toEqual([200, 200]);
  whateverIsAsked = undefined;
});

const team = (...members: readonly string[]) => ({
  resourceType: "Group",
  id: "team",
  type: "practitioner",
  actual: true,
  quantity: members.length,
  member: members.map((each) => ({ entity: to(`Practitioner/${each}`) })),
});
const forTeam = (patient: string, type: "permit" | "deny") => {
  const { id: _id, ...written } = consent("", patient, type);
  const role = { coding: [{ system: `${thp}v3-ParticipationType`, code: "IRCP" }] };
  return { ...written, provision: { type, actor: [{ role, reference: to("Group/team") }] } };
};

test("a Consent of a Group means its members, and a member who was removed counts within the period", async ({
  expect,
}) => {
  const byDocAndNurse = (who: Who, patient: string) =>
    Promise.all(
      ["doc", "nurse"].map(async (person) => {
        const claims = { fhirUser: `Practitioner/${person}` };
        return (await ask(who, `Observation/${patient}-pulse`, {}, claims)).status;
      }),
    );
  await atOrigin(team("doc"));
  for (const [patient, type] of [
    ["elsa", "deny"],
    ["fina", "permit"],
  ] as const)
    expect((await ask("clinic", "Consent", fhirSending("POST", forTeam(patient, type)))).status).toBe(201);
  expect((await ask("poster", "Consent", fhirSending("POST", forTeam("bela", "deny")))).status).toBe(201);
  const poster = "the effect of its Consent tells a client that may only deny no member";
  expect(await byDocAndNurse("poster", "bela"), poster).toEqual([404, 404]);
  expect(await byDocAndNurse("clinic", "elsa")).toEqual([404, 200]);
  expect(await byDocAndNurse("careful", "fina")).toEqual([200, 404]);

  await atOrigin(team("nurse"));
  pass(periodMilliseconds);
  const questionsAbout = async (patient: string) => {
    const first = phylax.forwarded.length;
    await ask("clinic", `Observation/${patient}-pulse`);
    return phylax.forwarded.slice(first).map((each) => each.replace(patient, "x"));
  };
  expect(await questionsAbout("elsa"), "as for a patient whose Consents name no Group").toEqual(
    await questionsAbout("cora"),
  );
  expect(await byDocAndNurse("poster", "bela"), poster).toEqual([404, 404]);
  expect(await byDocAndNurse("clinic", "elsa")).toEqual([200, 404]);
  expect(await byDocAndNurse("careful", "fina")).toEqual([404, 200]);

  await atOrigin(team(), "DELETE");
  pass(periodMilliseconds);
  expect(await byDocAndNurse("clinic", "elsa"), "nobody knows who is meant").toEqual([404, 404]);
  expect(await byDocAndNurse("careful", "fina")).toEqual([404, 404]);
  await atOrigin(team("doc"));
  pass(periodMilliseconds);
  expect(await byDocAndNurse("careful", "fina"), "the registrar's Consent permits as before").toEqual([
    200, 404,
  ]);

  await registerMain(phylax, { honoursIfMatchOnDelete: true });
  expect(await byDocAndNurse("clinic", "elsa"), "the entry says no time: names may be outdated").toEqual([
    404, 404,
  ]);
  expect(await byDocAndNurse("careful", "fina")).toEqual([404, 404]);
  await register();
});
