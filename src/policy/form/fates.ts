import { isResourceType } from "#fhir/r4/elements";

/** The forms of 45 CFR 164.514 that a table can make: (b)(2) and (e). */
export const deidForms = ["safe-harbor", "limited-data-set"] as const;
export type DeidForm = (typeof deidForms)[number];

/** The table of a policy's form: an expert's determination begins with one of these. */
export const formTableOf = (
  form: { readonly kind: DeidForm } | { readonly kind: "expert"; readonly table: DeidForm },
): DeidForm => (form.kind === "expert" ? form.table : form.kind);

/**
 * The change of a value. `out`: the value does not leave. `parts`: each member has a row of its own. Each further
 * word names the function of `deidentify.ts` that makes the value that leaves.
 */
export type ValueChange =
  | "keep"
  | "out"
  | "parts"
  | "year"
  | "measure"
  | "cappedMeasure"
  | "cappedTime"
  | "zip3"
  | "state"
  | "country"
  | "listedCode"
  | "language"
  | "mediaType"
  | "currency"
  | "coding"
  | "profile"
  | "reference"
  | "randomId"
  | "providerNumber"
  | "providerName"
  | "answer"
  | "resource";

/** Answers whether each member of the value has a row of its own. */
export const hasParts = (change: ValueChange): boolean => change === "parts" || change === "answer";

/** A row's fate: the change in each form, and the paragraph that asks for the change or permits the value. */
interface Fate {
  readonly change: Readonly<Record<DeidForm, ValueChange>>;
  /** Paragraphs of 45 CFR 164.514: of (b)(2)(i), then of (e)(2). */
  readonly paragraphs: string;
  readonly why: string;
}

const both = (change: ValueChange, paragraphs: string, why: string): Fate => ({
  change: { "safe-harbor": change, "limited-data-set": change },
  paragraphs,
  why,
});
const split = (safe: ValueChange, limited: ValueChange, paragraphs: string, why: string): Fate => ({
  change: { "safe-harbor": safe, "limited-data-set": limited },
  paragraphs,
  why,
});

export const fates = {
  plain: both("keep", "none; none", "A boolean or a number tells no identifier."),
  parts: both("parts", "see its parts; see its parts", "Each member has a row of its own."),
  listed: both("listedCode", "none; none", "Only a code of R4's own list stays."),
  coded: both("coding", "none; none", "Only a code in the grammar of a public code system stays."),
  language: both("language", "none; none", "A language tag (BCP 47)."),
  mediaType: both("mediaType", "none; none", "A media type (BCP 13)."),
  currency: both("currency", "none; none", "A currency (ISO 4217)."),
  profile: both("profile", "none; none", "Only a profile of HL7 stays."),
  measure: split(
    "cappedMeasure",
    "measure",
    "(C); none",
    "A time of 90 years or more becomes `>= 90 a`, because an age over 89 hides in each time.",
  ),
  timing: split("cappedTime", "keep", "(C); none", "As a measure, by the unit in the member beside it."),
  answer: split(
    "answer",
    "parts",
    "(C); see its parts",
    "The code of an answer stays, unless its question asks for an age.",
  ),
  date: split("year", "keep", "(C); none", "The year stays, unless the year tells an age over 89."),
  time: split("out", "keep", "(C); none", "An hour is an element of a date, and has no year."),
  weekday: split("out", "listedCode", "(C); none", "A weekday is an element of a date, and has no year."),
  state: split("state", "keep", "(B); (ii)", "A State may stay."),
  country: split("country", "keep", "(B); (ii)", "A country is larger than a State."),
  zip: split("zip3", "keep", "(B); (ii)", "Three digits stay if more than 20,000 people live there."),
  town: split("out", "keep", "(B); (ii)", "A town is smaller than a State, and may stay in a limited set."),
  place: both("out", "(B); (ii)", "A street, a county, a geocode or the text of an address."),
  name: both("out", "(A); (i)", "A name."),
  telecom: both("out", "(D) (E) (F) (N) (O); (iii) (iv) (v) (xiii) (xiv)", "A phone, fax, email or URL."),
  identifier: both(
    "out",
    "(G)-(M) (R); (vi)-(xii)",
    "A number of a person, account, plan, licence, vehicle or device. A hash of the number is derived from " +
      "the person (164.514(c)), so no hash is made.",
  ),
  url: both("out", "(N) (R); (xiii)", "A URL or URI that is not of a public code system."),
  biometric: both("out", "(P) (Q); (xv) (xvi)", "A photograph, a voice, a signature or a waveform."),
  text: both(
    "out",
    "(A)-(R); (i)-(xvi)",
    "People write this text, and any of the eighteen can be in the text.",
  ),
  content: both("out", "(A)-(R); (i)-(xvi)", "Content that no table reads."),
  unnamed: both("out", "(R); none", "No row names this element."),
  number: both(
    "out",
    "(C) (R); none",
    "A number without a unit may be an age or an identifier, and only its question tells.",
  ),
  count: both("out", "(R); none", "The number of rows, or of bytes, tells what was removed."),
  row: both("randomId", "(R) and 164.514(c); none", "A logical id becomes a random code."),
  reference: both("reference", "(R) and 164.514(c); none", "A reference follows its target's random code."),
  provider: both(
    "providerName",
    "none; none",
    "The identifiers of (b)(2)(i) are of the individual, relatives, employers and household members.",
  ),
  providerNumber: both("providerNumber", "none; none", "A provider's NPI stays; each other number is out."),
  resource: both("resource", "see its type; see its type", "A resource inside has the rows of its own type."),
} as const satisfies Readonly<Record<string, Fate>>;

export type FateName = keyof typeof fates;

/** The rule of each datatype. A datatype without a row is `unnamed`. */
const byDatatype: Readonly<Record<string, FateName>> = {
  boolean: "plain",
  decimal: "plain",
  integer: "plain",
  positiveInt: "plain",
  unsignedInt: "plain",
  code: "listed",
  string: "text",
  markdown: "text",
  xhtml: "text",
  base64Binary: "content",
  id: "identifier",
  oid: "identifier",
  uuid: "identifier",
  uri: "url",
  url: "url",
  canonical: "url",
  date: "date",
  dateTime: "date",
  instant: "time",
  time: "time",
  HumanName: "name",
  ContactPoint: "telecom",
  ContactDetail: "name",
  Contributor: "name",
  Identifier: "identifier",
  Signature: "biometric",
  SampledData: "biometric",
  Narrative: "text",
  Annotation: "text",
  Expression: "text",
  Age: "measure",
  Count: "measure",
  Distance: "measure",
  Duration: "measure",
  Quantity: "measure",
  Coding: "coded",
  Reference: "reference",
  Resource: "resource",
  Address: "parts",
  Attachment: "parts",
  CodeableConcept: "parts",
  Dosage: "parts",
  MarketingStatus: "parts",
  Meta: "parts",
  Money: "parts",
  Period: "parts",
  Population: "parts",
  ProductShelfLife: "parts",
  Range: "parts",
  Ratio: "parts",
  SubstanceAmount: "parts",
  Timing: "parts",
  UsageContext: "parts",
};

/** The exceptions: an element by the path of its parent. */
const byElement: Readonly<Record<string, FateName>> = {
  "Address.state": "state",
  "Address.country": "country",
  "Address.postalCode": "zip",
  "Address.city": "town",
  "Address.line": "place",
  "Address.district": "place",
  "Address.text": "place",
  "Location.position": "place",
  "Attachment.contentType": "mediaType",
  "Attachment.language": "language",
  "Attachment.size": "count",
  "Bundle.total": "count",
  "Bundle.entry.request": "url",
  "Bundle.entry.response": "url",
  "Bundle.entry.search": "unnamed",
  "Meta.profile": "profile",
  "Money.currency": "currency",
  "Observation.valueCodeableConcept": "answer",
  "Observation.component.valueCodeableConcept": "answer",
  "Group.characteristic.valueCodeableConcept": "answer",
  "Goal.target.detailCodeableConcept": "answer",
  "Timing.repeat.dayOfWeek": "weekday",
  "Timing.repeat.duration": "timing",
  "Timing.repeat.durationMax": "timing",
  "Timing.repeat.period": "timing",
  "Timing.repeat.periodMax": "timing",
  "Patient.photo": "biometric",
  "Person.photo": "biometric",
  "RelatedPerson.photo": "biometric",
  "Practitioner.photo": "biometric",
  "Practitioner.name": "provider",
  "Practitioner.identifier": "providerNumber",
  // A provider's home and birthday are no part of the care.
  "Practitioner.birthDate": "unnamed",
  "Practitioner.address": "place",
};

/** The elements that each resource has by its base. `id` of a datatype is a text. */
const ofEachResource: Readonly<Record<string, FateName>> = { id: "row", language: "language" };

/** Types whose whole content is an identifier: no resource of these types leaves. */
export const withheldTypes: Readonly<Record<string, string>> = {
  AuditEvent: "(A) (O): who asked, from which address",
  Basic: "(R): its meaning stands in extensions alone",
  Binary: "(A)-(R): content that no table reads",
  Linkage: "(R): which rows are of one person",
  MolecularSequence: "(P) (R): a genome is a unique characteristic",
  Parameters: "(A)-(R): named values without a definition",
  Person: "(R): which records are of one person",
  Subscription: "(N): the address of a person's device",
  VerificationResult: "(A) (R): attestations of identities",
};

const unitless = /^(?:value|detail)(?:Integer|Decimal|PositiveInt|UnsignedInt)$/u;

/**
 * The fate of an element: by its path, then as an element of each resource, then by its datatype.
 * @param name its name in JSON, for a choice with the type: `valueQuantity`
 */
export function fateOf(parent: string, name: string, type: string): FateName {
  const path = `${parent}.${name}`;
  if (Object.hasOwn(byElement, path)) return byElement[path] ?? "unnamed";
  if (isResourceType(parent) && Object.hasOwn(ofEachResource, name)) return ofEachResource[name] ?? "unnamed";
  if (unitless.test(name)) return "number";
  if (type.includes(".")) return "parts"; // a backbone
  return Object.hasOwn(byDatatype, type) ? (byDatatype[type] ?? "unnamed") : "unnamed";
}
