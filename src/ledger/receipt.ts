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

// RFC 8941 §3: further members of the dictionary, of a later version of the format.
const key = String.raw`[a-z*][a-z0-9_.*-]*`;
const bareItem = String.raw`(?:-?\d{1,12}\.\d{1,3}|-?\d{1,15}|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^_\`|~:/A-Za-z0-9-]*|:[A-Za-z0-9+/=]*:|\?[01])`;
const parameters = `(?:; *${key}(?:=${bareItem})?)*`;
const item = `${bareItem}${parameters}`;
const value = String.raw`(?:${item}|\( *(?:${item}(?: +${item})* *)?\)${parameters})`;
const further = `(?:[ \t]*,[ \t]*(?!(?:log|index|leaf|frame)(?![a-z0-9_.*-]))${key}(?:=${value}|${parameters}))*`;
const receipt = new RegExp(
  String.raw`^log="([^"]+)"[ \t]*,[ \t]*index=(0|[1-9]\d{0,14})[ \t]*,[ \t]*leaf=:([^:]+):[ \t]*,[ \t]*frame=:([^:]+):${further}$`,
);

/** Reads a receipt as this ledger writes it: the four members in this order, further ones after them passed over, none of the four twice. */
export function parseReceipt(text: string): Result<Receipt, "bad_receipt"> {
  const match = receipt.exec(text.trim());
  const [, log = "", index = "", leaf = "", frame = ""] = match ?? [];
  const [leafHash, frameHash] = [fromBase64(leaf), fromBase64(frame)];
  const whole = match !== null && parseLogName(log) !== undefined && leafHash?.length === HASH_BYTES && frameHash?.length === HASH_BYTES;
  return whole ? ok({ log, index: Number(index), leafHash, frameHash }) : err("bad_receipt");
}
