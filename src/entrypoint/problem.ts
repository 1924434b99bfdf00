import { setAll } from "./base-headers.ts";
import { setRetryAfter, unavailableAdvice } from "./retry-after.ts";

/** The members of problem details that a door states (RFC 9457 §3.1). */
export interface Problem {
  readonly status: number;
  readonly title: string;
  /** RFC 6901, into the document that a verb rejects. */
  readonly pointer?: string;
  readonly detail?: string;
  /** The reason code of docs/refusals.md, only for a caller who is proven and may know it. */
  readonly reason?: string;
}

/**
 * Problem details (RFC 9457) with the request's id as their instance: the ledger knows more under it.
 *
 * @param headers the door's own headers; `extra` goes on top.
 */
export function problemAnswer(
  requestId: string,
  problem: Problem,
  headers: Headers,
  extra: Readonly<Record<string, string>> = {},
): Response {
  setAll(headers, { ...extra, "content-type": "application/problem+json" });
  setRetryAfter(problem.status, headers);
  const advice = problem.status === 503 && { detail: unavailableAdvice };
  const body = { type: "about:blank", ...advice, ...problem, instance: `urn:phylax:request:${requestId}` };
  return new Response(JSON.stringify(body), { status: problem.status, headers });
}
