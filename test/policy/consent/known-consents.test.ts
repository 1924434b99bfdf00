import { test } from "vitest";
import { RowWork } from "#fhir/search/row-work";
import { instant } from "#kernel/clock";
import { decideByConsents, type ConsentPolicy, type FiledConsent } from "#policy/consent/decide-by-consents";
import type { ConsentRequest } from "#policy/consent/judge-consent";
import { knownConsents, NamesOfRequest } from "#policy/consent/known-consents";
import { readConsent } from "#policy/consent/read-consent";
import type { ConsentRowFacts } from "#policy/consent/row-facts";
import { spanOf } from "#policy/consent/time-span";
import { noLabels } from "#policy/labels";
import { base, consent, purpose, recipient, requestOf } from "./scene.ts";

const filedOf = (...documents: readonly ReturnType<typeof consent>[]): readonly FiledConsent[] =>
  documents.map((document, n) => ({
    consent: `c${n}`,
    digest: `d${n}`,
    rules: readConsent(document, base),
    filedAt: instant(n),
    mayPermit: n % 2 === 0,
  }));
const filed = filedOf(
  consent({
    type: "permit",
    provision: [
      { type: "deny", purpose: [purpose("HMARKT")] },
      { type: "deny", actor: [recipient({ reference: "Practitioner/p" })] },
      { type: "deny", period: { start: "2026-06-01", end: "2026-06-30" } },
      { type: "deny", dataPeriod: { start: "2020-01-01", end: "2020-12-31" } },
      {
        type: "deny",
        action: [
          { coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentaction", code: "correct" }] },
        ],
      },
      { type: "deny", data: [{ meaning: "authoredby", reference: { reference: "Practitioner/x" } }] },
      { type: "deny", class: [{ system: "http://hl7.org/fhir/resource-types", code: "Condition" }] },
    ],
  }),
  consent({ type: "deny", purpose: [purpose("HRESCH")], dataPeriod: { start: "2019" } }),
);

const requests = ["TREAT", "HMARKT", "HRESCH"].flatMap((asked) =>
  ["Practitioner/p", "Practitioner/q"].flatMap((who) =>
    ["2026-05-20T00:00:00Z", "2026-06-10T00:00:00Z", "2026-07-03T00:00:00Z"].flatMap((at) =>
      (["read", "write"] as const).map((action) =>
        requestOf({ purpose: asked, who: [who], complete: ["Practitioner"], at, action }),
      ),
    ),
  ),
);
const policies: readonly ConsentPolicy[] = (["honoured", "required"] as const).flatMap((each) =>
  (["deny-overrides", "most-specific", "most-recent"] as const).map((combining) => ({
    base: each,
    combining,
  })),
);
const times = [
  undefined,
  "2018-03-03",
  "2020-05-05",
  "2020-07-07T10:00:00Z",
  "2020-12-31T23:59:00-05:00",
  "2024",
];

/** A row of which the bytes were read, and nothing that is sought was found. */
const rowOf = (
  type: string,
  time: string | undefined,
  hasUnknown: boolean,
  lacks: NonNullable<ConsentRowFacts["captured"]>["lacks"],
): ConsentRowFacts => ({
  reference: `${type}/o`,
  type,
  profiles: new Set(),
  codes: new Set(),
  time: (time === undefined ? null : spanOf(time)) ?? undefined,
  authors: { known: new Set(), possible: new Set(), hasUnknown },
  refersTo: new Set(),
  belongsTo: new Set(),
  contained: [],
  labels: noLabels,
  work: new RowWork(),
  captured: { lacks },
});

test("a decision that is remembered for requests and rows of one kind is that of the Consents, at the same cost", ({
  expect,
}) => {
  const seen = new Set<string>();
  for (const round of ["first", "again"])
    for (const request of requests) {
      const known = knownConsents(filed, new NamesOfRequest(request));
      for (const policy of policies)
        for (const isByLabel of [false, true])
          for (const type of ["Observation", "Condition"])
            for (const time of times)
              for (const hasUnknown of [false, true]) {
                const [row, twin] = [1, 2].map(() => rowOf(type, time, hasUnknown, known.sought(false)));
                if (row === undefined || twin === undefined) throw new Error("a test's own mistake");
                const asked: ConsentRequest = { ...request, isByLabel };
                const what = JSON.stringify([round, asked, policy, type, time, hasUnknown]);
                const decision = known.decide(asked, row, policy);
                expect(decision, what).toEqual(decideByConsents(known.judging, asked, twin, policy));
                expect(row.work.spent, what).toBe(twin.work.spent);
                seen.add(`${decision.isPermitted} ${decision.because?.path}`);
              }
    }
  expect(seen.size, "different provisions decide").toBeGreaterThan(6);
});

test("Consents are sifted once for requests that they cannot tell apart", ({ expect }) => {
  const named = (request: ConsentRequest, some = filed) => knownConsents(some, new NamesOfRequest(request));
  const [early, inside] = [requests[0], requestOf({ at: "2026-06-10T00:00:00Z" })];
  if (early === undefined) throw new Error("a test's own mistake");
  expect(named({ ...early })).toBe(named(early));
  expect(named({ ...early, at: instant(early.at + 1) })).toBe(named(early));
  expect(named(inside), "another period").not.toBe(named(early));
  expect(named({ ...early, recipient: requestOf().recipient }), "another caller").not.toBe(named(early));
  const open = filedOf(consent({ type: "deny" }));
  expect(named({ ...early, recipient: requestOf().recipient }, open), "no Consent asks who calls").toBe(
    named(early, open),
  );
});
