import { err, ok, type Result } from "#kernel/result";
import { fromBase64 } from "#ledger/bytes/base64";
import { HASH_BYTES } from "#ledger/tlog/merkle";
import { parseLogName } from "./log-name.ts";
import type { Receipt } from "./receipt.ts";

// RFC 8941 §3: further members of the dictionary, which later versions of the format may add.
const key = String.raw`[a-z*][a-z0-9_.*-]*`;
const bareItem = String.raw`(?:-?\d{1,12}\.\d{1,3}|-?\d{1,15}|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^_\`|~:/A-Za-z0-9-]*|:[A-Za-z0-9+/=]*:|\?[01])`;
const parameters = `(?:; *${key}(?:=${bareItem})?)*`;
const item = `${bareItem}${parameters}`;
const value = String.raw`(?:${item}|\( *(?:${item}(?: +${item})* *)?\)${parameters})`;
const further = `(?:[ \t]*,[ \t]*(?!(?:log|index|leaf|frame)(?![a-z0-9_.*-]))${key}(?:=${value}|${parameters}))*`;
const receipt = new RegExp(
  String.raw`^log="([^"]+)"[ \t]*,[ \t]*index=(0|[1-9]\d{0,14})[ \t]*,[ \t]*leaf=:([^:]+):[ \t]*,[ \t]*frame=:([^:]+):(?:[ \t]*,[ \t]*proof=:([A-Za-z0-9+/=]+):(?![ \t]*;))?${further}$`,
);

/**
 * Reads a receipt as this ledger writes it: the four members in this order, then an optional proof. Further
 * members are ignored, but none of the four may come twice.
 */
export function parseReceipt(text: string): Result<Receipt, "bad_receipt"> {
  const match = receipt.exec(text.trim());
  const [, log = "", index = "", leaf = "", frame = "", proofText] = match ?? [];
  const [leafHash, frameHash] = [fromBase64(leaf), fromBase64(frame)];
  const whole =
    match !== null &&
    parseLogName(log) !== undefined &&
    leafHash?.length === HASH_BYTES &&
    frameHash?.length === HASH_BYTES;
  const proof = proofText === undefined ? undefined : fromBase64(proofText);
  if (!whole || (proofText !== undefined && proof === undefined)) return err("bad_receipt");
  return ok({ log, index: Number(index), leafHash, frameHash, ...(proof === undefined ? {} : { proof }) });
}
