import { readCriteria } from "#fhir/interaction";
import type { BatchEntry } from "#fhir/batch";
import {
  isArray,
  isObject,
  isResource,
  objectAt,
  property,
  readJson,
  textAt,
  type Json,
  type JsonObject,
  type JsonRefusal,
} from "#fhir/json/json";
import { parseReference } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { SeenRow } from "#phi/disclose";
import type { Permission } from "#gateway/admission/authorize";
import { identifierIn, identifierOfPatient, patientOf } from "#gateway/consents/consent-subject";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { Content, ContentRefusal } from "#gateway/question";
import { findRow, type CriteriaRefusal } from "#gateway/change/plan/write-criteria";
import type { AskedTransaction } from "./batch-entry.ts";

/** Why an operation of HL7 FAST Scalable Consent is refused before anything is planned. */
export type ConsentOperationRefusal =
  | ContentRefusal
  | { readonly reason: `body_${JsonRefusal["reason"]}` }
  | CriteriaRefusal
  | OriginRefusal
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
  content: Content,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<AskedTransaction, ConsentOperationRefusal>> {
  const bytes = await content.read("resource");
  if (!bytes.ok) return bytes;
  const json = readJson(bytes.value);
  if (!json.ok) return err({ reason: `body_${json.error.reason}` });
  const parameters = parametersIn(json.value);
  if (parameters === undefined) return invalid;
  const entries =
    operation === "fileConsent" ? filing(parameters) : await revocation(parameters, permission, origin);
  return entries.ok
    ? ok({ kind: "transaction", entries: entries.value, prefer: null, body: json.value })
    : entries;
}

const invalid = err({ reason: "consent_parameters_invalid" } as const);
/** The types of the resources in parameters. */
const types = {
  consent: new Set(["Consent"]),
  document: new Set(["DocumentReference", "QuestionnaireResponse"]),
} as const;
// A name inside this transaction alone: the origin puts the address of the document in its place.
const documentName = "urn:uuid:c0a5e47d-0c5e-4d0c-8f11-ed0000000001";

/** The resource of a parameter, if it has one of its types. */
function resourceIn(parameters: Parameters, name: keyof typeof types): JsonObject | undefined {
  const resource = objectAt(parameters[name] ?? {}, "resource");
  return resource && types[name].has(textAt(resource, "resourceType") ?? "") ? resource : undefined;
}

function filing(parameters: Parameters): Result<readonly BatchEntry[], ConsentOperationRefusal> {
  const [consent, source] = [resourceIn(parameters, "consent"), resourceIn(parameters, "document")];
  if (consent === undefined || source === undefined || parameters.patient !== undefined) return invalid;
  if (textAt(consent, "status") !== "active") return invalid;
  return ok([creation(source, documentName), creation(withSource(consent, source))]);
}

/** The Consent with a reference to its document, unless it names a different source. */
function withSource(consent: JsonObject, document: JsonObject): JsonObject {
  const stated = objectAt(consent, "sourceReference");
  const [type, id] = ["resourceType", "id"].map((name) => textAt(document, name));
  const isDocument = stated && id !== undefined && textAt(stated, "reference") === `${type}/${id}`;
  const isUnstated = ["sourceReference", "sourceAttachment"].every((name) => !Object.hasOwn(consent, name));
  return isDocument || isUnstated
    ? { ...consent, sourceReference: { ...stated, reference: documentName } }
    : consent;
}

async function revocation(
  parameters: Parameters,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly BatchEntry[], ConsentOperationRefusal>> {
  const consent = namedBy(parameters.consent, "Consent", origin.base);
  const patient = namedBy(parameters.patient, "Patient", origin.base);
  const source = resourceIn(parameters, "document");
  if (consent === undefined || patient === undefined) return invalid;
  if (parameters.document !== undefined && source === undefined) return invalid;
  const found = await rowOf(consent, permission, origin);
  if (!found.ok) return found;
  const isTheirs = await isOfPatient(found.value.shown, patient, permission, origin);
  if (!isTheirs.ok) return isTheirs;
  const operations = [{ op: "replace", path: "/status", value: "inactive" }];
  const patch = entry("PATCH", ["Consent", found.value.id], {
    resourceType: "Binary",
    contentType: "application/json-patch+json",
    data: Buffer.from(JSON.stringify(operations)).toString("base64"),
  });
  return ok(source === undefined ? [patch] : [creation(source, documentName), patch]);
}

/** The only resource with this name that the caller may find. */
async function rowOf(
  { type, name, value }: Named,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<SeenRow, ConsentOperationRefusal>> {
  const criteria = readCriteria(type, [{ name, value }], origin.base);
  if (!criteria.ok) return invalid;
  const found = await findRow(criteria.value, permission, origin);
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
): Promise<Result<unknown, ConsentOperationRefusal>> {
  if (patient.name === "identifier" && identifierOfPatient(shown) === patient.value) return ok(undefined);
  const id = patientOf(shown, origin.base);
  if (id === undefined) return absent;
  const found = await rowOf(patient, permission, origin);
  return found.ok && found.value.id !== id ? absent : found;
}

const absent = err({ reason: "absent" } as const);

/** A search that finds a single resource. */
interface Named {
  readonly type: "Consent" | "Patient";
  readonly name: "_id" | "identifier";
  readonly value: string;
}

/** A parameter's reference by address, or by identifier (a logical reference). */
function namedBy(parameter: JsonObject | undefined, type: Named["type"], base: string): Named | undefined {
  const reference = parameter && objectAt(parameter, "valueReference");
  if (reference === undefined) return undefined;
  const found = parseReference(textAt(reference, "reference") ?? "", base);
  if (found.kind === "local") return found.type === type ? { type, name: "_id", value: found.id } : undefined;
  const value = identifierIn(reference);
  return value !== undefined && /^[^,$|\\]*\|[^,$|\\]*$/u.test(value)
    ? { type, name: "identifier", value }
    : undefined;
}

const entry = (
  method: BatchEntry["method"],
  segments: readonly string[],
  resource: JsonObject,
  fullUrl?: string,
): BatchEntry => ({ fullUrl, method, segments, query: "", resource, header: () => null });

const creation = (resource: JsonObject, fullUrl?: string): BatchEntry =>
  entry("POST", [textAt(resource, "resourceType") ?? ""], resource, fullUrl);

const names = ["consent", "document", "patient"] as const;
type Parameters = Readonly<Partial<Record<(typeof names)[number], JsonObject>>>;

/**
 * The parameters by their names; undefined: an unknown parameter, or one that is repeated, may change the
 * meaning.
 */
function parametersIn(body: Json): Parameters | undefined {
  const list = isResource(body, "Parameters") ? property(body, "parameter") : undefined;
  if (!isArray(list)) return undefined;
  const found: Partial<Record<(typeof names)[number], JsonObject>> = {};
  for (const item of list) {
    const name = isObject(item) ? names.find((each) => each === property(item, "name")) : undefined;
    if (!isObject(item) || name === undefined || found[name] !== undefined) return undefined;
    found[name] = item;
  }
  return found;
}
