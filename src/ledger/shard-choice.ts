import { addressPrefix } from "#kernel/address-prefix";
import type { Instant } from "#kernel/clock";
import { memo } from "#kernel/memo";
import { utf8 } from "#ledger/bytes/bytes";
import { sha256 } from "#ledger/bytes/hash";
import { halfYearOf, logName } from "./log-name.ts";

/**
 * The sender of a record, which decides its log.
 * - key: a DPoP sender always uses the same log, which makes the check of its `jti`s exact (RFC 9449 §11.1);
 * - client: an mTLS sender is spread over its client's own `spread` shards, request by request;
 * - address: an anonymous refusal stays with its address prefix, so that a flood meets one log and its cap.
 */
export type Sender =
  | { readonly kind: "key"; readonly jkt: string }
  | { readonly kind: "client"; readonly client: string; readonly requestId: string; readonly spread: number }
  | { readonly kind: "address"; readonly address: string };

/**
 * The log for a sender at an instant. It depends only on the arguments, so it is the same everywhere.
 * `shards` ≥ 1.
 */
export function chooseLog(sender: Sender, shards: number, at: Instant): string {
  return logName({ shard: chooseShard(sender, shards), halfYear: halfYearOf(at) });
}

function chooseShard(sender: Sender, shards: number): number {
  switch (sender.kind) {
    case "key":
      return spread("key", sender.jkt) % shards;
    case "client": {
      const clientShards = Math.max(1, Math.min(sender.spread, shards));
      return (spreadOfClient(sender.client) + (spread("request", sender.requestId) % clientShards)) % shards;
    }
    case "address":
      return spread("address", addressPrefix(sender.address)) % shards;
  }
}

// 1,024: a client's first log never changes, and an isolate serves few clients at a time.
const spreadOfClient = memo(1_024, (client) => spread("client", client));

/** The first four bytes of SHA-256(label ‖ 0x00 ‖ value) as a number. */
function spread(label: string, value: string): number {
  const hash = sha256(utf8(label), Uint8Array.of(0), utf8(value));
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0);
}
