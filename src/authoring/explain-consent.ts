import type { ConsentRules, ActorName, Party, Provision, Unclear } from "#policy/consent/consent";
import { timelessTypes } from "#policy/consent/row-facts";
import { actorsIn, followedIn } from "#policy/consent/who-is-meant";
import { neverLeaves } from "#policy/labels";
import { mentalHealth, rowLabels } from "#policy/sensitivity/row-labels";
import type { Explained, ExplainStep } from "./explain-step.ts";

/** The fixed rules by which the parts of a Consent count for a caller, in words. */
export function explainConsent(name: string, rules: ConsentRules, about: Explained): ExplainStep {
  const roots = rules.readings.map(({ root }) => root);
  const provisions = roots.flatMap(withExceptions);
  const labels = provisions.flatMap(({ limits }) => limits.labels ?? []);
  const kinds = labels.flatMap((label) =>
    label !== null && "sensitivity" in label ? [label.sensitivity] : [],
  );
  const told: readonly (readonly [isSo: boolean, says: string])[] = [
    [
      provisions.some(({ limits }) => limits.dataPeriod !== undefined),
      `dataPeriod: ${[...timelessTypes].join(", ")} have no time, so no period permits or denies them`,
    ],
    [
      roots.some(({ effect, limits }) => effect === "permit" && Object.keys(limits).length > 0),
      "the root permits with limits on data: further data is denied; a read of the Patient by id gives the id alone",
    ],
    [
      kinds.some((kind) => mentalHealth.includes(kind)),
      `${mentalHealth.join(", ")} are one kind, in a permit as in a denial; a row of two kinds needs both`,
    ],
    [
      provisions.some(({ effect, limits }) => effect === "permit" && limits.labels === undefined),
      generalYes(about),
    ],
    [provisions.some(({ effect }) => effect === "permit"), selfPay(about)],
  ];
  return {
    ok: true,
    of: "consent",
    says: `${name}: ${rules.isActive ? "counts, in its period" : "is not active, and counts as absent"}`,
    details: [
      ...actorsIn(rules).flatMap(whoIsMeant),
      ...told.flatMap(([isSo, says]) => (isSo ? [says] : [])),
    ],
  };
}

const withExceptions = (provision: Provision): readonly Provision[] => [
  provision,
  ...provision.exceptions.flatMap(withExceptions),
];

function whoIsMeant(party: Party | Unclear): readonly string[] {
  if (party === null) return ["an actor is not understood: a denial denies each caller, a permit is silent"];
  const { reference } = party;
  if (reference === undefined || followedIn([party]).length === 0) return [];
  if (party.meant !== undefined)
    return [`${reference} means ${party.meant.map(nameOf).join(", ") || "nobody"}`];
  return [
    `${reference}: the gateway reads who is meant at filing, and again after the entry's consents.readEverySeconds; a denial denies each caller until then, a permit is silent (here: --actor FILE)`,
  ];
}

const nameOf = (name: ActorName | Unclear): string => {
  const { reference, identifiers = [], all } = name ?? {};
  if (all !== undefined) return `${reference} (${all.map(nameOf).join(" at ")})`;
  return [...(reference === undefined ? [] : [reference]), ...identifiers].join(" or ") || "somebody unknown";
};

function generalYes({ document: { labels = {} } }: Explained): string {
  const { generalConsentOpens = [], generalConsentExcepts = [] } = labels;
  if (generalConsentOpens.length === 0)
    return "a permit without securityLabel opens no labelled row: the policy has no generalConsentOpens";
  const excepts = [
    "PSYTHPN",
    "42CFRPart2",
    "unknown labels",
    ...generalConsentExcepts.flatMap((each) => each.labels),
  ];
  return `a permit without securityLabel opens ${generalConsentOpens.join(", ")} (generalConsentOpens), never ${excepts.join(", ")}`;
}

const selfPaid = rowLabels([
  { system: "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw", code: "HIPAASelfPay" },
]);

function selfPay({ access }: Explained): string {
  const { clientKind = "not known here", purpose = "each purpose" } = access;
  const isBound = neverLeaves(selfPaid, access);
  return `HIPAASelfPay: no Consent opens it to a health plan for HPAYMT or HOPERAT; for ${purpose}, to a client of the kind ${clientKind}, the rule ${isBound ? "withholds it" : "does not bind"} (45 CFR 164.522(a)(1)(vi))`;
}
