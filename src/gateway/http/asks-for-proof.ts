import type { RequestHeaders } from "#entrypoint/header-values";

/**
 * True when `Prefer` (RFC 7240 §2) asks for `audit-proof`: then the receipt has its proof, and the answer
 * may take longer.
 */
export function asksForProof(headers: Pick<RequestHeaders, "get">): boolean {
  const preferences = headers.get("prefer");
  return (
    preferences !== null &&
    preferences.split(",").some((preference) => /^\s*audit-proof\s*(?:;|$)/iu.test(preference))
  );
}
