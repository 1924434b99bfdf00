import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import type { JsonObject } from "#fhir/json/json";
import { Discloser } from "#phi/disclose";
import { coding, consent, level, observation, sensitivity } from "../../policy/consent/scene.ts";
import { policy, rule } from "../../policy/granting.ts";
import { bases, grantUnder } from "../consented.ts";

const loinc = (code: string) => ({ coding: [{ system: "http://loinc.org", code }] });
const [pulse, hiv] = [loinc("8867-4"), loinc("80203-3")];
const own = { subject: { reference: "Patient/a" } };
/** A row and whether it has a code that labels, or a contained resource. */
const rows: readonly (readonly [more: object, isSensitive: boolean])[] = [
  [{ code: pulse }, false],
  [{ code: pulse }, false],
  [{ code: hiv }, true],
  [{ code: hiv }, true],
  [{ code: pulse, component: [{ code: hiv }] }, true],
  [{ code: pulse, note: [{ text: '"code":"80203-3"' }] }, false],
  [{ code: pulse, extension: [{ url: "urn:x", valueCoding: hiv.coding[0] }] }, true],
  [{ code: pulse, contained: [{ resourceType: "Patient", id: "p" }] }, true],
  [{ code: pulse, meta: { security: [level("R")] } }, false],
  [{ code: pulse, meta: { security: [level("R"), sensitivity("HIV")] } }, false],
  [{ code: { coding: [{ system: "http://hl7.org/fhir/sid/icd-10-cm", code: "F11.20" }] } }, true],
  [{ code: pulse, effectiveDateTime: "2019-01-01" }, false],
];
const permits = (...codes: readonly object[]) => consent({ type: "permit", securityLabel: codes });
const consents: readonly (readonly [document: JsonObject, asksFor: "labels" | "whole"])[] = [
  [consent({ type: "deny", securityLabel: [sensitivity("HIV")] }), "labels"],
  [permits(level("N")), "labels"],
  [permits(level("R")), "labels"],
  [permits(level("N"), sensitivity("HIV")), "labels"],
  [
    consent({ type: "deny", class: [{ system: "http://hl7.org/fhir/resource-types", code: "Patient" }] }),
    "labels",
  ],
  [consent({ type: "deny", code: [{ coding: [hiv.coding[0]] }] }), "whole"],
  [consent({ type: "deny", dataPeriod: { start: "2018", end: "2020" } }), "whole"],
  [
    consent({
      type: "deny",
      data: [{ meaning: "authoredby", reference: { reference: "Practitioner/author" } }],
    }),
    "whole",
  ],
  [consent({ type: "deny", purpose: [coding("HRESCH", "v3-ActReason")] }), "labels"],
];

test("with Consents and labels by codes each entry has the outcome of the plain engine, and rows without such codes are cut in their bytes", ({
  expect,
}) => {
  let cut = 0;
  for (const fromCodes of [false, true]) {
    for (const [document, asksFor] of [...consents, undefined].map(
      (each) => each ?? ([undefined, "labels"] as const),
    )) {
      const labelled = {
        ...policy(
          rule(["Observation", "Patient"], ["code", "subject", "effectiveDateTime", "meta.security"]),
        ),
        labels: { fromCodes, throughReferences: false },
      };
      const scene = { policy: labelled, consents: document === undefined ? [] : [document] };
      const grant = grantUnder(scene, "Observation?status=final");
      const [fast, plain] = [new Discloser(grant, bases), new Discloser(grant, bases, [], "plain")];
      const reader = new Discloser(grant, bases).ahead("Observation", () => "row");
      for (const [index, [more, isSensitive]] of rows.entries()) {
        const row = observation({ id: `o${index}`, status: "final", ...own, ...more });
        const bytes = utf8(JSON.stringify({ resource: row, search: { mode: "match" } }));
        const [a, b] = [fast.entry(bytes, "Observation"), plain.entry(bytes, "Observation")];
        const what = `${JSON.stringify(document)} ${JSON.stringify(more)} ${fromCodes}`;
        if (!a.ok || !b.ok) throw new Error(what);
        expect(a.value.kind, what).toBe(b.value.kind);
        if (a.value.kind === "match" && b.value.kind === "match") {
          expect(a.value.released.text, what).toEqual(b.value.released.text);
          expect([...a.value.released.patients], what).toEqual([...b.value.released.patients]);
        }
        reader.begin(bytes);
        const isCut = reader.entryAt(0) !== undefined;
        if (isCut) cut += 1;
        if (document !== undefined && asksFor === "whole") expect(isCut, what).toBe(false);
        if (asksFor === "labels" && !isSensitive) expect(isCut, what).toBe(true);
        if (fromCodes && isSensitive) expect(isCut, what).toBe(false);
      }
    }
  }
  expect(cut).toBeGreaterThan(90);
});

test("where Consents are on file, a row leaves without a subject only if it has no encounter, whatever the rows before had", ({
  expect,
}) => {
  const scene = {
    policy: policy(rule(["Observation"], ["code", "subject", "encounter"])),
    consents: [],
    hasConsents: true,
  };
  const grant = grantUnder(scene, "Observation?status=final");
  const [fast, plain] = [new Discloser(grant, bases), new Discloser(grant, bases, [], "plain")];
  const forms = [
    undefined,
    { reference: "Encounter/e1" },
    { reference: "Encounter/e2" },
    {},
    null,
    [],
    [null],
    [{ reference: "Encounter/e1" }],
    "text",
    1,
  ].map((encounter) => (encounter === undefined ? {} : { encounter }));
  const kinds = new Map<string, number>();
  // Each form after each, with the same and with another owner.
  for (const before of forms)
    for (const after of forms)
      for (const owner of [own, {}])
        for (const more of [
          { ...before, ...owner },
          { ...after, ...owner },
        ]) {
          const row = { resourceType: "Observation", id: "o", status: "final", code: pulse, ...more };
          const bytes = utf8(JSON.stringify({ resource: row, search: { mode: "match" } }));
          const [a, b] = [fast.entry(bytes, "Observation"), plain.entry(bytes, "Observation")];
          if (!a.ok || !b.ok) throw new Error(JSON.stringify(row));
          expect(a.value.kind, JSON.stringify(row)).toBe(b.value.kind);
          kinds.set(a.value.kind, (kinds.get(a.value.kind) ?? 0) + 1);
        }
  expect([...kinds.keys()].toSorted()).toEqual(["hidden", "match"]);
});
