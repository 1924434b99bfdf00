import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64 } from "./base64.ts";
import { parseLogName } from "./log-name.ts";
import { HASH_BYTES } from "./merkle.ts";

/** Where a request's first record is: what `Phylax-Receipt` says. */
export interface Receipt {
  readonly log: string;
  readonly index: number;
  readonly leafHash: Uint8Array; // RFC 6962 leaf hash
  readonly frameHash: Uint8Array; // SHA-256 of the frame that the leaf was committed in
}

/** The header value: an RFC 8941 dictionary, always in this order. */
export const formatReceipt = (receipt: Receipt): string =>
  `log="${receipt.log}", index=${receipt.index}, leaf=:${toBase64(receipt.leafHash)}:, frame=:${toBase64(receipt.frameHash)}:`;

/** Reads a receipt as this ledger writes it; only the spaces after commas may differ. */
export function parseReceipt(text: string): Result<Receipt, "bad_receipt"> {
  const match = /^log="([^"]+)",[ \t]*index=(0|[1-9]\d{0,14}),[ \t]*leaf=:([^:]+):,[ \t]*frame=:([^:]+):$/.exec(text.trim());
  const [, log = "", index = "", leaf = "", frame = ""] = match ?? [];
  const [leafHash, frameHash] = [fromBase64(leaf), fromBase64(frame)];
  const whole = match !== null && parseLogName(log) !== undefined && leafHash?.length === HASH_BYTES && frameHash?.length === HASH_BYTES;
  return whole ? ok({ log, index: Number(index), leafHash, frameHash }) : err("bad_receipt");
}
