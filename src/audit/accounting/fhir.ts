import { operationOutcome } from "#fhir/outcome";
import { consentText, countsText, standingText, type Accounting, type AccountingEntry } from "./compose.ts";

const dicom = "http://dicom.nema.org/resources/ontology/DCM";
/** The SHA-256 of a Consent's compiled form (docs/consent.md). */
const consentSystem = "urn:phylax:consent-digest";
const coding = (system: string, code: string, display: string) => ({ system, code, display });

/**
 * The accounting as a searchset of AuditEvents, in the pattern of IHE BALP's privacy disclosures, and an
 * OperationOutcome with the sentences.
 */
export function accountingBundle(
  { lines, words, isFirst, next }: Accounting,
  { self, site, requestId }: { readonly self: string; readonly site: string; readonly requestId: string },
) {
  const outcome = operationOutcome({
    severity: "information",
    code: "informational",
    text: words.join(" "),
    requestId,
  });
  return {
    resourceType: "Bundle",
    type: "searchset",
    // the total over several pages is not known
    ...(isFirst && next === undefined && { total: lines.length }),
    link: [{ relation: "self", url: self }, ...(next === undefined ? [] : [{ relation: "next", url: next }])],
    entry: [
      ...lines.map((line) => ({
        fullUrl: `urn:phylax:accounting-line:${line.place.replaceAll("/", ":")}`,
        resource: auditEvent(line, site),
        search: { mode: "match" },
      })),
      { resource: outcome, search: { mode: "outcome" } },
    ],
  };
}

function auditEvent(
  { place, patient, recipient, says, standing, consents, heldUntil, proof, sum }: AccountingEntry,
  site: string,
) {
  const facts = [
    ["disclosed", countsText(says)],
    ["required-by-law", standingText(standing)],
    ...(says.agreement === undefined ? [] : [["agreement", says.agreement]]),
    ...(recipient.address === undefined ? [] : [["recipient-address", recipient.address]]),
    ...(heldUntil === undefined ? [] : [["suspended-until", heldUntil]]),
    ["ledger-line", place],
    ...(sum === undefined
      ? []
      : [
          ["number", String(sum.number)],
          ["last", sum.last],
          ["disclosed-in-all", sum.disclosed],
          ["last-ledger-line", sum.lastPlace],
        ]),
  ];
  const detail = [
    ...facts.map(([type, valueString]) => ({ type, valueString })),
    ...(proof === undefined
      ? []
      : [{ type: "proof", valueBase64Binary: Buffer.from(proof).toString("base64") }]),
  ];
  return {
    resourceType: "AuditEvent",
    id: place.replaceAll("/", "-"),
    type: coding(dicom, "110106", "Export"),
    subtype: [
      coding(
        "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
        "disclose",
        "Disclose Record Lifecycle Event",
      ),
    ],
    action: "R",
    ...(sum !== undefined && { period: { start: new Date(says.at).toISOString(), end: sum.last } }),
    recorded: new Date(says.at).toISOString(),
    outcome: "0",
    purposeOfEvent: says.purposes.map((code) => ({
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActReason", code }],
    })),
    agent: [
      {
        type: { coding: [coding(dicom, "110153", "Source Role ID")] },
        who: { display: "Phylax" },
        requestor: false,
      },
      {
        type: { coding: [coding(dicom, "110152", "Destination Role ID")] },
        who: { identifier: { value: recipient.id }, display: recipient.name },
        requestor: true,
      },
    ],
    source: { site, observer: { display: "Phylax" } },
    entity: [
      {
        what: { reference: patient },
        type: coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "1", "Person"),
        role: coding("http://terminology.hl7.org/CodeSystem/object-role", "1", "Patient"),
      },
      {
        type: coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "2", "System Object"),
        role: coding("http://terminology.hl7.org/CodeSystem/object-role", "3", "Report"),
        detail,
      },
      // as IHE BALP names the Consent of an authorization; its id is a pseudonym
      ...consents.map((each) => ({
        what: { type: "Consent", identifier: { system: consentSystem, value: each.digest } },
        type: coding("http://hl7.org/fhir/resource-types", "Consent", "Consent"),
        detail: [
          { type: "consent", valueString: consentText(each) },
          { type: "pseudonym", valueString: each.consent },
        ],
      })),
    ],
  };
}
