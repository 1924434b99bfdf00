import { describe, test } from "vitest";
import { isListing, isReading, readInteraction } from "#fhir/interaction";
import type { OriginBody, OriginQuestion } from "#fhir/ports";
import type { Answered } from "#gateway/origin/forward";
import type { NextLinks } from "#gateway/admission/page-links";
import { gather } from "#gateway/read/gather";
import { list } from "#gateway/read/list";
import { faceOf } from "#entrypoint/gateway-face";
import type { GatewayRefusal } from "#gateway/outcome";
import { RelationsAtOrigin, RememberedRelations } from "#gateway/facts/relations-at-origin";
import { findByCriteria } from "#gateway/change/plan/write-criteria";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { sessionOf } from "../support/origin-session.ts";
import { inLane } from "../support/lane.ts";

const base = "https://api.example/v1/fhir/main";
const origin = "https://origin.internal/fhir";
const to = (reference: string) => ({ reference });
const document: PolicyDocument = {
  ...policy(
    rule(["Patient", "Observation", "Encounter", "Practitioner", "PractitionerRole"], "everything"),
    rule(["Claim"], ["item.sequence", "patient"]),
  ),
  operations: ["everything", "lastn"],
  users: ["practitioner"],
};

/** A row, as the text that the origin sends. */
interface Row {
  readonly type: string;
  readonly id: string;
  readonly text: string;
}
const row = (resource: {
  readonly resourceType: string;
  readonly id: string;
  readonly [name: string]: unknown;
}): Row => ({
  type: resource.resourceType,
  id: resource.id,
  text: JSON.stringify({ meta: { versionId: "1" }, ...resource }),
});
const observation = (id: string, more: object = {}) =>
  ({
    resourceType: "Observation",
    id,
    status: "final",
    category: [{ coding: [{ system: "urn:c", code: "lab" }] }],
    code: { text: id },
    subject: to("Patient/amara"),
    encounter: to("Encounter/e"),
    performer: [to("Practitioner/vera")],
    effectiveDateTime: "2020-01-01",
    ...more,
  }) as const;
const world: readonly Row[] = [
  row({ resourceType: "Patient", id: "amara", generalPractitioner: [to("Practitioner/vera")] }),
  row({
    resourceType: "Encounter",
    id: "e",
    status: "finished",
    class: { code: "AMB" },
    subject: to("Patient/amara"),
  }),
  row(observation("a")),
  row(observation("z", { effectiveDateTime: "2020-01-02" })),
  row({ resourceType: "Practitioner", id: "vera" }),
];

const nested = "[".repeat(180) + "]".repeat(180);
/** Faults that make a row unreadable when they are put into its text. */
const faults: Record<string, (text: string) => string> = {
  "too deep": (text) => `{"extension":[{"url":"urn:deep","x":${nested}}],${text.slice(1)}`,
  "too large": (text) => `{"language":"${"x".repeat(9_000_000)}",${text.slice(1)}`,
  "a repeated name": (text) => `{"language":"en","language":"de",${text.slice(1)}`,
  "too many patients": (text) => {
    const named = Array.from({ length: 5_100 }, (_, n) => ({
      url: "urn:p",
      valueReference: to(`Patient/p${n}`),
    }));
    return `{"extension":${JSON.stringify(named)},${text.slice(1)}`;
  },
  "an unknown modifier": (text) =>
    `{"modifierExtension":[{"url":"urn:unknown","valueBoolean":true}],${text.slice(1)}`,
};
/** As if the row were not JSON: its end cannot be found. */
const broken = (text: string) => `{"language":tru,${text.slice(1)}`;

/** The questions to the world, and the row that is unreadable in each. */
const monsters: Record<string, Row> = {
  Observation: row(observation("m", { effectiveDateTime: "2020-01-03" })),
  Practitioner: row({ resourceType: "Practitioner", id: "m" }),
};
const requests: readonly (readonly [request: string, monster: string])[] = [
  ["Observation?patient=amara", "Observation"],
  ["Observation?_count=1", "Observation"],
  ["Observation?patient.general-practitioner=Practitioner/vera", "Observation"],
  ["Encounter?_has:Observation:encounter:subject=Patient/amara", "Observation"],
  ["Observation?_include=Observation:performer", "Practitioner"],
  ["Encounter?_revinclude=Observation:encounter", "Observation"],
  ["Patient/amara/$everything", "Observation"],
  ["Patient/amara/$everything", "Practitioner"],
  ["Observation/$lastn?patient=amara", "Observation"],
  ["Observation/_history", "Observation"],
  ["Observation/a/_history", "Observation"],
];

async function* chunks(text: string): OriginBody {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 100_000) yield ok(bytes.subarray(at, at + 100_000));
}

/** Answers every question with all rows. */
function ask(
  rows: readonly Row[],
  question: OriginQuestion,
): Promise<Result<Answered, { readonly reason: "absent" }>> {
  if ("link" in question) throw new Error("there is one page");
  const [type = "", id] = question.path.split("/");
  const answered = (text: string) =>
    Promise.resolve(ok({ kind: "answered" as const, base: origin, body: chunks(text) }));
  const isHistory = question.path.endsWith("_history");
  if (isHistory || id === undefined || id.startsWith("$") || question.path.endsWith("$everything")) {
    const entries = rows.map((one) => {
      const mode = one.type === type || question.path.endsWith("$everything") ? "match" : "include";
      return `{"resource":${one.text},${isHistory ? '"request":{"method":"PUT","url":"x"}' : `"search":{"mode":"${mode}"}`}}`;
    });
    return answered(
      `{"resourceType":"Bundle","type":"${isHistory ? "history" : "searchset"}","entry":[${entries.join()}]}`,
    );
  }
  const found = rows.find((one) => one.type === type && one.id === id);
  return found === undefined ? Promise.resolve(err({ reason: "absent" })) : answered(found.text);
}

/** Links that say where they lead. */
const links: NextLinks = { to: async (_path, place) => ok(place && `${place.after}`) };
const session = (rows: readonly Row[]) => sessionOf((question) => ask(rows, question), { base });

async function gathered(request: string, rows: readonly Row[]): Promise<Result<Disclosure, GatewayRefusal>> {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query, base);
  const scopes = parseScopes("system/*.cruds");
  if (!interaction.ok || !scopes.ok) throw new Error("a test's own mistake");
  const [compiled, access] = [
    compilePolicy(document, "sha256:test"),
    { scopes: scopes.value, patient: undefined },
  ];
  const origin = session(rows);
  if (isReading(interaction.value)) {
    const grant = evaluate(compiled, access, interaction.value);
    return grant.ok ? gather(grant.value, undefined, origin, links) : grant;
  }
  if (!isListing(interaction.value)) throw new Error("a test's own mistake");
  const grant = evaluateListing(compiled, access, interaction.value);
  return grant.ok ? list(grant.value, undefined, origin, links) : grant;
}

const textOf = (disclosed: Result<Disclosure, GatewayRefusal>) =>
  disclosed.ok
    ? disclosed.value.windows.map(({ body }) => new TextDecoder().decode(body)).join("")
    : disclosed.error.reason;
const withheldIn = (disclosed: Result<Disclosure, GatewayRefusal>) =>
  disclosed.ok
    ? disclosed.value.windows.reduce((sum, { withheldResources }) => sum + withheldResources, 0)
    : 0;

/** The world with an additional row in the middle. */
const withRow = (one: Row): readonly Row[] => [...world.slice(0, 2), one, ...world.slice(2)];

/** The answers of the world without an additional row, by request. */
const answersWithout = new Map<string, ReturnType<typeof gathered>>();
function gatheredWithout(request: string): ReturnType<typeof gathered> {
  const answer = answersWithout.get(request) ?? gathered(request, world);
  answersWithout.set(request, answer);
  return answer;
}

// The fast lane asks every fourth request for each fault, and each request for some fault.
const every = inLane({ fast: 4, slow: 1, long: 1 });

describe.for(Object.keys(faults))("a row that cannot be read: %s", (name) => {
  const number = Object.keys(faults).indexOf(name);
  const spoilt = (monster: string): Row => {
    const one = monsters[monster] ?? row(observation("m"));
    return { ...one, text: faults[name]?.(one.text) ?? one.text };
  };

  const asked = requests.filter((_, at) => (at + number) % every === 0);
  test.for(asked)("%s answers as if it were not there", async ([request, monster], { expect }) => {
    const [without, beside] = [
      await gatheredWithout(request),
      await gathered(request, withRow(spoilt(monster))),
    ];
    expect(without.ok, textOf(without)).toBe(true);
    expect(textOf(beside)).toBe(textOf(without));
    // The readable row would be shown, so the test can fail; $lastn and histories show only the requested
    // rows.
    if (request !== "Observation/a/_history" && !request.includes("_has") && monster === "Observation")
      expect(textOf(await gathered(request, withRow(monsters[monster] ?? spoilt(monster))))).not.toBe(
        textOf(without),
      );
    if (request === "Observation?patient=amara" || request.startsWith("Patient/amara/$everything"))
      expect(withheldIn(beside)).toBe(withheldIn(without) + 1);
  });

  test("its read, version and history have the answers of an absent row", async ({ expect }) => {
    for (const request of ["Observation/m", "Observation/m/_history/1", "Observation/m/_history"]) {
      const [absent, there] = [
        await gatheredWithout(request),
        await gathered(request, withRow(spoilt("Observation"))),
      ];
      if (absent.ok || there.ok) throw new Error(request);
      expect(faceOf(there.error), request).toEqual(faceOf(absent.error));
    }
  });

  test("it matches no condition and gives no relation", async ({ expect }) => {
    const scopes = parseScopes("user/*.cruds system/*.cruds");
    const criteria = readInteraction("GET", ["Observation"], "subject=Patient/amara&status=final", base);
    if (!scopes.ok || !criteria.ok || criteria.value.kind !== "search")
      throw new Error("a test's own mistake");
    const access = { scopes: scopes.value, patient: undefined };
    const rows = [row(observation("a")), spoilt("Observation")];
    const permission = { policy: compilePolicy(document, "sha256:test"), access };
    expect(await findByCriteria(criteria.value, permission, session(rows))).toEqual(ok("a"));
    // relations read only the members that they need
    if (name === "too many patients" || name === "an unknown modifier") return;
    const one = row({ resourceType: "Patient", id: "bela", generalPractitioner: [to("Practitioner/vera")] });
    const who = { scopes: scopes.value, patient: undefined, user: "Practitioner/vera" };
    const beside = session([...world, { ...one, text: faults[name]?.(one.text) ?? "" }]);
    const relations = new Set(["practitioner"] as const);
    const found = RelationsAtOrigin.of(who, relations, beside, instant(0), new RememberedRelations());
    expect((await found?.relate([], new Set(["Observation"]), beside))?.ok).toBe(true);
    expect([...(found?.patients ?? [])]).toEqual(["amara"]);
  });
});

test.for(requests)(
  "the text after a row without a certain end is unknown: %s is refused",
  async ([request, monster], { expect }) => {
    const one = monsters[monster] ?? row(observation("m"));
    const refused = await gathered(request, withRow({ ...one, text: broken(one.text) }));
    expect(refused.ok ? "answered" : faceOf(refused.error).status, request).toBe(502);
  },
);
