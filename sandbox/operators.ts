import { readFileSync } from "node:fs";
import { issueClientCertificate, x5tS256, type CertificateFiles } from "./certificates.ts";

/** An operator of the demonstration, as `control` is told of it. */
export interface DemoOperator extends CertificateFiles {
  readonly id: string;
  readonly roles: readonly string[];
  readonly x5t: string;
}

const demoOperators = [{ id: "registrar", roles: ["registry-admin", "revoker"], subject: "O=Phylax sandbox, CN=registrar" }] as const;

/** Makes (or finds) each operator's certificate. */
export async function operators(pki: string): Promise<readonly DemoOperator[]> {
  const made: DemoOperator[] = [];
  for (const { id, roles, subject } of demoOperators) {
    const files = await issueClientCertificate(pki, `operator-${id}`, subject);
    made.push({ id, roles, ...files, x5t: x5tS256(readFileSync(files.cert, "utf8")) });
  }
  return made;
}
