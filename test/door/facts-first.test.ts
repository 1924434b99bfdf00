import type { Resource } from "@medplum/fhirtypes";
import { expect, test, vi } from "vitest";
import { to } from "../support/fhir-parts.ts";
import { Page } from "#phi/page";
import { countingOrigin, judgedRows } from "../support/judged-rows.ts";
import { readsConsents } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// The facts by which a row is judged are known first, so each row is judged once.

const worlds = worldsUnder({
  format: "phylax.policy.v1",
  name: "facts-first",
  title: "Everything that Consents leave",
  purposes: ["PATRQT"],
  rules: [
    {
      types: ["Patient", "Observation", "Provenance", "Consent"],
      interactions: ["read", "search"],
      show: "everything",
      why: "45 CFR 164.506(c)(2): treatment.",
      examples: [{ says: "It may be read.", request: "Observation/1", is: "permitted" }],
    },
  ],
} as { readonly name: string });

const thp = "http://terminology.hl7.org/CodeSystem/";
const observation = (patient: string, n: number, more: object = {}): Resource => ({
  resourceType: "Observation",
  id: `${patient}-${n}`,
  status: "final",
  code: { text: "pulse" },
  subject: to(`Patient/${patient}`),
  ...more,
});
const rowsOf = (id: string): readonly Resource[] => [
  { resourceType: "Patient", id },
  observation(id, 1),
  observation(id, 2, { contained: [{ resourceType: "Practitioner", id: "c" }] }), // for the plain engine
  {
    resourceType: "Provenance",
    id: `of-${id}`,
    target: [to(`Observation/${id}-1`)],
    recorded: "2026-01-03T10:00:00Z",
    agent: [{ who: { display: "Dr. Doe" } }],
  },
];
const rows = ["ann", "ben", "cat"].flatMap(rowsOf);
const denial: Resource = {
  resourceType: "Consent",
  id: "wish",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
  patient: to("Patient/ben"),
  dateTime: "2026-01-01",
  policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: "OPTIN" }] },
  provision: { type: "deny" },
};

test("each row of an answer is judged once, whatever Consents are in force and whoever is named", async () => {
  const by = await worlds.by("system");
  const { origin, state } = countingOrigin(worlds.originBase, [...rows, denial]);
  const registry = readsConsents(worlds.originBase);
  await worlds.compare({ origin, registry }, { origin, registry }, [{ by, path: "Patient/ann" }]);
  for (const [path, shown] of [
    ["Observation?_count=50", 4],
    ["Patient?_count=50", 2],
    ["Observation?patient=ben&_count=50", 0],
    ["Observation/cat-1", undefined],
    ["Provenance?_count=50", 2],
  ] as const) {
    const before = judgedRows.judged;
    state.sent = 0;
    const { one, differences } = await worlds.compare({ origin }, { origin }, [{ by, path }]);
    expect(differences, path).toEqual([]);
    const body = JSON.parse(one[0]?.body.toString() ?? "{}") as { entry?: readonly unknown[] };
    expect([one[0]?.status, body.entry?.length ?? undefined], path).toEqual([200, shown || undefined]);
    expect(judgedRows.judged - before, path).toBe(state.sent);
  }
});

test("a row that is judged twice is found", async () => {
  const by = await worlds.by("system");
  const { origin } = countingOrigin(worlds.originBase, rows);
  const judgedAhead = vi.spyOn(Page.prototype, "needs").mockImplementation(function (this: Page, entry) {
    this.lacks(entry);
    return undefined;
  });
  await worlds.compare({ origin }, { origin }, [{ by, path: "Observation?patient=ann" }]);
  judgedAhead.mockRestore();
  expect(new Set(judgedRows.takeAgain())).toEqual(new Set(["Observation/ann-1", "Observation/ann-2"]));
});
