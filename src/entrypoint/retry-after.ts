// A lost part starts again in about this time, and the waits of a slow part are over.
const unavailableSeconds = "2";

/** Each 503 of our own says when to ask again (RFC 9110 §10.2.3). A time that stands there already stays. */
export function setRetryAfter(status: number, headers: Headers): void {
  if (status === 503 && !headers.has("retry-after")) headers.set("retry-after", unavailableSeconds);
}

export const unavailableAdvice = "Wait as long as Retry-After says, then ask again.";
