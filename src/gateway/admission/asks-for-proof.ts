/**
 * True when `Prefer` (RFC 7240 §2) asks for `audit-proof`: then the receipt has its proof, and the answer
 * may take longer.
 */
export const asksForProof = (headers: Headers): boolean =>
  (headers.get("prefer") ?? "")
    .split(",")
    .some((preference) => /^\s*audit-proof\s*(?:;|$)/iu.test(preference));
