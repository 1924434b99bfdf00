import { toCbor } from "#ledger/bytes/cbor";
import { sha256 } from "#ledger/bytes/hash";
import type { Instant } from "#kernel/clock";
import { aboutNobody, type AuditEvent, type Configuration } from "./event.ts";

type Settings = Configuration["settings"];

/**
 * SHA-256 over CBOR [worker, [[name, value], …]], in hex: two configurations with the same digest are equal.
 */
export const configurationDigest = (worker: string, settings: Settings): string =>
  Buffer.from(sha256(toCbor([worker, settings]))).toString("hex");

/** A worker's configuration under its digest. */
export function configurationOf(worker: string, settings: Settings): Configuration {
  const ordered = settings.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { worker, digest: configurationDigest(worker, ordered), settings: ordered };
}

/** The configuration as an event. `id`: 16 random bytes in hex; `at`: the start of its validity. */
export const configurationEvent = (configuration: Configuration, id: string, at: Instant): AuditEvent => ({
  id,
  at,
  kind: "configuration",
  configuration,
  ...aboutNobody,
});
