import { setAll, type HeaderFields } from "#entrypoint/base-headers";

/** The headers that the script of an app needs to read: receipts, limits, nonces, challenges. */
const exposed = [
  "X-Request-Id",
  "Phylax-Receipt",
  "Phylax-Part2-Notice",
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
 * Lets the script of a page read an answer (Fetch Standard §3.2). Credentials are never allowed: the script
 * itself sets the header with the token, so a credential that a browser adds by itself must not count.
 * `page`: `undefined` for a page that may not read; the rest of its answer is the same.
 */
export function letPageRead(headers: Headers, page: string | undefined): void {
  headers.append("vary", "Origin");
  if (page !== undefined) setAll(headers, readableBy(page));
}

/** The fields of {@link letPageRead} for an answer without a `Vary` of its own. */
export const pageFields = (page: string | undefined): HeaderFields =>
  page === undefined ? { vary: "Origin" } : { vary: "Origin", ...readableBy(page) };

const readableBy = (page: string): HeaderFields => ({
  "access-control-allow-origin": page,
  "access-control-expose-headers": exposed,
});
