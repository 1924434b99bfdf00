import { readFileSync } from "node:fs";
import type { CertificateFiles } from "../../certificates.ts";
import { consentPageClient } from "./consent-filer.ts";

const policy = {
  format: "phylax.policy.v1",
  name: "own-consents",
  title: "The individual's own consents, written by a sign-in page",
  purposes: ["PATRQT"],
  rules: [
    {
      types: ["Consent"],
      interactions: ["read", "create", "update"],
      show: "everything",
      why: "45 CFR 164.508(b) and 164.522(a): the individual authorizes disclosures and asks for restrictions. The page writes what the individual chose; it reads and changes nothing else.",
      examples: [
        {
          says: "A choice is filed.",
          request: "Consent/1",
          is: "permitted",
        },
        {
          says: "The page reads no record.",
          request: "Observation?patient=1",
          is: "refused",
        },
      ],
    },
  ],
};

/** The registry's entries of the sign-in's consent page: it may write Consents of the person, and nothing else. */
export function consentPageEntry(origin: string, iss: string, certificate: CertificateFiles) {
  const agreement = `${consentPageClient}-agreement`;
  return {
    policies: [{ name: policy.name, body: policy }],
    clients: [
      {
        id: consentPageClient,
        kind: "patient",
        status: "active",
        auth: "external",
        issuer: iss,
        externalClientId: consentPageClient,
        certificates: [readFileSync(certificate.cert, "utf8")],
        entity: { name: "Springfield General Hospital, sign-in page" },
      },
    ],
    agreements: [
      {
        id: agreement,
        client: consentPageClient,
        purposes: ["PATRQT"],
        from: "2026-01-01T00:00:00Z",
        to: "2036-01-01T00:00:00Z",
        documentHash: "0".repeat(64), // no document was signed in a sandbox
      },
    ],
    grants: [
      {
        client: consentPageClient,
        origin,
        purpose: "PATRQT",
        agreement,
        policy: policy.name,
        scopes: "patient/Consent.cu",
        quotas: { default: { requests: 600, windowSeconds: 60 } },
      },
    ],
  };
}
