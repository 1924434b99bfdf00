import type { ResourceType } from "#fhir/r4/elements";
import {
  isObject,
  objectAt,
  readObject,
  textAt,
  valuesAt,
  type Json,
  type JsonObject,
} from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import { isOfNoRow } from "#policy/consent/consent-book";
import { basesOf } from "#gateway/origin/origin-session";
import type { TypeEffect } from "./effect.ts";

// HL7 Patient Request for Corrections 1.0.0: PatientCorrectionCommunicationTypes and PatientCorrectionTaskTypes,
// whose codes have no case.
const isOfGuide = (coding: Json): coding is JsonObject =>
  isObject(coding) &&
  textAt(coding, "system")?.startsWith(
    "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrection",
  ) === true;
const codeOf = (coding: Json): string | undefined =>
  isOfGuide(coding) ? textAt(coding, "code")?.toLowerCase() : undefined;

const namesMax = 20; // at each of three paths: a statement of D1 has at most 100 values

/** The resources to which the references at a path lead, as `Communication/1`. */
const namedAt = (
  row: JsonObject,
  path: readonly string[],
  isMeant: (type: string) => boolean,
  base: FhirBase,
): readonly string[] =>
  valuesAt(row, [...path, "reference"])
    .flatMap((text) => {
      const found = typeof text === "string" ? parseReference(text, base) : undefined;
      return found?.kind === "local" && isMeant(found.type) ? [`${found.type}/${found.id}`] : [];
    })
    .slice(0, namesMax);

const among =
  (...types: readonly ResourceType[]) =>
  (type: string): boolean =>
    types.some((each) => each === type);
const isMessage = among("Communication", "Task");
const isPatient = among("Patient");
const isRequester = among("Patient", "RelatedPerson");
const isRecord = (type: string): boolean => !isMessage(type) && !isOfNoRow(type);
const isEnded = /^(?:completed|cancelled|rejected|failed|entered-in-error)$/u;

/** Where a resource of the guide has its code, its patient, its sender, and the request to which it belongs. */
interface RequestPaths {
  readonly code: string;
  readonly patient: string;
  readonly sender: string;
  readonly of: readonly (readonly string[])[];
  /** Where it names the disputed rows. */
  readonly disputed: readonly (readonly string[])[];
}

/**
 * A request for an amendment opens a case before it is sent (45 CFR 164.526(b)). A later message of the same
 * request names the first, and belongs to its case. A statement of disagreement is noted there before it is sent ((d)(2)).
 */
const requestEffect = (paths: RequestPaths): TypeEffect => {
  const { code, patient, sender, of, disputed } = paths;
  const subject = (row: JsonObject, base: FhirBase) => namedAt(row, [patient], isPatient, base)[0];
  const codings = (row: JsonObject) => valuesAt(row, [code, "coding"]);
  const isCoded = (row: JsonObject, text: string) => codings(row).some((each) => codeOf(each) === text);
  const isFromRequester = (row: JsonObject, base: FhirBase) =>
    objectAt(row, sender) === undefined
      ? code === "code" // a Task names its requester if there is one
      : namedAt(row, [sender], isRequester, base).length > 0;
  return {
    // A message is one kind of the guide alone. A message that an individual sends has no further kind, names the
    // individual's own record, and no other sender.
    beforePlan: async (body, { access }, origin) => {
      const row = readObject(utf8(body));
      if (row === undefined || !codings(row).some(isOfGuide)) return ok(undefined);
      const base = await basesOf(origin);
      const isOwn = access.scopes.every(({ context }) => context === "patient");
      const kinds = isOwn ? codings(row) : codings(row).filter(isOfGuide);
      const named = subject(row, base);
      const isFit = isOwn
        ? named === `Patient/${access.patient}` && isFromRequester(row, base)
        : named !== undefined;
      return isFit && kinds.length === 1 ? ok(undefined) : err({ reason: "amendment_request_unfit" });
    },
    caseIn: (row, base) => {
      const isDisagreement = code === "category" && isCoded(row, "medreccxdenialdisagree");
      const isRequest =
        (isDisagreement || isCoded(row, "medreccxreq")) &&
        isFromRequester(row, base) &&
        !(code === "code" && isEnded.test(textAt(row, "status") ?? ""));
      return isRequest
        ? {
            patient: subject(row, base),
            of: of.flatMap((path) => namedAt(row, path, isMessage, base)),
            rows: disputed.flatMap((path) => namedAt(row, path, isRecord, base)),
            isDisagreement,
          }
        : undefined;
    },
  };
};

/**
 * An amendment is accepted with a Provenance that names the request among its entities (164.526(c)(1)). A Provenance of
 * messages alone says how a request came, and amends nothing.
 */
const linkEffect: TypeEffect = {
  caseIn: (row, base) => {
    const of = namedAt(row, ["entity", "what"], isMessage, base);
    const rows = namedAt(row, ["target"], isRecord, base);
    const isOfMessages = namedAt(row, ["target"], isMessage, base).length > 0;
    return of.length === 0 || isOfMessages ? undefined : { of, rows };
  },
};

export const amendmentEffects: Partial<Record<ResourceType, TypeEffect>> = {
  Communication: requestEffect({
    code: "category",
    patient: "subject",
    sender: "sender",
    of: [["partOf"], ["inResponseTo"], ["about"]],
    disputed: [["payload", "contentReference"], ["about"]],
  }),
  Task: requestEffect({
    code: "code",
    patient: "for",
    sender: "requester",
    of: [["input", "valueReference"], ["reasonReference"]],
    disputed: [["input", "valueReference"], ["focus"]],
  }),
  Provenance: linkEffect,
};
