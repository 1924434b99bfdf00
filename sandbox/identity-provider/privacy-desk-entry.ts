/** The console's look-up of patients: a client of its own, with its own grant. */
export const privacyDeskClient = "privacy-desk";

/** The purpose of the look-up (HL7 v3 ActReason), and the scopes of its tokens. */
export const privacyDesk = { purpose: ["HOPERAT"], scopes: ["system/Patient.rs", "system/AuditEvent.rs"] };

const policy = {
  format: "phylax.policy.v1",
  name: "privacy-desk",
  title: "The privacy office at the console: finds a patient, and asks for the accounting of disclosures",
  purposes: ["HOPERAT"],
  operations: ["disclosures"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read", "search"],
      show: ["name", "birthDate", "identifier"],
      why: "45 CFR 164.528: an entity accounts for its disclosures to an individual who asks, and must find that individual among its patients; 164.502(b): no more than that.",
      examples: [
        { says: "A patient is found by name.", request: "Patient?name=Okafor", is: "permitted" },
        { says: "Nothing of a record is read.", request: "Condition?patient=1", is: "refused" },
      ],
    },
  ],
};

/** The registry's entries for the look-up from the page at `page` (its origin). */
export function privacyDeskEntry(origin: string, iss: string, page: string) {
  const agreement = `${privacyDeskClient}-agreement`;
  return {
    policies: [{ name: policy.name, body: policy }],
    clients: [
      {
        id: privacyDeskClient,
        kind: "operations",
        status: "active",
        auth: "external",
        issuer: iss,
        externalClientId: privacyDeskClient,
        dpop: true, // a page proves a key
        corsOrigins: [page],
        entity: { name: "Springfield General Hospital, privacy office" },
      },
    ],
    agreements: [
      {
        id: agreement,
        client: privacyDeskClient,
        purposes: privacyDesk.purpose,
        from: "2026-01-01T00:00:00Z",
        to: "2036-01-01T00:00:00Z",
        documentHash: "0".repeat(64), // no document was signed in a sandbox
      },
    ],
    grants: [
      {
        client: privacyDeskClient,
        origin,
        purpose: privacyDesk.purpose[0],
        agreement,
        policy: policy.name,
        scopes: privacyDesk.scopes.join(" "),
        quotas: { default: { requests: 600, windowSeconds: 60 } },
      },
    ],
  };
}
