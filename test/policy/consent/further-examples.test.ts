import { describe, test } from "vitest";
import {
  coding,
  consent,
  level,
  observation,
  purpose,
  recipient,
  sensitivity,
  verdict,
  type Asking,
} from "./scene.ts";

// IHE's examples (Privacy Consent on FHIR 1.1, volume 1 §53.4.2) that are in no file here, written from their
// notes, and Consents of the same grammar at its edges.

const tpo = { purpose: ["TREAT", "HPAYMT", "HOPERAT"].map(purpose) };
const rows = {
  plain: observation(),
  restricted: observation({ meta: { security: [level("R")] } }),
  veryRestricted: observation({ meta: { security: [level("V")] } }),
  psychiatry: observation({ meta: { security: [level("R"), sensitivity("PSY")] } }),
  violence: observation({ meta: { security: [sensitivity("SDV")] } }),
  hiv: observation({ meta: { security: [sensitivity("HIV")] } }),
  later: observation({ effectiveDateTime: "2023-02-01" }),
  ofVisit: observation({ encounter: { reference: "Encounter/visit" } }),
  ofColleague: observation({ performer: [{ reference: "Practitioner/colleague" }] }),
  refers: observation({ hasMember: [{ reference: "Observation/panel" }] }),
};
type Row = keyof typeof rows;
const verdicts = (provision: object, names: readonly Row[], asking: Asking = {}) =>
  names.map((name) => `${name}: ${verdict(consent(provision), asking, rows[name])}`);
const focused = { actor: [recipient({ reference: "Practitioner/x" })] };
const [x, others] = [
  { who: ["Practitioner/x"] },
  { who: ["Practitioner/p"], complete: ["Practitioner", "Group"] },
];

describe("IHE's examples by their notes", () => {
  test("N and R: everything but V; N without R: a nested denial", ({ expect }) => {
    const both = { type: "permit", ...tpo, securityLabel: [level("N"), level("R")] };
    expect(verdicts(both, ["plain", "restricted", "veryRestricted"])).toEqual([
      "plain: permit",
      "restricted: permit",
      "veryRestricted: deny",
    ]);
    const notR = {
      type: "permit",
      ...tpo,
      securityLabel: [level("N")],
      provision: [{ type: "deny", securityLabel: [level("R")] }],
    };
    expect(verdicts(notR, ["plain", "restricted", "psychiatry", "veryRestricted"])).toEqual([
      "plain: permit",
      "restricted: deny",
      "psychiatry: deny",
      "veryRestricted: deny",
    ]);
  });

  test("R, or one of two sensitivities, for a named practitioner alone", ({ expect }) => {
    const forX = (...securityLabel: readonly object[]) => ({
      type: "permit",
      ...tpo,
      securityLabel: [level("N")],
      provision: [{ type: "permit", ...focused, securityLabel }],
    });
    const names = ["plain", "restricted", "psychiatry", "violence", "hiv"] as const;
    expect(verdicts(forX(level("R")), ["plain", "restricted"], x)).toEqual([
      "plain: permit",
      "restricted: permit",
    ]);
    expect(verdicts(forX(level("R")), ["plain", "restricted"], others)).toEqual([
      "plain: permit",
      "restricted: deny",
    ]);
    expect(verdicts(forX(sensitivity("PSY"), sensitivity("SDV")), names, x)).toEqual([
      "plain: permit",
      "restricted: deny",
      "psychiatry: permit",
      "violence: permit",
      "hiv: deny",
    ]);
  });

  test("break-glass: N and R for the declared emergency, N for each further purpose", ({ expect }) => {
    const provision = {
      type: "permit",
      purpose: [purpose("TREAT"), purpose("BTG")],
      securityLabel: [level("N")],
      provision: [{ type: "permit", purpose: [purpose("BTG")], securityLabel: [level("R")] }],
    };
    expect(verdicts(provision, ["plain", "restricted"], { purpose: "BTG" })).toEqual([
      "plain: permit",
      "restricted: permit",
    ]);
    expect(verdicts(provision, ["plain", "restricted"])).toEqual(["plain: permit", "restricted: deny"]);
  });

  test("authored by, of an encounter, in a time: as the only data, and as the data that are left out", ({
    expect,
  }) => {
    const limits: readonly (readonly [limit: object, inside: Row, outside: Row])[] = [
      [
        { data: [{ meaning: "authoredby", reference: { reference: "Practitioner/author" } }] },
        "plain",
        "ofColleague",
      ],
      [{ data: [{ meaning: "related", reference: { reference: "Encounter/visit" } }] }, "ofVisit", "plain"],
      [
        { data: [{ meaning: "dependents", reference: { reference: "Observation/panel" } }] },
        "refers",
        "plain",
      ],
      [{ dataPeriod: { start: "2022-01-01", end: "2022-12-31" } }, "plain", "later"],
    ];
    for (const [limit, inside, outside] of limits) {
      expect(verdicts({ type: "permit", ...tpo, ...limit }, [inside, outside])).toEqual([
        `${inside}: permit`,
        `${outside}: deny`,
      ]);
      const not = { type: "permit", ...tpo, provision: [{ type: "deny", ...limit }] };
      expect(verdicts(not, [inside, outside])).toEqual([`${inside}: deny`, `${outside}: permit`]);
    }
  });

  test("a purpose of a project for one organization: no further purpose and nobody beside it", ({
    expect,
  }) => {
    const project = {
      type: "permit",
      purpose: [{ system: "urn:project", code: "FooBar" }],
      actor: [recipient({ reference: "Organization/research" })],
    };
    const research = { who: ["Organization/research"] };
    // No request has a purpose of a project's own code system (docs/consent.md).
    for (const asking of [research, { ...research, purpose: "HRESCH" }, {}])
      expect(verdicts(project, ["plain"], asking)).toEqual(["plain: silent"]);
    const forResearch = { ...project, purpose: [purpose("HRESCH")] };
    expect(verdicts(forResearch, ["plain"], { ...research, purpose: "CLINTRCH" })).toEqual(["plain: permit"]);
    expect(verdicts(forResearch, ["plain"], { who: ["Organization/o"], purpose: "HRESCH" })).toEqual([
      "plain: silent",
    ]);
  });
});

describe("at the edges of the grammar", () => {
  test("three levels: denied, permitted again inside, and denied again inside that", ({ expect }) => {
    const provision = {
      type: "permit",
      ...tpo,
      provision: [
        {
          type: "deny",
          securityLabel: [level("R")],
          provision: [
            {
              type: "permit",
              ...focused,
              provision: [{ type: "deny", purpose: [purpose("HPAYMT")] }],
            },
          ],
        },
      ],
    };
    expect(verdicts(provision, ["plain", "restricted"], x)).toEqual(["plain: permit", "restricted: permit"]);
    expect(verdicts(provision, ["restricted"], others)).toEqual(["restricted: deny"]);
    expect(verdicts(provision, ["plain", "restricted"], { ...x, purpose: "HPAYMT" })).toEqual([
      "plain: permit",
      "restricted: deny",
    ]);
  });

  test("a group permits its members of the time of the request, and denies a caller whose groups are not known", ({
    expect,
  }) => {
    const actor = [recipient({ reference: "Group/team" })];
    const member = { who: ["Practitioner/p", "Group/team"] };
    const unknown = { who: ["Practitioner/p"], complete: [] };
    expect(verdicts({ type: "permit", actor }, ["plain"], member)).toEqual(["plain: permit"]);
    expect(verdicts({ type: "permit", actor }, ["plain"], others)).toEqual(["plain: silent"]);
    expect(verdicts({ type: "permit", actor }, ["plain"], unknown)).toEqual(["plain: silent"]);
    expect(verdicts({ type: "deny", actor }, ["plain"], unknown)).toEqual(["plain: deny"]);
    expect(verdicts({ type: "deny", actor }, ["plain"], others)).toEqual(["plain: silent"]);
  });

  test("an action of writing alone is silent about reading; a custodian is no recipient", ({ expect }) => {
    const correct = [{ coding: [coding("correct", "consentaction")] }];
    expect(verdicts({ type: "deny", action: correct }, ["plain"])).toEqual(["plain: silent"]);
    expect(verdicts({ type: "deny", action: correct }, ["plain"], { action: "write" })).toEqual([
      "plain: deny",
    ]);
    const custodian = {
      role: { coding: [coding("CST", "v3-ParticipationType")] },
      reference: { reference: "Organization/elsewhere" },
    };
    const holder = { holder: ["Organization/here"], complete: ["Organization"] };
    expect(verdicts({ type: "permit", actor: [custodian] }, ["plain"], holder)).toEqual(["plain: silent"]);
    expect(
      verdicts({ type: "permit", actor: [custodian] }, ["plain"], { holder: ["Organization/elsewhere"] }),
    ).toEqual(["plain: permit"]);
  });
});
