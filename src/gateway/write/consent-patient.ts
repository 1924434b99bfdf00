import { readCriteria } from "#fhir/interaction";
import { isObject, readJson } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { readConsent } from "#policy/consent/read-consent";
import type { Permission } from "#gateway/admission/permit";
import { identifierOfPatient, patientOf, referenceToPatient } from "#gateway/consents/consent-subject";
import type { OriginSession } from "#gateway/origin/origin-session";
import { findByCriteria, type CriteriaRefusal } from "./write-criteria.ts";

/** A Consent in force names no patient whom the gateway knows: it could not be filed. */
export type ConsentPatientRefusal = CriteriaRefusal | { readonly reason: "consent_patient_unknown" };

/**
 * Finds the patient of a Consent that is about to be written, if it names the patient by an identifier alone:
 * among the Patients that its writer may search for. Undefined: its reference tells, or no rule of the Consent can
 * ever count.
 * @param body the resource as it is sent.
 */
export async function patientByIdentifier(
  body: string,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<string | undefined, ConsentPatientRefusal>> {
  const read = readJson(utf8(body));
  const consent = read.ok && isObject(read.value) ? read.value : undefined;
  if (consent === undefined || !readConsent(consent, origin.base).isActive) return ok(undefined);
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
