import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { isListing, isReading, readInteraction, type Interaction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { readPolicyDocument } from "#policy/document";
import { evaluateListing } from "#policy/evaluate-listing";
import { evaluate } from "#policy/evaluate";
import { evaluateWrite } from "#policy/evaluate-write";
import { beyondForm, isCoded } from "#deid/asked-of-form";
import { explain } from "#authoring/explain";
import type { Explained } from "#authoring/explain-step";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";

function about(
  document: PolicyDocument,
  scope: string,
  patient?: string,
  usersPatients?: ReadonlySet<string>,
): Explained {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("a test's own mistake");
  return {
    document,
    policy: compilePolicy(document, ""),
    access: { scopes: scopes.value, patient, usersPatients },
  };
}

function asked(request: string): Interaction {
  const [method = "", rest = ""] = request.split(" ");
  const [path = "", query = ""] = rest.split("?");
  const read = readInteraction(method, path.split("/"), query);
  if (!read.ok) throw new Error(`${request}: ${read.error.reason}`);
  return read.value;
}

const explained = (document: PolicyDocument, request: string, scope = "system/*.cruds", patient?: string) =>
  explain(about(document, scope, patient), asked(request));

/** The engine's own verdict. */
function reason({ policy, access }: Explained, interaction: Interaction): string | undefined {
  const decided = isReading(interaction)
    ? evaluate(policy, access, interaction)
    : isListing(interaction)
      ? evaluateListing(policy, access, interaction)
      : interaction.kind === "create" ||
          interaction.kind === "update" ||
          interaction.kind === "delete" ||
          interaction.kind === "patch"
        ? evaluateWrite(policy, access, interaction)
        : undefined;
  if (decided === undefined) throw new Error("a test's own mistake");
  return decided.ok ? undefined : decided.error.reason;
}

const types = [
  "Patient",
  "Observation",
  "Encounter",
  "Coverage",
  "Practitioner",
  "Medication",
  "Task",
  "Claim",
];
const requests = [
  ...types.flatMap((type) =>
    ["", "_id=1", "_lastUpdated=ge2026", "_sort=_lastUpdated", "identifier=1"].map(
      (query) => `GET ${type}?${query}`,
    ),
  ),
  ...types.flatMap((type) => [
    `GET ${type}/1`,
    `GET ${type}/1/_history/2`,
    `GET ${type}/1/_history`,
    `GET ${type}/_history`,
  ]),
  ...types.flatMap((type) => [`POST ${type}`, `PUT ${type}/1`, `PATCH ${type}/1`, `DELETE ${type}/1`]),
  "GET Observation/1/_history?_since=2026-01-01T00:00:00Z",
  "GET Patient/1/$everything",
  "GET Patient/1/$everything?_type=Task",
  "GET Patient/1/$everything?start=2026-01-01",
  "GET Observation/$lastn?patient=1&category=laboratory",
  "GET Observation?patient=1&code=http%3A%2F%2Floinc.org%7C4548-4&_sort=-date",
  "GET Observation?code=4548-4",
  "GET Observation?code:not=http%3A%2F%2Floinc.org%7C4548-4",
  "GET Observation?performer=Practitioner/1",
  "GET Observation?subject:Patient.family=Okafor",
  "GET Observation?subject:Patient.birthdate=1984",
  "GET Observation?performer:Practitioner.name=Vera",
  "GET Patient?_has:Observation:patient:code=http%3A%2F%2Floinc.org%7C4548-4",
  "GET Patient?_has:Encounter:subject:class=x",
  "GET Observation?_include=Observation:subject",
  "GET Observation?_include=Observation:performer",
  "GET Observation?_include=*",
  "GET Patient?_revinclude=Observation:subject",
  "GET Patient?family=Okafor&birthdate=1984-03-02",
];
const scopes = [
  "system/*.cruds",
  "system/*.r",
  "system/Patient.s system/Observation.rs?category=laboratory",
  "patient/*.cruds",
  "user/*.rs",
];

const folder = join(import.meta.dirname, "../../policies");
test.for(readdirSync(folder))(
  "by %s whatever is explained is what the engine decides, and a step says no exactly when it refuses",
  (file, { expect }) => {
    const read = readPolicyDocument(JSON.parse(readFileSync(join(folder, file), "utf8")));
    if (!read.ok) return expect(read.error).toBeUndefined();
    const verdicts = { permitted: 0, refused: 0 };
    for (const scope of scopes) {
      for (const patient of ["1", undefined]) {
        const who = about(
          read.value,
          scope,
          patient,
          scope.startsWith("user") && patient !== undefined ? new Set([patient]) : undefined,
        );
        for (const request of requests) {
          const interaction = asked(request);
          const { refused, steps, asks } = explain(who, interaction);
          const at = `${request} with ${scope} of ${patient}`;
          expect(refused, at).toBe(byForm(who, interaction) ?? reason(who, interaction));
          expect(
            steps.some(({ ok }) => !ok),
            `${at}: ${JSON.stringify(steps, null, 1)}`,
          ).toBe(refused !== undefined);
          expect(asks.length > 0, at).toBe(refused === undefined);
          verdicts[refused === undefined ? "permitted" : "refused"] += 1;
        }
      }
    }
    // the privacy office may read a single type
    expect(Math.min(verdicts.permitted, verdicts.refused)).toBeGreaterThan(20);
  },
);

test("a form says what it makes of each element, with the paragraph, and which part of a request has no answer", ({
  expect,
}) => {
  const read = readPolicyDocument(JSON.parse(readFileSync(join(folder, "hresch-safe-harbor.json"), "utf8")));
  if (!read.ok) throw new Error("no policy");
  const step = explained(read.value, "GET Patient/1").steps.find(({ of }) => of === "form");
  expect(step?.says).toContain("45 CFR 164.514(b)(2)");
  expect(step?.details).toContain(
    "birthDate: year, (C): The year stays, unless the year tells an age over 89.",
  );
  expect(step?.details).toContain("telecom: out, (D) (E) (F) (N) (O): A phone, fax, email or URL.");
  expect(explained(read.value, "GET Patient?_count=7")).toMatchObject({ refused: "form_excludes", asks: [] });
});

test("a search is judged by the view that a form leaves, as the gateway judges it", ({ expect }) => {
  const whole = policy(rule(["Patient"], "everything", { search: ["family", "gender"] }));
  const form = { kind: "expert", dataSet: "s", table: "safe-harbor", method: "m", expert: "e" } as const;
  const formed = { ...whole, form: { ...form, on: "2020-01-01", until: "2100-01-01" } };
  const refused = (document: PolicyDocument, request: string) => explained(document, request).refused;
  expect(refused(whole, "GET Patient?family=Okafor")).toBeUndefined();
  expect(refused(formed, "GET Patient?family=Okafor")).toBe("parameter_hidden");
  expect(refused(formed, "GET Patient?gender=female")).toBeUndefined();
});

/** A form decides before the view. */
const byForm = ({ document, access }: Explained, interaction: Interaction) => {
  if (document.form === undefined) return undefined;
  const isOfAll = access.scopes.every(({ context }) => context === "system");
  const isAnswered = isCoded(interaction) && beyondForm(interaction, []) === undefined;
  return isOfAll && isAnswered ? undefined : "form_excludes";
};

const laboratory = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
const member = policy(
  rule(["Observation"], ["status", "code.coding", "category", "subject"], {
    where: [{ path: "category", in: [laboratory] }],
  }),
  rule(["Patient"], ["name.family", "identifier[system=urn:mrn]"], { search: ["family", "identifier"] }),
);

test("a hidden parameter is told with the rule that hides it and the element behind it", ({ expect }) => {
  expect(explained(member, "GET Observation?subject=1&performer=Practitioner/1")).toMatchObject({
    refused: "parameter_hidden",
    steps: [
      {},
      {},
      { ok: true, of: "parameter", says: "subject" },
      {
        ok: false,
        of: "parameter",
        says: "performer: no remaining rule permits it",
        details: ["/rules/0 hides performer, or a part of it"],
      },
    ],
    asks: [],
  });
  const identifier = explained(member, "GET Patient?identifier=999-11-2222").steps.at(-1);
  expect(identifier).toMatchObject({
    ok: false,
    details: ["/rules/1 allows it as system|code of urn:mrn, without a modifier"],
  });
  // the explanation repeats no patient's number
  expect(JSON.stringify(identifier)).not.toContain("999-11-2222");
  expect(explained(member, "GET Patient?_id=1").steps.at(-1)).toMatchObject({
    ok: false,
    details: ["/rules/1 leaves it out of its `search` list"],
  });
});

test("the questions for the origin are listed with the narrowing, hop by hop", ({ expect }) => {
  expect(
    explained(member, "GET Observation?subject:Patient.family=Okafor", "patient/*.rs", "1").asks,
  ).toEqual([
    "POST Patient/_search?family=Okafor&_id=1&_count=1000",
    `GET Observation?category=${laboratory}&patient=Patient/1&_count=100&subject=[found]`,
  ]);
});

test("a conditional form is told as the search that finds the row, and as the write", ({ expect }) => {
  const writing = policy(rule(["Observation"], "everything", { interactions: ["read", "search", "update"] }));
  const { refused, asks } = explained(writing, "PUT Observation?identifier=urn%3Amrn%7C1");
  expect(refused).toBeUndefined();
  expect(asks).toEqual([
    "POST Observation/_search?identifier=urn:mrn|1&_count=100",
    "GET Observation/[found]",
    "PUT Observation/[found]",
  ]);
  expect(explained(writing, "DELETE Observation?identifier=urn%3Amrn%7C1")).toMatchObject({
    refused: "rule_missing",
    asks: [],
  });
});
