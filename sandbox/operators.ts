import { readFileSync } from "node:fs";
import { issueClientCertificate, x5tS256, type CertificateFiles } from "./certificates.ts";
import { assurance } from "./identity-provider/assurance.ts";

/** An operator of the demonstration, with its registry entry. */
export interface DemoOperator extends CertificateFiles {
  readonly entry: {
    readonly id: string;
    readonly roles: readonly string[];
    readonly x5t: string;
  };
}

/** A machine: scripts and checks need its certificate alone. */
const machine = {
  id: "registrar",
  roles: ["registry-admin", "revoker", "privacy-officer"],
  subject: "O=Phylax sandbox, CN=registrar",
} as const;
/** A person, who signs in with two factors as well. */
const person = {
  id: "officer",
  roles: ["registry-admin", "revoker", "privacy-officer"],
  subject: "O=Phylax sandbox, CN=officer",
} as const;

const maxAgeSeconds = 900;

/** Makes (or finds) the certificate of each operator. `signsIn` names the person's provider and subject. */
export async function sandboxOperators(pki: string, signsIn: { readonly iss: string; readonly sub: string }) {
  const { twoFactors } = assurance;
  return {
    machine: await equip(pki, machine, { kind: "machine" } as const),
    person: await equip(pki, person, {
      kind: "person",
      signIn: { ...signsIn, acr: [twoFactors.acr], amr: twoFactors.amr, maxAgeSeconds },
    } as const),
  };
}

async function equip<T extends object>(
  pki: string,
  {
    id,
    roles,
    subject,
  }: { readonly id: string; readonly roles: readonly string[]; readonly subject: string },
  more: T,
): Promise<CertificateFiles & { readonly entry: DemoOperator["entry"] & T }> {
  const files = await issueClientCertificate(pki, `operator-${id}`, subject);
  return { ...files, entry: { id, roles, x5t: x5tS256(readFileSync(files.cert, "utf8")), ...more } };
}
