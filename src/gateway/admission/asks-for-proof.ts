/** Whether `Prefer` (RFC 7240 §2) has `audit-proof` in it: the receipt is to come with its proof, and the answer may take that long. */
export const asksForProof = (headers: Headers): boolean =>
  (headers.get("prefer") ?? "")
    .split(",")
    .some((preference) => /^\s*audit-proof\s*(?:;|$)/iu.test(preference));
