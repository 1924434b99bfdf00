import { baseHeaders, setAll } from "#entrypoint/base-headers";
import { setRetryAfter } from "#entrypoint/retry-after";
import { problemAnswer, type Problem } from "#entrypoint/problem";

export function json(
  requestId: string,
  status: number,
  body: unknown,
  extra: Readonly<Record<string, string>> = {},
): Response {
  const headers = baseHeaders(requestId);
  setAll(headers, { "content-type": "application/json", ...extra });
  setRetryAfter(status, headers);
  return new Response(JSON.stringify(body), { status, headers });
}

export function plainText(
  requestId: string,
  mediaType: string,
  text: string | ReadableStream<Uint8Array>,
  extra: Readonly<Record<string, string>>,
): Response {
  const headers = baseHeaders(requestId);
  setAll(headers, { "content-type": mediaType, ...extra });
  return new Response(text, { headers });
}

/** 304: the caller has this state. */
export function notModified(requestId: string, extra: Readonly<Record<string, string>>): Response {
  const headers = baseHeaders(requestId);
  setAll(headers, extra);
  return new Response(null, { status: 304, headers });
}

export const problem = (
  requestId: string,
  face: Problem,
  extra: Readonly<Record<string, string>> = {},
): Response => problemAnswer(requestId, face, baseHeaders(requestId), extra);
