/** Headers of every answer: no cache may store it, no browser may guess its type or go back to plain HTTP. */
const baseHeaders = (requestId: string): Record<string, string> => ({
  "x-request-id": requestId,
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "strict-transport-security": "max-age=63072000",
});

export function json(
  requestId: string,
  status: number,
  body: unknown,
  extra: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...baseHeaders(requestId), "content-type": "application/json", ...extra },
  });
}

/** RFC 9457 problem details. */
export function problem(
  requestId: string,
  face: {
    readonly status: number;
    readonly title: string;
    readonly pointer?: string;
    readonly detail?: string;
  },
  extra: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: "about:blank", ...face, instance: `urn:phylax:request:${requestId}` };
  return json(requestId, face.status, body, { ...extra, "content-type": "application/problem+json" });
}
