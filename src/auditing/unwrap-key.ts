import { generalDecrypt, importJWK, type GeneralJWE, type JWK } from "jose";
import { type AuditorSecrets, readAuditorSecrets } from "#ledger/leaf/auditor-secrets";
import { wrappedKeyAad } from "#ledger/leaf/wrapped-key";

const algorithm = "ECDH-ES+A256KW";

/**
 * Opens a wrapped key with an auditor's private key. Undefined when it was not wrapped to this key, for this
 * log and epoch.
 */
export async function unwrapForAuditor(
  wrapped: string,
  privateKey: JWK,
  origin: string,
  epoch: number,
): Promise<AuditorSecrets | undefined> {
  const key = await importJWK(privateKey, algorithm);
  const jwe = JSON.parse(wrapped) as GeneralJWE; // generalDecrypt checks the shape itself
  if (jwe.aad !== wrappedKeyAad(origin, epoch)) return undefined;
  const opened = await generalDecrypt(jwe, key, {
    keyManagementAlgorithms: [algorithm],
    contentEncryptionAlgorithms: ["A256GCM"],
  }).catch(() => undefined); // for an auditor who is not a recipient this is the answer, not a fault
  return opened && readAuditorSecrets(opened.plaintext);
}
