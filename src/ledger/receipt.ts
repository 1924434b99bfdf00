import { toBase64 } from "#ledger/bytes/base64";

/** The place of a request's first record, as `Phylax-Receipt` states it. */
export interface Receipt {
  readonly log: string;
  readonly index: number;
  readonly leafHash: Uint8Array; // RFC 6962 leaf hash
  readonly frameHash: Uint8Array; // SHA-256 of the frame that the leaf was committed in
  /**
   * C2SP tlog-proof of the leaf: the proof and the log's public key let anyone check the receipt offline.
   */
  readonly proof?: Uint8Array | undefined;
}

/** The header value: an RFC 8941 dictionary, always in this order. */
export function formatReceipt({ log, index, leafHash, frameHash, proof }: Receipt): string {
  const receipt = `log="${log}", index=${index}, leaf=:${toBase64(leafHash)}:, frame=:${toBase64(frameHash)}:`;
  return proof === undefined ? receipt : `${receipt}, proof=:${toBase64(proof)}:`;
}
