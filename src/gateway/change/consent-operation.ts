import { readCriteria } from "#fhir/interaction";
import type { BatchEntry } from "#fhir/batch";
import {
  isArray,
  isObject,
  property,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";
import { parseReference } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { Arrival } from "#gateway/admission/admit";
import type { Permission } from "#gateway/admission/permit";
import { hasMediaType, readResourceBody, resourceTypes } from "#gateway/admission/resource-body";
import type { ResourceBodyRefusal } from "#gateway/admission/resource-body";
import type { AskedTransaction } from "./batch-entry.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import { findRow, type FoundRow, type CriteriaRefusal } from "#gateway/write/write-criteria";
import type { OriginRefusal } from "#gateway/origin/forward";
import { identifierOfPatient, patientOf } from "#gateway/consents/consent-subject";

/** Why an operation of HL7 FAST Scalable Consent is refused before anything is planned. */
export type ConsentOperationRefusal =
  | ResourceBodyRefusal
  | CriteriaRefusal
  | OriginRefusal
  | { readonly reason: `body_${Exclude<JsonRefusal["reason"], "too_large">}` | "body_type_not_supported" }
  /** A parameter is missing, of a different form, or repeated; a filed Consent is not active. */
  | { readonly reason: "consent_parameters_invalid" }
  | { readonly reason: "absent" };

export type ConsentOperation = "fileConsent" | "revokeConsent";

/**
 * Reads `$fileConsent` or `$revokeConsent` of HL7 FAST Scalable Consent Management 1.0.0-ballot as the transaction
 * that does the same: the Consent and its document are written together, or nothing is. A revoked Consent becomes
 * `inactive` and is never deleted.
 */
export async function consentTransaction(
  operation: ConsentOperation,
  { headers, body }: Pick<Arrival, "headers" | "body">,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<AskedTransaction, ConsentOperationRefusal>> {
  if (!hasMediaType(headers, resourceTypes)) return err({ reason: "body_type_not_supported" });
  const bytes = await readResourceBody(body);
  if (!bytes.ok) return bytes;
  const json = readJson(bytes.value);
  if (!json.ok)
    return err(
      json.error.reason === "too_large"
        ? { reason: "body_too_large" }
        : { reason: `body_${json.error.reason}` },
    );
  const parameters = parametersIn(json.value);
  if (parameters === undefined) return invalid;
  const entries =
    operation === "fileConsent" ? filing(parameters) : await revocation(parameters, permission, origin);
  return entries.ok
    ? ok({ kind: "transaction", entries: entries.value, prefer: null, body: json.value })
    : entries;
}

const invalid = err({ reason: "consent_parameters_invalid" } as const);
const documentTypes: ReadonlySet<string> = new Set(["DocumentReference", "QuestionnaireResponse"]);
// A name inside this transaction alone: the origin puts the address of the document in its place.
const documentName = "urn:uuid:c0a5e47d-0c5e-4d0c-8f11-ed0000000001";

function filing({
  consent,
  document,
  patient,
}: Parameters): Result<readonly BatchEntry[], ConsentOperationRefusal> {
  const [resource, source] = [consent?.resource, document?.resource];
  if (resource === undefined || source === undefined || patient !== undefined) return invalid;
  const type = textAt(source, "resourceType") ?? "";
  if (textAt(resource, "resourceType") !== "Consent" || textAt(resource, "status") !== "active")
    return invalid;
  if (!documentTypes.has(type)) return invalid;
  return ok([creation(type, source, documentName), creation("Consent", withSource(resource, source))]);
}

/** The Consent with a reference to its document, unless it names a different source. */
function withSource(consent: JsonObject, document: JsonObject): JsonObject {
  const stated = property(consent, "sourceReference");
  const [type, id] = ["resourceType", "id"].map((name) => textAt(document, name));
  const isDocument = isObject(stated) && id !== undefined && textAt(stated, "reference") === `${type}/${id}`;
  const isUnstated = stated === undefined && property(consent, "sourceAttachment") === undefined;
  return isDocument || isUnstated
    ? { ...consent, sourceReference: { ...(isObject(stated) && stated), reference: documentName } }
    : consent;
}

async function revocation(
  { consent, document, patient }: Parameters,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly BatchEntry[], ConsentOperationRefusal>> {
  const named = consent?.valueReference && namedBy(consent.valueReference, "Consent", origin.base);
  const of = patient?.valueReference && namedBy(patient.valueReference, "Patient", origin.base);
  if (named === undefined || of === undefined) return invalid;
  const source = document?.resource;
  if (
    document !== undefined &&
    (source === undefined || !documentTypes.has(textAt(source, "resourceType") ?? ""))
  )
    return invalid;
  const found = await rowOf("Consent", named, permission, origin);
  if (!found.ok) return found;
  const isTheirs = await isOfPatient(found.value.shown, of, permission, origin);
  if (!isTheirs.ok) return isTheirs;
  const operations = [{ op: "replace", path: "/status", value: "inactive" }];
  const patch: BatchEntry = {
    fullUrl: undefined,
    method: "PATCH",
    segments: ["Consent", found.value.id],
    query: "",
    resource: {
      resourceType: "Binary",
      contentType: "application/json-patch+json",
      data: Buffer.from(JSON.stringify(operations)).toString("base64"),
    },
    header: () => null,
  };
  return ok(
    source === undefined
      ? [patch]
      : [creation(textAt(source, "resourceType") ?? "", source, documentName), patch],
  );
}

/** The only resource with this name that the caller may find. */
async function rowOf(
  type: "Consent" | "Patient",
  { parameter, value }: Named,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<FoundRow, ConsentOperationRefusal>> {
  const criteria = readCriteria(type, [{ name: parameter, value }], origin.base);
  if (!criteria.ok) return invalid;
  const found = await origin.decided(() => findRow(criteria.value, permission, origin));
  if (!found.ok) return found;
  return found.value === undefined ? absent : ok(found.value);
}

/**
 * A Consent of a different patient has the face of an absent Consent. Only its visible part is compared: a
 * hidden patient confirms no guess.
 */
async function isOfPatient(
  shown: JsonObject,
  patient: Named,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<undefined, ConsentOperationRefusal>> {
  if (patient.parameter === "identifier" && identifierOfPatient(shown) === patient.value)
    return ok(undefined);
  const id = patientOf(shown, origin.base);
  if (id === undefined) return absent;
  const found = await rowOf("Patient", patient, permission, origin);
  return found.ok && found.value.id !== id ? absent : found.ok ? ok(undefined) : found;
}

const absent = err({ reason: "absent" } as const);

/** A search parameter that finds a single resource. */
interface Named {
  readonly parameter: "_id" | "identifier";
  readonly value: string;
}

/** A reference by address, or by identifier (a logical reference). */
function namedBy(reference: JsonObject, type: string, base: string): Named | undefined {
  const found = parseReference(textAt(reference, "reference") ?? "", base);
  if (found.kind === "local") return found.type === type ? { parameter: "_id", value: found.id } : undefined;
  const identifier = property(reference, "identifier");
  const [system, value] = isObject(identifier)
    ? [textAt(identifier, "system"), textAt(identifier, "value")]
    : [];
  return system === undefined || value === undefined || /[,$|\\]/u.test(system + value)
    ? undefined
    : { parameter: "identifier", value: `${system}|${value}` };
}

const creation = (type: string, resource: JsonObject, fullUrl?: string): BatchEntry => ({
  fullUrl,
  method: "POST",
  segments: [type],
  query: "",
  resource,
  header: () => null,
});

interface Parameter {
  readonly resource?: JsonObject;
  readonly valueReference?: JsonObject;
}
type Parameters = Readonly<Partial<Record<"consent" | "document" | "patient", Parameter>>>;
const names = ["consent", "document", "patient"] as const;

/**
 * The parameters by their names; undefined: an unknown parameter, or one that is repeated, may change the
 * meaning.
 */
function parametersIn(body: Json): Parameters | undefined {
  const list = isObject(body) ? property(body, "parameter") : undefined;
  if (!isObject(body) || textAt(body, "resourceType") !== "Parameters" || !isArray(list)) return undefined;
  const found: Partial<Record<(typeof names)[number], Parameter>> = {};
  for (const item of list) {
    const name = isObject(item) ? names.find((each) => each === property(item, "name")) : undefined;
    if (!isObject(item) || name === undefined || found[name] !== undefined) return undefined;
    const [resource, valueReference] = [property(item, "resource"), property(item, "valueReference")];
    found[name] = {
      ...(isObject(resource) && { resource }),
      ...(isObject(valueReference) && { valueReference }),
    };
  }
  return found;
}
