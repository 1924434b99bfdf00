import * as fc from "fast-check";
import { test } from "vitest";
import { isObject, readJson, textAt, type JsonObject } from "#fhir/json";
import type { ResourceType } from "#fhir/elements";
import { isReading, readInteraction } from "#fhir/interaction";
import { planWrite } from "#gateway/write-plan";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import { Discloser } from "#phi/disclose";
import { Residences } from "#phi/residences";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import type { PolicyDocument, RowCondition } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";

const base = "https://api.example/v1/fhir/main";
const residences = new Residences(instant(0));
const origin = "https://origin.internal/fhir";
const to = (reference: string) => ({ reference });
const interactions = ["read", "search", "create", "update"] as const;

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}

/** A write by a user who reaches Amara, as it is planned. */
async function plan(document: PolicyDocument, scope: string, stored: object | undefined, sent: object) {
  const [scopes, read] = [parseScopes(scope), readJson(new TextEncoder().encode(JSON.stringify(sent)))];
  if (!scopes.ok || !read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  const resource: JsonObject = read.value;
  const type = resource["resourceType"] as ResourceType;
  return planWrite(
    {
      interaction: stored === undefined ? { kind: "create", type } : { kind: "update", type, id: textAt(resource, "id") ?? "" },
      body: { kind: "resource", resource },
      conditions: { ifMatch: undefined, ifNoneExist: undefined, returns: undefined },
    },
    {
      policy: compilePolicy(document, "sha256:test"),
      access: { scopes: scopes.value, patient: undefined, usersPatients: new Set(["amara"]) },
      base,
      ask: async () => ok({ kind: "answered" as const, base: origin, body: body(JSON.stringify(stored)) }),
      residences,
    },
  );
}

/** What becomes of it. */
async function write(...asked: Parameters<typeof plan>): Promise<string> {
  const planned = await plan(...asked);
  return planned.ok ? planned.value.kind : planned.error.reason;
}

const category = (...codes: string[]) => codes.map((code) => ({ coding: [{ system: "urn:c", code }] }));
const observation = {
  resourceType: "Observation",
  id: "o",
  meta: { versionId: "1" },
  status: "final",
  category: category("lab"),
  code: { text: "a" },
  subject: to("Patient/amara"),
  note: [{ text: "hidden of labs" }],
};

test("who may say of which rows a resource is does not read by that what is hidden of it", async ({ expect }) => {
  const visible = ["status", "category", "code", "subject"];
  const rows = (code: string) => [{ path: "category", in: [`urn:c|${code}`] }];
  const uneven = policy(
    rule(["Observation"], visible, { interactions: [...interactions], where: rows("lab") }),
    rule(["Observation"], "everything", { interactions: [...interactions], where: rows("vital") }),
    rule(["Observation"], ["status", "category", "code"], { interactions: [...interactions], where: rows("plain") }),
  );
  const { note: _note, ...shown } = observation;
  const become = (...codes: string[]) => write(uneven, "system/*.cruds", observation, { ...shown, category: category(...codes) });
  expect(await become("lab")).toBe("send");
  expect(await become("vital")).toBe("result_widens_access");
  expect(await become("lab", "vital")).toBe("result_widens_access");
  expect(await become("lab", "plain")).toBe("send"); // shows nothing more
});

const elements = ["category", "note", "value[x]", "method", "bodySite"] as const;
const condition: fc.Arbitrary<RowCondition[]> = fc.oneof(
  fc.constant<RowCondition[]>([]),
  fc
    .tuple(fc.constantFrom("in", "notIn"), fc.subarray(["urn:c|a", "urn:c|b", "urn:c|c"], { minLength: 1 }))
    .map(([how, codes]) => [how === "in" ? { path: "category", in: codes } : { path: "category", notIn: codes }]),
);
const someRule = fc.tuple(fc.subarray([...elements]), condition, fc.boolean()).map(([show, where, isRead]) =>
  rule(["Observation"], ["status", "code", "subject", ...show], {
    interactions: isRead ? [...interactions] : ["search"],
    ...(where.length === 0 ? {} : { where }),
  }),
);
const someCategories = fc.subarray(["a", "b", "c", "d"], { minLength: 1 });

test("after any write that is permitted its writer sees no value that was hidden before", async ({ expect }) => {
  let [sent, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(someRule, { minLength: 1, maxLength: 4 }), someCategories, someCategories, async (rules, before, after) => {
      const document = policy(...rules);
      const stored = {
        ...observation,
        category: category(...before),
        note: [{ text: "canary-note" }],
        valueString: "canary-value",
        method: { text: "canary-method" },
        bodySite: { text: "canary-site" },
      };
      const shown = shownBy(document, stored);
      const { text } = shown;
      const body = {
        ...(shown.read ?? stored),
        status: "amended",
        ...(text.includes('"category"') ? { category: category(...after) } : {}),
      };
      const planned = await plan(document, "system/*.cruds", stored, body);
      if (!planned.ok || planned.value.kind !== "send") return void (refused += 1);
      sent += 1;
      const next = shownBy(document, JSON.parse(planned.value.write.body ?? "{}") as JsonObject).text;
      for (const [canary] of next.matchAll(/canary-\w+/gu)) expect(text).toContain(canary);
    }),
    { numRuns: 500 },
  );
  expect(Math.min(sent, refused)).toBeGreaterThan(20);
});

/** All that a read and a search show of a resource, and what a read does. */
function shownBy(document: PolicyDocument, resource: object): { readonly text: string; readonly read: JsonObject | undefined } {
  const compiled = compilePolicy(document, "sha256:test");
  const scopes = parseScopes("system/*.cruds");
  if (!scopes.ok) throw new Error("a test's own mistake");
  const bytes = new TextEncoder().encode(JSON.stringify(resource));
  const texts = (["Observation/o", "Observation"] as const).map((path) => {
    const asked = readInteraction("GET", path.split("/"), "");
    if (!asked.ok || !isReading(asked.value)) throw new Error("a test's own mistake");
    const grant = evaluate(compiled, { scopes: scopes.value, patient: undefined }, asked.value);
    if (!grant.ok) return "";
    const discloser = new Discloser(grant.value, { origin, public: base, name: "main", residences });
    if (asked.value.kind === "read") {
      const read = discloser.read(bytes, "Observation", "o");
      return read.ok ? new TextDecoder().decode(read.value.windows[0]?.body) : "";
    }
    const row = readJson(bytes);
    const found = row.ok && isObject(row.value) ? discloser.row(row.value, "Observation") : undefined;
    return found?.ok === true && found.value.kind === "match" ? JSON.stringify(found.value.shown) : "";
  });
  return { text: texts.join(" "), read: texts[0] === "" ? undefined : (JSON.parse(texts[0] ?? "") as JsonObject) };
}

test("what is only found and never read counts as shown", async ({ expect }) => {
  const found = policy(
    rule(["Observation"], ["status", "category", "code", "subject"], { interactions: [...interactions] }),
    rule(["Observation"], "everything", { interactions: ["search"], where: [{ path: "category", in: ["urn:c|vital"] }] }),
  );
  const { note: _note, ...shown } = observation;
  expect(await write(found, "system/*.cruds", observation, { ...shown, category: category("vital") })).toBe("result_widens_access");
});

test("a user writes nothing by which it is somebody to a patient, where the policy goes by that", async ({ expect }) => {
  const all = ["practitioner", "organization", "panel", "related-person"] as const;
  const types = ["Patient", "Group", "RelatedPerson", "PractitionerRole"] as const;
  const open = (users: readonly (typeof all)[number][]): PolicyDocument => ({
    ...policy(rule([...types], "everything", { interactions: [...interactions] })),
    users: [...users],
  });
  const patient = { resourceType: "Patient", id: "amara", meta: { versionId: "1" }, generalPractitioner: [to("Practitioner/vera")] };
  const joined = { ...patient, generalPractitioner: [to("Practitioner/vera"), to("Practitioner/otto")] };
  const related = {
    resourceType: "RelatedPerson",
    id: "r",
    meta: { versionId: "1" },
    patient: to("Patient/amara"),
    period: { end: "2026" },
  };
  const group = { resourceType: "Group", type: "person", actual: true, member: [{ entity: to("Patient/amara") }] };
  const role = { resourceType: "PractitionerRole", practitioner: to("Practitioner/otto"), organization: to("Organization/clinic") };

  expect(await write(open(all), "user/*.cruds", patient, { ...patient, birthDate: "1984-03-01" })).toBe("send");
  expect(await write(open(all), "user/*.cruds", patient, joined)).toBe("result_widens_access");
  expect(await write(open(["panel"]), "user/*.cruds", patient, joined)).toBe("send"); // nobody reaches anybody by it
  expect(await write(open(all), "user/*.cruds", related, { ...related, period: { end: "2036" } })).toBe("result_widens_access");
  expect(await write(open(all), "user/*.cruds", related, { ...related, gender: "female" })).toBe("send");
  expect(await write(open(all), "user/*.cruds", undefined, { ...group, managingEntity: to("Practitioner/otto") })).toBe(
    "result_widens_access",
  );
  // A scope for everybody's rows in the same token reaches further, and gives no more.
  expect(await write(open(all), "user/*.rs system/PractitionerRole.c", undefined, role)).toBe("result_widens_access");
  expect(await write(open([]), "user/*.rs system/PractitionerRole.c", undefined, role)).toBe("send");
});
