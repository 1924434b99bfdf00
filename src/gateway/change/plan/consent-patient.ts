import { readCriteria } from "#fhir/interaction";
import { isArray, isObject, readObject, valuesAt, type JsonObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { isUnreadablyLong, readConsent } from "#policy/consent/read-consent";
import { filedByOthersMax } from "#policy/consent/unread-consents";
import { mayChangeConsents } from "#policy/evaluate-write";
import type { Permission } from "#gateway/admission/authorize";
import { identifierOfPatient, patientOf, referenceToPatient } from "#gateway/consents/consent-subject";
import type { OriginSession } from "#gateway/origin/origin-session";
import { findByCriteria, type CriteriaRefusal } from "./write-criteria.ts";

/** A Consent in force names no patient whom the gateway knows: it could not be filed. */
export type ConsentPatientRefusal =
  | CriteriaRefusal
  | { readonly reason: "consent_patient_unknown" }
  /** Every row of the patient would be judged by more provisions or criteria than a Consent may have. */
  | { readonly reason: "consent_too_long" }
  /** Further clients have filed as many Consents of the patient as they may. */
  | { readonly reason: "too_many_consents" }
  | { readonly reason: "consents_unavailable" };

// The published examples of IHE, HL7 FAST and R4 have two provisions and seven criteria at most. Each row of the
// patient is judged by each of them, for every reader.
const [provisionsMax, criteriaMax] = [50, 1_000];

/**
 * Finds the patient of a Consent that is about to be written, and refuses a Consent in force of a patient of whom
 * clients without authority have filed as many as they may. Undefined: see {@link patientByIdentifier}.
 */
export async function patientOfConsent(
  body: string,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<string | undefined, ConsentPatientRefusal>> {
  const found = await patientByIdentifier(body, permission, origin);
  if (!found.ok || mayChangeConsents(permission.policy, permission.access)) return found;
  const consent = readObject(utf8(body));
  if (consent === undefined || !readConsent(consent, origin.base).isActive) return found;
  const patient = found.value ?? patientOf(consent, origin.base);
  const filed = patient === undefined ? 0 : await origin.facts?.denyingOf(patient);
  if (filed === undefined) return err({ reason: "consents_unavailable" });
  return filed < filedByOthersMax ? found : err({ reason: "too_many_consents" });
}

/**
 * Finds the patient of a Consent that is about to be written, if it names the patient by an identifier alone:
 * among the Patients that its writer may search for. Undefined: its reference tells, or no rule of the Consent can
 * ever count. A Consent in force that is too long is refused.
 * @param body the resource as it is sent.
 */
export async function patientByIdentifier(
  body: string,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<string | undefined, ConsentPatientRefusal>> {
  const consent = readObject(utf8(body));
  const rules = consent && readConsent(consent, origin.base);
  if (consent === undefined || rules?.isActive !== true) return ok(undefined);
  if (isTooLong(consent) || isUnreadablyLong(rules)) return err({ reason: "consent_too_long" });
  const reference = referenceToPatient(consent);
  // A transaction may create the patient: the origin resolves the name, and the Consent is read again then.
  if (reference?.startsWith("urn:") === true || patientOf(consent, origin.base) !== undefined)
    return ok(undefined);
  const identifier = identifierOfPatient(consent);
  if (identifier === undefined || /[,$\\]/u.test(identifier))
    return err({ reason: "consent_patient_unknown" });
  const criteria = readCriteria("Patient", [{ name: "identifier", value: identifier }], origin.base);
  if (!criteria.ok) return err({ reason: "consent_patient_unknown" });
  const found = await findByCriteria(criteria.value, permission, origin);
  if (!found.ok) return notFound.has(found.error.reason) ? err({ reason: "consent_patient_unknown" }) : found;
  return found.value === undefined ? err({ reason: "consent_patient_unknown" }) : ok(found.value);
}

function isTooLong(consent: JsonObject): boolean {
  let [provisions, criteria] = [0, 0];
  const open: JsonObject[] = valuesAt(consent, ["provision"]).filter(isObject);
  for (let provision = open.pop(); provision !== undefined; provision = open.pop()) {
    provisions += 1;
    const codings = valuesAt(provision, ["code", "coding"]).length;
    const lists = Object.entries(provision).filter(([name]) => name !== "provision");
    criteria += lists.reduce((sum, [, list]) => sum + (isArray(list) ? list.length : 0), codings);
    if (provisions > provisionsMax || criteria > criteriaMax) return true;
    for (const inner of valuesAt(provision, ["provision"])) if (isObject(inner)) open.push(inner);
  }
  return false;
}

/** One face, whatever keeps the writer from finding a single Patient. */
const notFound: ReadonlySet<string> = new Set([
  "rule_missing",
  "scope_insufficient",
  "outside_patient_compartment",
  "parameter_hidden",
  "parameter_needs_system",
  "criteria_ambiguous",
  "too_many_rows",
]);
