import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import type { OriginConsents } from "#fhir/ports";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { readConsent } from "#policy/consent/read-consent";
import { storedFormOf } from "#policy/consent/stored-form";
import { readableMax, unreadConsents } from "#policy/consent/unread-consents";
import { eachPage } from "#gateway/origin/pages";
import type { Asking } from "#gateway/origin/asking";
import type { ReadConsent } from "#gateway/consents/consent-filing";
import { patientOf } from "#gateway/consents/consent-subject";

const [countOfPage, pagesMax] = [200, 20];

/** A Consent without a reference among 256 patients is found for its patient by eight divisions. */
const divisionsMax = 16;

/**
 * All Consents of these patients at the origin, with a single search; if they are too many for it, or one of them is
 * not understood or names no patient by a reference, with a search for each half of the patients. So the limit is that
 * of a patient. In place of the Consents of a patient who has too many, or one that is not understood, come rules that
 * deny what any of them may deny: they cost this patient's rows alone, and neither the individual nor a declared
 * emergency. Undefined: the origin does not answer, or does not keep to the criterion; then a denial might be missing.
 */
export async function consentsAtOrigin(
  patients: readonly string[],
  origin: Asking,
  verified?: OriginConsents["verified"],
): Promise<readonly ReadConsent[] | undefined> {
  let divisions = 0;
  const search = (some: readonly string[]) => consentsBySearch(some, origin, verified);
  const whole = async (
    some: readonly string[],
    found: Found,
  ): Promise<readonly ReadConsent[] | undefined> => {
    if (found.consents !== undefined) return found.consents;
    if (some.length <= 1) return some.map(unreadOf);
    if (found.unnamed.size > 0 || found.hasUnread === true) divisions += 1;
    if (divisions > divisionsMax) return undefined;
    const half = Math.ceil(some.length / 2);
    const halves = [some.slice(0, half), some.slice(half)] as const;
    const one = await search(halves[0]);
    if (one === undefined) return undefined;
    const other = await search(halves[1]);
    // A server that ignores the criterion sends a Consent without a reference for each patient: its patient is not
    // known. So both halves are asked before either is divided.
    if (other === undefined || [...one.unnamed].some((id) => other.unnamed.has(id))) return undefined;
    const ofOne = await whole(halves[0], one);
    if (ofOne === undefined) return undefined;
    const ofOther = await whole(halves[1], other);
    if (ofOther === undefined) return undefined;
    const ids = new Set(ofOne.map(({ consent }) => consent));
    return ofOther.some(({ consent }) => ids.has(consent)) ? undefined : [...ofOne, ...ofOther];
  };
  const found = await search(patients);
  return found && whole(patients, found);
}

/** The patient's id and a slash: no Consent has this id, and no further patient the same. */
const unreadOf = (patient: string): ReadConsent => ({
  consent: `${patient}/unread`,
  content: { patient, rules: unreadConsents },
  mayPermit: false,
  filedBy: undefined,
});

interface Found {
  /** Undefined: not known by this search, but perhaps by a search for fewer patients. */
  readonly consents: readonly ReadConsent[] | undefined;
  /** The ids of the Consents that name no patient by a reference, as far as they were read. */
  readonly unnamed: ReadonlySet<string>;
  /** A row of the answer is not understood: its patient is not known. */
  readonly hasUnread?: true;
}

async function consentsBySearch(
  patients: readonly string[],
  origin: Asking,
  verified: OriginConsents["verified"] | undefined,
): Promise<Found | undefined> {
  const found = new Map<string, ReadConsent>();
  const unnamed = new Set<string>();
  const wanted = new Set(patients);
  let characters = 0;
  const question = {
    path: "Consent",
    query: `patient=${patients.map(encodeURIComponent).join(",")}&_count=${countOfPage}`,
    posted: true,
  };
  let [understood, isDivided, hasUnread, isRead] = [0, false, false, false];
  const keeps = (row: JsonObject, base: FhirBase) => {
    const consent = stateOf(row, base, wanted, verified);
    if (consent !== undefined) understood += 1;
    if (typeof consent === "object") {
      if (!("content" in consent)) isDivided = true;
      else {
        found.set(consent.consent, consent);
        if (consent.content !== undefined) characters += storedFormOf(consent.content.rules).length;
      }
      if (!("content" in consent) || consent.isPatientAssumed === true) unnamed.add(consent.consent);
    }
    return false; // the compiled form alone is retained
  };
  const failed = await eachPage(question, origin, { keeps }, pagesMax, ({ matches }) => {
    isRead = true;
    hasUnread = understood < matches;
    understood = 0;
    isDivided ||= found.size > readableMax.consents || characters > readableMax.characters;
    return hasUnread || isDivided ? "end" : "next";
  });
  if (failed === undefined ? !isRead : !ofSize.has(failed.reason)) return undefined;
  if (hasUnread) return { consents: undefined, unnamed, hasUnread };
  return { consents: failed !== undefined || isDivided ? undefined : [...found.values()], unnamed };
}

/** A search for fewer patients may be answered. */
const ofSize: ReadonlySet<string> = new Set(["origin_answer_too_large", "too_many_rows"]);

/** It names no patient by a reference: it may be of each of the patients. */
type OfAnyPatient = Pick<ReadConsent, "consent">;

/**
 * Undefined: the row is not understood. A server may ignore the criterion, and send Consents of further
 * patients.
 */
function stateOf(
  row: JsonObject,
  base: FhirBase,
  wanted: ReadonlySet<string>,
  verified: OriginConsents["verified"],
): ReadConsent | OfAnyPatient | "of no asked patient" | undefined {
  const id = textAt(row, "id");
  if (textAt(row, "resourceType") !== "Consent" || id === undefined || !isId(id)) return undefined;
  const rules = readConsent(row, base);
  const [only] = wanted.size === 1 ? wanted : [];
  const named = patientOf(row, base);
  const patient = named ?? only;
  if (patient === undefined) return rules.isActive ? { consent: id } : "of no asked patient";
  if (!wanted.has(patient)) return "of no asked patient";
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
