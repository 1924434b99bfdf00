import { type ExclusionGround, groundText } from "#audit/accounting/exclusions";
import { purposeWords } from "#audit/accounting/purpose-words";
import type { WallTime } from "#kernel/wall-time";

const months = "January February March April May June July August September October November December".split(
  " ",
);
const monthOf = (month: number): string => months[month - 1] ?? "";

/** Resource types in the words of a patient, in the singular and the plural. A missing type shows its own name. */
const kinds: Readonly<Record<string, readonly [one: string, several: string]>> = {
  AllergyIntolerance: ["allergy", "allergies"],
  Appointment: ["appointment", "appointments"],
  AuditEvent: ["access record", "access records"],
  Binary: ["file", "files"],
  Bundle: ["list of disclosures or collection of records", "lists of disclosures or collections of records"],
  CarePlan: ["care plan", "care plans"],
  CareTeam: ["care team", "care teams"],
  Claim: ["claim to a health plan", "claims to a health plan"],
  ClaimResponse: ["answer to a claim", "answers to claims"],
  Communication: ["message", "messages"],
  Composition: ["document", "documents"],
  Condition: ["diagnosis or health problem", "diagnoses and health problems"],
  Consent: ["consent", "consents"],
  Coverage: ["insurance coverage", "insurance coverages"],
  Device: ["device", "devices"],
  DiagnosticReport: ["report of a test", "reports of tests"],
  DocumentReference: ["document", "documents"],
  Encounter: ["visit", "visits"],
  EpisodeOfCare: ["episode of care", "episodes of care"],
  ExplanationOfBenefit: ["statement of benefits", "statements of benefits"],
  FamilyMemberHistory: ["family history", "family histories"],
  Goal: ["health goal", "health goals"],
  ImagingStudy: ["imaging study", "imaging studies"],
  Immunization: ["vaccination", "vaccinations"],
  Location: ["place of care", "places of care"],
  Media: ["picture or recording", "pictures and recordings"],
  Medication: ["medication", "medications"],
  MedicationAdministration: ["dose given", "doses given"],
  MedicationDispense: ["medication handed out", "medications handed out"],
  MedicationRequest: ["prescription", "prescriptions"],
  MedicationStatement: ["statement of a medication", "statements of medications"],
  Observation: ["test result or measurement", "test results and measurements"],
  Organization: ["organization", "organizations"],
  Patient: ["record of name, contacts and personal facts", "records of name, contacts and personal facts"],
  Practitioner: ["health professional", "health professionals"],
  Procedure: ["procedure", "procedures"],
  Provenance: ["note of origin", "notes of origin"],
  QuestionnaireResponse: ["answered questionnaire", "answered questionnaires"],
  RelatedPerson: ["related person", "related persons"],
  ServiceRequest: ["order of a service", "orders of services"],
  Specimen: ["sample", "samples"],
};

/** `ImagingStudy` as `imaging study`. */
const spelled = (kind: string): string => kind.replaceAll(/(?<=[a-z])(?=[A-Z])/gu, " ").toLowerCase();

/** A FHIR resource type in words, in the singular and the plural. */
export const kindInWords = (kind: string): readonly [one: string, several: string] =>
  (Object.hasOwn(kinds, kind) ? kinds[kind] : undefined) ?? [spelled(kind), `${spelled(kind)} records`];

/**
 * Every text of the accounting's page: the page has no text of its own. A further language is a further value of
 * this type.
 */
export type PageTexts = typeof english;

/** The page's texts in English, dates as in the United States. */
export const english = {
  /** BCP 47. */
  language: "en-US",
  title: "Accounting of disclosures",
  lead: "Who received health information about this person, when, why, and what kind of information.",
  date: ({ year, month, day }: Pick<WallTime, "year" | "month" | "day">) =>
    `${monthOf(month)} ${day}, ${year}`,
  dateTime: ({ year, month, day, hour, minute }: WallTime) =>
    `${monthOf(month)} ${day}, ${year}, ${hour % 12 || 12}:${String(minute).padStart(2, "0")} ${hour < 12 ? "am" : "pm"}`,
  /** `America/New_York` in words. */
  zone: (name: string) =>
    name === "UTC" ? "universal time (UTC)" : `${(name.split("/").at(-1) ?? name).replaceAll("_", " ")} time`,
  person: {
    label: "About",
    /** The name and the birth date, as far as the policy shows them. */
    known: (name: string | undefined, born: string | undefined) =>
      [name, born === undefined ? undefined : `born ${born}`].filter((part) => part !== undefined).join(", "),
    unknown: "a person with this record number; this page may not show a name",
    records: "Record number",
  },
  period: { label: "Time covered", fromTo: (from: string, to: string) => `${from} to ${to}` },
  maker: { label: "Made by", unknown: "the organization that runs this service", made: "Made on" },
  heads: {
    when: "When",
    who: "Who received it",
    why: "Why",
    what: "What",
    number: "How often",
    last: "Last time",
    sum: "What in all",
    record: "Record",
    more: "More",
  },
  details: {
    open: "Details and proof",
    openSummed: "Details",
    time: "Exact time",
    recipient: "Recipient's id",
    purposes: "Purpose codes",
    agreement: "Agreement",
    resources: "Resources",
    law: "Must the law's accounting list it?",
    suspended: "Suspended",
    place: "Place in the ledger",
    consent: "Consent, by its digest",
    proof: "Proof",
    unproven: "There is no proof yet. Ask for this page again in a moment.",
  },
  caption: (zone: string) => `Disclosures, oldest first. Times are ${zone}.`,
  nothing: "No disclosure is listed for this time.",
  /** `12 test results and measurements`: `kind` is a FHIR resource type. */
  counted: (kind: string, count: number) => `${count} ${kindInWords(kind)[count === 1 ? 0 : 1]}`,
  noCounts: "the answer that nothing was found",
  /** A purpose of use in words. */
  purpose: (code: string) => purposeWords(code) ?? `purpose ${code}`,
  required: "Yes",
  excluded: (clause: ExclusionGround) => `No. 45 CFR ${groundText(clause).join(": ")}.`,
  suspended: (until: string) =>
    `Suspended until ${until} (45 CFR 164.528(a)(2)). Do not tell the individual before then.`,
  /** `given`: the day or time on which the Consent was given; undefined: it does not say. */
  consent: (given: string | undefined, filed: string, purposes: readonly string[]) =>
    `The consent ${given === undefined ? "without a date" : `given ${given}`} (on file since ${filed}) let this through${purposes.length === 0 ? "" : `, for: ${purposes.join("; ")}`}.`,
  notes: {
    all: "This list has every disclosure, also those that the law does not ask for. The details of each line say which it is.",
    requiredOnly:
      "This list has the disclosures that the law asks for (45 CFR 164.528). It leaves out, for example, disclosures for treatment, payment and health care operations.",
    first:
      "This is the first page. The accounting is complete only with all of its pages; the app that shows this page gets the next page.",
    further: "This is a further page. The accounting is complete only with all of its pages.",
    summed:
      "Disclosures to one recipient for one purpose are one line: the first, how many, and the last (45 CFR 164.528(b)(3)). Such lines have no proofs.",
    links:
      "Some links between this person's records could not be confirmed. Disclosures of another record of the same person may be missing here.",
    suspensions:
      "Some lines are suspended. Give the individual the version for the individual (for=individual), not this page.",
    consents:
      "A consent beside a line is this organization's word; the proof of the line does not cover it. An auditor can check it. A line without a consent needed none, or none was noted.",
  },
  proofs: {
    title: "What the proofs show, and what they do not",
    sentences: [
      "Each line has a proof. It shows that this disclosure was on record, in these words, when the ledger was signed, and that no one changed it since.",
      "No proof shows that no line is missing. Only an auditor who opens every record can see that.",
      "The name and address of a recipient are not part of the proof; the recipient's id is.",
    ],
  },
  check: {
    /** The check by the page's own script. */
    inBrowser: {
      title: "Check this page here",
      sentences: (key: string): readonly string[] => [
        "The button checks each proof in this browser. Nothing is sent.",
        `The check uses this public key of the ledger. Compare it with the key that the organization publishes: ${key}`,
      ],
      button: "Check every line",
      proven: "Proven",
      wrong: "Not what the ledger says",
      unproven: "No proof yet",
      allProven: (count: number) =>
        count === 1
          ? "The line is proven: it was on record, in these words, when the ledger was signed."
          : `All ${count} lines are proven: each was on record, in these words, when the ledger was signed.`,
      someWrong: (count: number) =>
        `${count === 1 ? "1 line does" : `${count} lines do`} not show what the ledger says. Keep this page and ask the organization, or a regulator.`,
      someUnproven: (count: number) =>
        `${count === 1 ? "1 line has" : `${count} lines have`} no proof yet. Ask for this page again in a moment.`,
    },
    title: "Check it without this organization",
    sentences: [
      "Save this page. Then run “phylax accounting check FILE --keys KEYS” on your own computer, with the ledger's public keys. The check needs no network and does not trust this organization.",
    ],
  },
  research: "Research",
};
