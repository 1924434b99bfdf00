import type { ResourceType } from "#fhir/r4/elements";
import { isObject, objectAt, readObject, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import type { TypeEffect } from "./effect.ts";

// HL7 Patient Request for Corrections 1.0.0: PatientCorrectionCommunicationTypes and PatientCorrectionTaskTypes,
// whose codes have no case.
const isRequestCode = (coding: JsonObject): boolean =>
  textAt(coding, "system")?.startsWith(
    "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrection",
  ) === true && textAt(coding, "code")?.toLowerCase() === "medreccxreq";

const namesMax = 20; // at each of three paths: a statement of D1 has at most 100 values

/** The resources of some types to which the references at a path lead, as `Communication/1`. */
const namedAt = (
  row: JsonObject,
  path: readonly string[],
  types: readonly string[],
  base: FhirBase,
): readonly string[] =>
  valuesAt(row, [...path, "reference"])
    .flatMap((text) => {
      const found = typeof text === "string" ? parseReference(text, base) : undefined;
      return found?.kind === "local" && types.includes(found.type) ? [`${found.type}/${found.id}`] : [];
    })
    .slice(0, namesMax);

const requests = ["Communication", "Task"];
const isEnded = /^(?:completed|cancelled|rejected|failed|entered-in-error)$/u;

/** Where a resource of the guide has its code, its patient, its sender, and the request to which it belongs. */
interface RequestPaths {
  readonly code: string;
  readonly patient: string;
  readonly sender: string;
  readonly of: readonly (readonly string[])[];
}

/**
 * A request for an amendment opens a case before it is sent (45 CFR 164.526(b)). A later message of the same
 * request names the first, and belongs to its case.
 */
const requestEffect = (paths: RequestPaths): TypeEffect => {
  const { code, patient, sender, of } = paths;
  const subject = (row: JsonObject, base: FhirBase) => namedAt(row, [patient], ["Patient"], base)[0];
  const isCoded = (row: JsonObject) =>
    valuesAt(row, [code, "coding"]).some((each) => isObject(each) && isRequestCode(each));
  const isFromRequester = (row: JsonObject, base: FhirBase) =>
    objectAt(row, sender) === undefined
      ? code === "code" // a Task names its requester if there is one
      : namedAt(row, [sender], ["Patient", "RelatedPerson"], base).length > 0;
  return {
    // A message that an individual sends names the individual's own record, and no other sender.
    beforePlan: async (body, { access }, { base }) => {
      const row = readObject(utf8(body));
      if (row === undefined || !isCoded(row)) return ok(undefined);
      const isOwn = access.scopes.every(({ context }) => context === "patient");
      const named = subject(row, base);
      const isFit = isOwn
        ? named === `Patient/${access.patient}` && isFromRequester(row, base)
        : named !== undefined;
      return isFit ? ok(undefined) : err({ reason: "amendment_request_unfit" });
    },
    caseIn: (row, base) => {
      const isRequest =
        isCoded(row) &&
        isFromRequester(row, base) &&
        !(code === "code" && isEnded.test(textAt(row, "status") ?? ""));
      return isRequest
        ? {
            patient: subject(row, base),
            of: of.flatMap((path) => namedAt(row, path, requests, base)),
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
    const of = namedAt(row, ["entity", "what"], requests, base);
    const isOfMessages = namedAt(row, ["target"], requests, base).length > 0;
    return of.length === 0 || isOfMessages ? undefined : { of };
  },
};

export const amendmentEffects: Partial<Record<ResourceType, TypeEffect>> = {
  Communication: requestEffect({
    code: "category",
    patient: "subject",
    sender: "sender",
    of: [["partOf"], ["inResponseTo"], ["about"]],
  }),
  Task: requestEffect({
    code: "code",
    patient: "for",
    sender: "requester",
    of: [["input", "valueReference"], ["reasonReference"]],
  }),
  Provenance: linkEffect,
};
