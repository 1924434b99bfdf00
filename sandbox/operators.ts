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
/** Persons, who sign in with two factors as well. The second approves what the first proposes. */
const persons = [
  {
    id: "officer",
    roles: ["registry-admin", "revoker", "privacy-officer"],
    subject: "O=Phylax sandbox, CN=officer",
  },
  {
    id: "approver",
    roles: ["registry-reader", "approver", "auditor"],
    subject: "O=Phylax sandbox, CN=approver",
  },
] as const;

const maxAgeSeconds = 900;

/** Makes (or finds) the certificate of each operator. `subjects` are the persons' subjects at the provider. */
export async function sandboxOperators(pki: string, iss: string, subjects: readonly [string, string]) {
  const { twoFactors } = assurance;
  const people = persons.map((person, i) =>
    equip(pki, person, {
      kind: "person",
      signIn: { iss, sub: subjects[i] ?? "", acr: [twoFactors.acr], amr: twoFactors.amr, maxAgeSeconds },
    } as const),
  );
  return {
    machine: await equip(pki, machine, { kind: "machine" } as const),
    people: await Promise.all(people),
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
