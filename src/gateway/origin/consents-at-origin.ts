import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { linkBelow } from "#fhir/origin-link";
import type { OriginConsents, OriginQuestion } from "#fhir/ports";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { readConsent } from "#policy/consent/read-consent";
import { rowsOf, type Asking } from "./all-rows.ts";
import type { ReadConsent } from "#gateway/consents/consent-filing";
import { patientOf } from "#gateway/consents/consent-subject";

const [countOfPage, pagesMax, consentsMax] = [200, 20, 1_000];

/**
 * All Consents of these patients at the origin, with a single search; if they are too many for it, or one of them
 * names no patient by a reference, with a search for each half of the patients. So the limit is that of a patient: the patients of hidden rows decide no refusal of a
 * request by their number of Consents. Undefined: the origin does not answer, or a part of its answer is not
 * understood; then a denial might be missing.
 */
export async function consentsAtOrigin(
  patients: readonly string[],
  origin: Asking,
  verified?: OriginConsents["verified"],
): Promise<readonly ReadConsent[] | undefined> {
  const found = await consentsBySearch(patients, origin, verified);
  if (found !== "divide") return found;
  if (patients.length <= 1) return undefined;
  const half = Math.ceil(patients.length / 2);
  const [one, other] = [
    await consentsAtOrigin(patients.slice(0, half), origin, verified),
    await consentsAtOrigin(patients.slice(half), origin, verified),
  ];
  const ids = new Set(one?.map(({ consent }) => consent));
  // A server that ignores the criterion sends a Consent without a reference for each patient: its patient is not known.
  return other?.some(({ consent }) => ids.has(consent)) === true
    ? undefined
    : one && other && [...one, ...other];
}

async function consentsBySearch(
  patients: readonly string[],
  origin: Asking,
  verified: OriginConsents["verified"] | undefined,
): Promise<readonly ReadConsent[] | "divide" | undefined> {
  const found = new Map<string, ReadConsent>();
  const asked = new Set(patients);
  let next: OriginQuestion = {
    path: "Consent",
    query: `patient=${patients.map(encodeURIComponent).join(",")}&_count=${countOfPage}`,
    posted: true,
  };
  for (let page = 1; page <= pagesMax; page += 1) {
    let [understood, unnamed] = [0, 0];
    const read = await rowsOf(next, origin, (row, base) => {
      const consent = stateOf(row, base, asked, verified);
      if (consent === "of any asked patient") unnamed += 1;
      else if (consent !== undefined) {
        understood += 1;
        if (consent !== "of no asked patient") found.set(consent.consent, consent);
      }
      return false; // the compiled form alone is retained
    });
    if (!read.ok || understood + unnamed < read.value.matches) return undefined;
    if (unnamed > 0 || found.size > consentsMax) return "divide";
    if (read.value.next === undefined) return [...found.values()];
    const link = linkBelow(read.value.base, read.value.next);
    if (link === undefined) return undefined;
    next = { link };
  }
  return "divide";
}

/**
 * Undefined: the row is not understood. A server may ignore the criterion, and send Consents of further
 * patients.
 */
function stateOf(
  row: JsonObject,
  base: FhirBase,
  asked: ReadonlySet<string>,
  verified: OriginConsents["verified"],
): ReadConsent | "of no asked patient" | "of any asked patient" | undefined {
  const id = textAt(row, "id");
  if (textAt(row, "resourceType") !== "Consent" || id === undefined || !isId(id)) return undefined;
  const rules = readConsent(row, base);
  const [only] = asked.size === 1 ? asked : [];
  const named = patientOf(row, base);
  const patient = named ?? only;
  if (patient === undefined) return rules.isActive ? "of any asked patient" : "of no asked patient";
  if (!asked.has(patient)) return "of no asked patient";
  // A server that ignores the criterion sends the Consent of a patient whom it names otherwise: in doubt it denies.
  const mayPermit =
    named !== undefined && (verified === "origin" || (verified === "verification" && isVerified(row)));
  const state = { consent: id, content: { patient, rules }, mayPermit, filedBy: undefined };
  return named === undefined ? { ...state, isPatientAssumed: true } : state;
}

/** The Consent states that it was verified (FHIR R4 Consent.verification.verified). */
function isVerified(row: JsonObject): boolean {
  const verification = property(row, "verification");
  return (
    isArray(verification) &&
    verification.some((each) => isObject(each) && property(each, "verified") === true)
  );
}
