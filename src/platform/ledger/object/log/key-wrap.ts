import { base64url, GeneralEncrypt, importJWK } from "jose";
import { type AuditorSecrets, encodeAuditorSecrets } from "#ledger/leaf/auditor-secrets";
import { wrappedKeyAad } from "#ledger/leaf/wrapped-key";
import type { AuditorKey } from "#platform/ledger/config";

/**
 * RFC 7516 §7.2.1 General JSON: one content key for all auditors, ECDH-ES+A256KW (RFC 7518 §4.6) to each,
 * A256GCM. The AAD binds it to log and epoch, so that a wrapped key that is moved to another leaf does not
 * open.
 */
export async function wrapForAuditors(
  auditors: readonly AuditorKey[],
  secrets: AuditorSecrets,
  origin: string,
  epoch: number,
): Promise<string> {
  const payload = encodeAuditorSecrets(secrets);
  const aad = base64url.decode(wrappedKeyAad(origin, epoch));
  const jwe = new GeneralEncrypt(payload)
    .setProtectedHeader({ enc: "A256GCM" })
    .setAdditionalAuthenticatedData(aad);
  for (const { kid, jwk } of auditors) {
    jwe.addRecipient(await importJWK({ ...jwk }, algorithm)).setUnprotectedHeader({ alg: algorithm, kid });
  }
  return JSON.stringify(await jwe.encrypt());
}

const algorithm = "ECDH-ES+A256KW";
