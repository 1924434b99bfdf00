/** What an app needs to read of an answer beside its body: receipts, limits, nonces, challenges. */
const exposed = [
  "X-Request-Id",
  "Phylax-Receipt",
  "Preference-Applied",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "DPoP-Nonce",
  "WWW-Authenticate",
  "Accept-Signature",
  "Content-Digest",
  "Signature",
  "Signature-Input",
  "ETag",
  "Last-Modified",
  "Location",
  "Allow",
  "Deprecation",
  "Sunset",
  "Link",
].join(", ");

/**
 * Lets the script of a page read an answer (Fetch Standard §3.2). Never with credentials: a token comes in a header that the script itself
 * sets, so nothing that a browser adds by itself may count. `page`: undefined for one that may not, which is told the same but for this.
 */
export function letPageRead(headers: Headers, page: string | undefined): void {
  headers.append("vary", "Origin");
  if (page === undefined) return;
  headers.set("access-control-allow-origin", page);
  headers.set("access-control-expose-headers", exposed);
}
