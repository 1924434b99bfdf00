import { base64url, GeneralEncrypt, generalDecrypt, importJWK, type GeneralJWE, type JWK } from "jose";
import { Secret } from "#kernel/secret";
import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import type { DataKey } from "#ledger/leaf/seal";
import { wrappedKeyAad } from "#ledger/leaf/wrapped-key";
import type { AuditorKey } from "#platform/ledger/config";

/**
 * The secrets that an auditor gets from a key-epoch leaf: the key of the epoch's leaves, and the key of the
 * patient names in lines.
 */
export interface AuditorSecrets {
  readonly dataKey: DataKey;
  readonly subjectKey: Secret<Uint8Array>;
}

const keys = { dataKey: 1, subjectKey: 2 } as const;

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
  const payload = toCbor(
    new Map<number, unknown>([
      [keys.dataKey, secrets.dataKey.reveal()],
      [keys.subjectKey, secrets.subjectKey.reveal()],
    ]),
  );
  const aad = base64url.decode(wrappedKeyAad(origin, epoch));
  const jwe = new GeneralEncrypt(payload)
    .setProtectedHeader({ enc: "A256GCM" })
    .setAdditionalAuthenticatedData(aad);
  for (const { kid, jwk } of auditors) {
    jwe.addRecipient(await importJWK({ ...jwk }, algorithm)).setUnprotectedHeader({ alg: algorithm, kid });
  }
  return JSON.stringify(await jwe.encrypt());
}

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
  const map = opened && fromCborMap(opened.plaintext);
  const [dataKey, subjectKey] = [map?.get(keys.dataKey), map?.get(keys.subjectKey)];
  if (!(dataKey instanceof Uint8Array) || !(subjectKey instanceof Uint8Array)) return undefined;
  return { dataKey: new Secret(dataKey), subjectKey: new Secret(subjectKey) };
}

const algorithm = "ECDH-ES+A256KW";
