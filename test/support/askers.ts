import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { doorKeys } from "./in-process/door-keys.ts";
import { issuerEntry, joined, outsideClient, outsider, outsideToken } from "./outside.ts";

/** The rows that a token reaches: its patient's rows, the rows of its user's patients, or all rows. */
export type AskerKind = "patient" | "user" | "system";
export const askerKinds = ["patient", "user", "system"] as const;

const scopes: Readonly<Record<AskerKind, string>> = {
  patient: "patient/*.cruds",
  user: "user/*.cruds",
  system: "system/*.cruds",
};
const claims: Readonly<Record<AskerKind, object>> = {
  // A relative who signed in: labels do not withhold the individual's own rows from the individual.
  patient: { patient: "ann", fhirUser: "RelatedPerson/guardian" },
  user: { fhirUser: "Practitioner/vera" },
  system: {},
};

/**
 * Clients of one external issuer under one policy, and their tokens. A token is issued at the time of the
 * process's clock.
 */
export interface Askers {
  readonly registry: object;
  /** The registry entries that give the policy further members: each grant names the new policy. */
  under(more: object): object;
  /** @param more claims in addition to the claims of the kind. */
  by(
    kind: AskerKind,
    more?: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly certificate: string; readonly token: string }>;
}

/** @param quotas in addition to the default quota. */
export async function askersUnder(policy: { readonly name: string }, quotas: object = {}): Promise<Askers> {
  const { clientCa } = await doorKeys();
  const issuer = await outsider("https://askers.example", "phylax");
  const certificates = new Map<AskerKind, CertificateFiles>();
  const entries = [];
  for (const kind of askerKinds) {
    const id = `${kind}-asker`;
    const grant = { policy: policy.name, scopes: scopes[kind] };
    const client = await outsideClient({ dev: { clientCa } }, issuer, id, grant);
    certificates.set(kind, client.certificate);
    const { grants, ...own } = client.entries;
    entries.push(own, {
      grants: grants.map((grant) => Object.assign(grant, { quotas: { ...grant.quotas, ...quotas } })),
    });
  }
  const policies = (more: object = {}) => [{ name: policy.name, body: { ...policy, ...more } }];
  const registry = joined({ issuers: [issuerEntry(issuer)], policies: policies() }, ...entries);
  return {
    registry,
    under: (more) => ({ policies: policies(more), grants: registry["grants"] }),
    async by(kind, more = {}) {
      const certificate = certificates.get(kind);
      if (certificate === undefined) throw new Error("a client of these askers");
      const token = await outsideToken(issuer, certificate, {
        client_id: `${kind}-asker`,
        scope: scopes[kind],
        ...claims[kind],
        ...more,
      });
      return { certificate: certificate.cert, token };
    },
  };
}
