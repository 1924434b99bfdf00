import { Secret } from "#kernel/secret";
import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import type { DataKey } from "./seal.ts";

/**
 * The secrets that an auditor gets from a key-epoch leaf: the key of the epoch's leaves, and the key of the
 * patient names in lines.
 */
export interface AuditorSecrets {
  readonly dataKey: DataKey;
  readonly subjectKey: Secret<Uint8Array>;
}

const keys = { dataKey: 1, subjectKey: 2 } as const;

export const encodeAuditorSecrets = ({ dataKey, subjectKey }: AuditorSecrets): Uint8Array =>
  toCbor(
    new Map<number, unknown>([
      [keys.dataKey, dataKey.reveal()],
      [keys.subjectKey, subjectKey.reveal()],
    ]),
  );

/** Undefined for bytes that are not the two secrets. */
export function readAuditorSecrets(bytes: Uint8Array): AuditorSecrets | undefined {
  const map = fromCborMap(bytes);
  const [dataKey, subjectKey] = [map?.get(keys.dataKey), map?.get(keys.subjectKey)];
  if (!(dataKey instanceof Uint8Array) || !(subjectKey instanceof Uint8Array)) return undefined;
  return { dataKey: new Secret(dataKey), subjectKey: new Secret(subjectKey) };
}
