import * as z from "zod/mini";
import { policySchema } from "./schema.ts";

const base =
  "`honoured`: a row leaves unless a Consent denies it. `required`: a row leaves only if a Consent permits it. Default: `required` for HRESCH and HMARKT and the purposes below them, `honoured` for each other purpose.";
const combining = "The rule for several Consents about the same row. Default: `deny-overrides`.";
const elementPath =
  "Element path below the resource, e.g. `name.family`, `value[x]`, `identifier[system=http://example.org/mrn].value`.";
const code = "`system|code`, or a bare `code` where the element is a plain code.";

/**
 * What the published schema says to the author of a policy, by the place (RFC 6901) in that schema. The texts stand
 * apart from the schema because each isolate of the gateway loads the schema, and reads no text of it.
 */
const texts: Readonly<Record<string, string>> = {
  "/properties/purposes": "The v3-ActReason codes that the policy may serve.",
  "/properties/users":
    "The relations between the signed-in user (fhirUser) and a patient by which a `user/` scope covers the patient's records, in addition to a patient's own records. Each relation adds patients.",
  "/properties/operations":
    "The operations that clients may call, each within the rules: `everything` of a patient (types that may be searched and read), `lastn` of observations (like their search), `validate` (checks the structure of a submitted resource; reads nothing), `disclosures` (the disclosures of a patient: to the individual under PATRQT, to an officer under HOPERAT), `fileConsent` and `revokeConsent` of HL7 FAST Scalable Consent (like a create and a patch of a Consent, with its document in one transaction).",
  "/properties/consentRegistrar":
    "true: a Consent that this client writes for a patient may permit, for clients other than itself. Without this member only its denials count. For a client that receives consents from patients and checks who gave them.",
  "/properties/amendmentRegistrar":
    "true: a Provenance that this client writes may record the amendment that a patient asked for (45 CFR 164.526(c)). For staff who amend records on the entity's own authority.",
  "/properties/consent": "How Consents of the patients whom a row concerns decide about the row.",
  "/properties/consent/properties/base": base,
  "/properties/consent/properties/api":
    "The API of a payer (CMS-0057-F) that the policy serves. A Consent of the category of one of these APIs counts for that API alone. Only for the whole policy.",
  "/properties/consent/properties/combining": combining,
  "/properties/labels":
    "The security labels that may leave. Without it, a row with a label above N leaves only if a Consent names its labels.",
  "/properties/labels/properties/leave":
    "Labels of rows that leave without a Consent. A row leaves if all its labels are here. A Consent lets further labels leave if it names them.",
  "/properties/labels/properties/leave/items/properties/labels/items":
    "A security label: `R` or `V` (v3-Confidentiality, with the levels below), a code of v3-InformationSensitivityPolicy with the codes below, or `42CFRPart2`.",
  "/properties/labels/properties/leave/items/properties/purposes":
    "Only for these purposes and the purposes below them. Default: for all.",
  "/properties/labels/properties/leave/items/properties/why":
    "The clause that lets these labels leave without a Consent.",
  "/properties/labels/properties/fromCodes":
    "Codes of the published value sets label a row like a label of the origin. Default: false; a Consent that names labels always reads the codes.",
  "/properties/labels/properties/throughReferences":
    "A row has the labels of the resources that it refers to, too: a prescription for a labelled condition, a note of a labelled encounter. A reference that cannot be resolved counts as labelled. Default: as `fromCodes`.",
  "/properties/labels/properties/part2":
    "The clients may receive records of 42 CFR Part 2, with the notice of 42 CFR 2.32, where a Consent (or `leave`) permits. Default: false.",
  "/properties/labels/properties/generalConsentOpens":
    "Labels that a Consent opens which permits and names no label: `R` or `V` with the levels below, or a code of v3-InformationSensitivityPolicy with the codes below. Never psychotherapy notes, never records of 42 CFR Part 2. Default: none.",
  "/properties/labels/properties/generalConsentExcepts":
    "What `generalConsentOpens` never opens, since a State's law wants a consent that names the kind: codes of v3-InformationSensitivityPolicy, each with the codes above and below. Codes in the row count too.",
  "/properties/labels/properties/generalConsentExcepts/items/properties/why": "The clause of that law.",
  "/properties/dataPeriod":
    "Only rows of service dates since this day, or of the years before the request: a row of a type that R4 gives a date leaves if its time of service, or without it the latest of its dates, does not end earlier. A row without a date stays back.",
  "/properties/namesBeyondAccess":
    "The number of patients beyond the access of its author whom a write, or all writes of a transaction together, may newly name. Default: 20.",
  "/properties/rules/items/properties/where": "The row must meet all of them.",
  "/properties/rules/items/properties/where/items":
    "The rows that the rule covers: a coded element that is, or is not, one of these codes.",
  "/properties/rules/items/properties/where/items/anyOf/0/properties/path": elementPath,
  "/properties/rules/items/properties/where/items/anyOf/0/properties/in/items": code,
  "/properties/rules/items/properties/where/items/anyOf/1/properties/path": elementPath,
  "/properties/rules/items/properties/where/items/anyOf/1/properties/notIn/items": code,
  "/properties/rules/items/properties/show":
    "The elements of the resource that leave. Modifier elements of visible parents, `id` and `resourceType` are implicit.",
  "/properties/rules/items/properties/show/anyOf/1/items": elementPath,
  "/properties/rules/items/properties/extensions":
    "Extensions that are shown wherever their parent is, by URL; also the modifier extensions that are understood.",
  "/properties/rules/items/properties/deletes":
    "Needed for `delete` if the view does not show everything: the delete also removes elements that its client never saw. Only a row that the client may see is ever deleted.",
  "/properties/rules/items/properties/search":
    "Narrows the search parameters further than the view does. It never adds one.",
  "/properties/rules/items/properties/referredBy":
    "For types that no patient owns (Practitioner, Organization …): under a patient's or a user's scope such a resource is read, and found by a search if the rule grants search, if a visible row refers to it by one of these references, as `Type:search-parameter`. `DocumentReference:location` is for Binary: under every scope the content of a Binary is then read by the link of a visible attachment, by a visible `securityContext`, or if a visible DocumentReference has its URL. `*`: such a resource needs no visible row.",
  "/properties/rules/items/properties/refersTo":
    "For a type that no patient owns: such a resource is also opened by this reference of its own, as `Type:search-parameter`, if the reference leads to a resource that the caller may find.",
  "/properties/rules/items/properties/consent/properties/base": base,
  "/properties/rules/items/properties/consent/properties/combining": combining,
  "/properties/rules/items/properties/why": "The clause or contract that grants this.",
  "/properties/rules/items/properties/examples/items/anyOf/0/properties/resource": "A synthetic resource.",
  "/properties/rules/items/properties/examples/items/anyOf/0/properties/becomes":
    "The exact resource that leaves, without the SUBSETTED tag; or `withheld`.",
  "/properties/rules/items/properties/examples/items/anyOf/1/properties/request":
    "A GET below the FHIR base: `Observation?patient=1`.",
  "/properties/rules/items/properties/examples/items/anyOf/2/properties/creates":
    "A synthetic resource, as a client would send it to be created.",
};

type Node = { [member: string]: unknown };
const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null;

/** The schema of policies as JSON Schema, with a text for each member that needs one (docs/policy.schema.json). */
export function publishedPolicySchema(io: "input" | "output" = "output"): object {
  // a copy: a part that is used twice would be one object
  const schema: Node = JSON.parse(JSON.stringify(z.toJSONSchema(policySchema, { io }))) as Node; // an object
  for (const [place, description] of Object.entries(texts)) add(schema, place, { description });
  add(schema, "/properties/dataPeriod/anyOf/0/properties/since", { format: "date" });
  return schema;
}

/** Adds keywords to the part of a schema at a place. */
function add(schema: Node, place: string, keywords: Node): void {
  const steps = place.split("/").slice(1);
  const last = steps.pop() ?? "";
  const parent = steps.reduce<unknown>((at, step) => (isNode(at) ? at[step] : undefined), schema);
  const member = isNode(parent) ? parent[last] : undefined;
  if (!isNode(parent) || !isNode(member)) throw new Error(`the schema of policies has no ${place}`);
  parent[last] = { ...keywords, ...member };
}
