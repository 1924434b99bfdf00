import type { RequestHeaders } from "#entrypoint/header-values";
import type { ContentRange } from "#gateway/question";

/**
 * The single range that a request wants (RFC 9110 §14.2). Undefined: the whole content, also for several ranges, for a
 * range behind the end, and if `If-Range` names another content.
 */
export function rangeIn(
  headers: Pick<RequestHeaders, "get">,
  etag: string,
  bytes: number,
): ContentRange | undefined {
  const { from = "", to = "" } =
    /^bytes=(?<from>\d{0,15})-(?<to>\d{0,15})$/u.exec(headers.get("range") ?? "")?.groups ?? {};
  if ((headers.get("if-range") ?? etag) !== etag || (from === "" && to === "")) return undefined;
  const first = from === "" ? Math.max(0, bytes - Number(to)) : Number(from);
  const last = from === "" || to === "" ? bytes - 1 : Math.min(Number(to), bytes - 1);
  return first <= last ? { first, last } : undefined;
}
