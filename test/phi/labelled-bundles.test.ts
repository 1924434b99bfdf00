import { expect, test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { parseScopes } from "#identity/scopes";
import {
  isArray,
  isObject,
  property,
  readJson,
  textAt,
  valuesAt,
  type Json,
  type JsonObject,
} from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import { Discloser } from "#phi/disclose";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { readConsent } from "#policy/consent/read-consent";
import { evaluate } from "#policy/evaluate";
import { Residences } from "#residence/row-residences";
import { consent } from "../policy/consent/scene.ts";
import { policy, rule } from "../policy/granting.ts";
import { noSharedData, resourcesIn } from "./shared-data.ts";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
const origin = "https://origin.example/fhir";
const bases = {
  public: "https://gateway.example/v1/fhir/main",
  origin,
  name: "main",
  residences: new Residences(instant(0)),
};
const types = [
  "Patient",
  "Observation",
  "Condition",
  "DiagnosticReport",
  "MedicationRequest",
  "Procedure",
] as const;
const compiled = compilePolicy(policy(rule([...types], "everything")), "sha256:test");

/** The resource as it leaves, under the Consents of the bundles' patients; undefined: it is withheld. */
function read(resource: JsonObject, consents: readonly JsonObject[]): Json | undefined {
  const [type, id] = [textAt(resource, "resourceType") ?? "", textAt(resource, "id") ?? ""];
  const scopes = parseScopes("system/*.rs");
  if (!scopes.ok || !isResourceType(type)) throw new Error("a test's own mistake");
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const request = {
    recipient: nobody,
    holder: nobody,
    purpose: "TREAT",
    action: "read",
    at: instant(0),
  } as const;
  const book = new ConsentBook({ request, individual: undefined, publicBase: bases.public });
  const filed = consents.map((each, index) => ({
    digest: `digest-${index}`,
    rules: readConsent(each, origin),
    consent: "c",
    filedAt: instant(0),
    mayPermit: true,
  }));
  const patients = ["MonicaRambeau", "SteffiRambeau16"];
  book.learn(patients, new Map(patients.map((patient) => [patient, filed])));
  const access = { scopes: scopes.value, patient: undefined, purpose: "TREAT", consents: book };
  const grant = evaluate(compiled, access, { kind: "read", type, id });
  if (!grant.ok) throw new Error(grant.error.reason);
  const disclosed = new Discloser(grant.value, bases).read(utf8(JSON.stringify(resource)), type, id);
  const body = disclosed.ok ? readJson(disclosed.value.windows[0]?.body ?? new Uint8Array()) : undefined;
  return body?.ok === true ? body.value : undefined;
}

const codesOf = (resource: JsonObject): readonly string[] => {
  const meta = property(resource, "meta");
  const security = isObject(meta) ? property(meta, "security") : undefined;
  return isArray(security) ? security.map((label) => (isObject(label) && textAt(label, "code")) || "") : [];
};

test.skipIf(noSharedData)(
  "the labelled resources of the DS4P bundles stay out, leave by a Consent that names their labels, and nothing else changes (needs ../shared/data)",
  () => {
    const all = resourcesIn("ds4p-labelled-bundles")
      .flatMap((bundle) => valuesAt(bundle, ["entry", "resource"]).filter(isObject))
      .filter((each) => types.some((type) => type === textAt(each, "resourceType")));
    const names = new Set(all.flatMap(codesOf).filter((code) => code !== "R"));
    const label = (code: string) => ({ system: `${v3}ActCode`, code });
    const normal = { system: `${v3}Confidentiality`, code: "N" };
    const permitAll = consent({ type: "permit", securityLabel: [normal, ...[...names].map(label)] });
    const permitOne = consent({ type: "permit", securityLabel: [normal, label("STD")] });
    let [labelled, byOne] = [0, 0];
    for (const resource of all) {
      const codes = codesOf(resource);
      const whole = read(resource, [permitAll]);
      expect(whole, textAt(resource, "id")).toBeDefined();
      expect(isObject(whole) && { ...whole, meta: null }).toEqual({ ...resource, meta: null });
      const without = read(resource, []);
      if (codes.length === 0) expect(without).toEqual(whole);
      else {
        labelled += 1;
        expect(without).toBeUndefined();
        const isOnlyThat = codes.every((code) => ["R", "STD"].includes(code));
        expect(read(resource, [permitOne]) !== undefined, codes.join()).toBe(isOnlyThat);
        if (isOnlyThat) byOne += 1;
      }
    }
    expect([labelled > 20, byOne > 0]).toEqual([true, true]);
  },
);
