import type { CertificateFiles } from "../../sandbox/certificates.ts";
import type { DevFile } from "../../cli/dev-file.ts";
import { doorKeys } from "./in-process/door-keys.ts";
import {
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  thumbprint,
} from "./outside.ts";

/** How far a token reaches: its patient's rows, the rows of whom its user treats, everybody's. */
export type AskerKind = "patient" | "user" | "system";
export const askerKinds = ["patient", "user", "system"] as const;

const scopes: Readonly<Record<AskerKind, string>> = {
  patient: "patient/*.cruds",
  user: "user/*.cruds",
  system: "system/*.cruds",
};
const claims: Readonly<Record<AskerKind, object>> = {
  patient: { patient: "ann" },
  user: { fhirUser: "Practitioner/vera" },
  system: {},
};

/** Clients of an issuer of their own under one policy, and their tokens at the time of the process's clock. */
export interface Askers {
  readonly registry: object;
  /** @param more claims beside those of the kind. */
  by(
    kind: AskerKind,
    more?: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly certificate: string; readonly token: string }>;
}

/** @param quotas beside the default one. */
export async function askersUnder(policy: { readonly name: string }, quotas: object = {}): Promise<Askers> {
  const { clientCa } = await doorKeys();
  const issuer = await outsider("https://askers.example", "phylax");
  const certificates = new Map<AskerKind, CertificateFiles>();
  const entries = [];
  for (const kind of askerKinds) {
    const id = `${kind}-asker`;
    const certificate = await certificateFor({ dev: { clientCa } as DevFile }, id); // nothing else of it is read
    certificates.set(kind, certificate);
    const client = {
      id,
      kind: "patient",
      auth: "external",
      issuer: issuer.iss,
      externalClientId: id,
      certificates: [thumbprint(certificate)],
    };
    const { grants, ...own } = clientEntries(client, "PATRQT", policy.name, scopes[kind]);
    entries.push(own, {
      grants: grants.map((grant) => Object.assign(grant, { quotas: { ...grant.quotas, ...quotas } })),
    });
  }
  const registry = joined(
    { issuers: [issuerEntry(issuer)], policies: [{ name: policy.name, body: policy }] },
    ...entries,
  );
  return {
    registry,
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
