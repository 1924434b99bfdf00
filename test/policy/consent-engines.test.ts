import { RowBarrier } from "#fhir/row-barrier";
import { expect, test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { parseScopes } from "#identity/scopes";
import { Discloser } from "#phi/disclose";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { readConsent } from "#policy/consent/read-consent";
import { evaluate } from "#policy/evaluate";
import { Residences } from "#residence/row-residences";
import { consent } from "./consent/scene.ts";
import { origin, policy, rule } from "./granting.ts";

// Both engines decide about a row by the Consents of every patient whom it concerns.

const publicBase = "https://gateway.example/v1/fhir/main";
const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
const denial = {
  digest: "d",
  rules: readConsent(consent({ type: "deny" }), origin),
  consent: "c",
  filedAt: instant(0),
  mayPermit: true,
};

/** A read of a row while patient b denies everything: its body, or the reason why it is refused. */
function read(
  engine: "bytes" | "plain",
  type: "Observation" | "Task",
  row: object,
  base: "honoured" | "required" = "honoured",
): string {
  const scopes = parseScopes("system/*.rs");
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const request = {
    recipient: nobody,
    holder: nobody,
    purpose: "TREAT",
    at: instant(0),
  } as const;
  const consents = new ConsentBook({ request, individual: undefined, publicBase });
  const document = { ...policy(rule(["Observation", "Condition", "Task"], "everything")), consent: { base } };
  const access = { scopes: scopes.value, patient: undefined, purpose: "TREAT", consents };
  const granted = evaluate(compilePolicy(document, "sha256:test"), access, { kind: "read", type, id: "o" });
  if (!granted.ok) throw new Error(granted.error.reason);
  const bases = {
    public: publicBase,
    origin,
    name: "main",
    residences: new Residences(instant(0)),
    barrier: new RowBarrier(),
  };
  const body = utf8(JSON.stringify({ resourceType: type, id: "o", ...row }));
  const discloser = new Discloser(granted.value, bases, [], engine);
  consents.learn(["a", "b"], new Map([["b", [denial]]]));
  const answer = discloser.read(body, type, "o");
  return answer.ok ? "released" : answer.error.reason;
}

const contained = [{ resourceType: "Condition", id: "c", subject: { reference: "Patient/b" } }];
const ofA = { status: "final", code: { text: "x" }, subject: { reference: "Patient/a" } };

test.for(["bytes", "plain"] as const)(
  "%s: a row is withheld by the Consent of a patient whom only a contained resource names, wherever it stands",
  (engine) => {
    expect(read(engine, "Observation", ofA), "without the Condition").toBe("released");
    for (const row of [
      { ...ofA, contained, hasMember: [{ reference: "#c" }] },
      { contained, ...ofA },
      { ...ofA, note: [{ text: "about b" }], contained },
    ])
      expect(read(engine, "Observation", row)).toBe("row_outside_access");
  },
);

test.for(["bytes", "plain"] as const)(
  "%s: under the base `required` a row whose patient no reference identifies needs a Consent, of any type",
  (engine) => {
    const somebody = { identifier: { system: "urn:mrn", value: "b" } };
    const task = { status: "requested", intent: "order" };
    expect(read(engine, "Task", { ...task, for: somebody }, "required")).toBe("row_outside_access");
    expect(read(engine, "Task", { ...task, for: somebody }, "honoured")).toBe("released");
    expect(read(engine, "Observation", { ...ofA, subject: somebody }, "required")).toBe("row_outside_access");
  },
);
