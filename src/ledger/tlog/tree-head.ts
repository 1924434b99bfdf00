import { fromBase64 } from "#ledger/bytes/base64";
import { decimal } from "./checkpoint.ts";
import { HASH_BYTES } from "./merkle.ts";

/** The first three lines of any C2SP tlog-checkpoint. A witness uses nothing more. */
export interface TreeHead {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Reads the text of a checkpoint of any log. Extension lines must not be empty; their content is ignored.
 */
export function readTreeHead(text: string): TreeHead | undefined {
  if (!text.endsWith("\n")) return undefined;
  const [origin, sizeText, rootText = "", ...extensions] = text.slice(0, -1).split("\n");
  const [size, root] = [decimal(sizeText), fromBase64(rootText)];
  if (!origin || size === undefined || root?.length !== HASH_BYTES || extensions.includes(""))
    return undefined;
  return { origin, size, root };
}
