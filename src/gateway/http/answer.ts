import { baseHeaders } from "#entrypoint/base-headers";
import { setRetryAfter } from "#entrypoint/retry-after";
import type { GatewayFace } from "#entrypoint/public-face";
import { bodyOutcome, operationOutcome } from "#fhir/outcome";
import type { Call } from "./admit.ts";

/**
 * The public side of a refusal as an OperationOutcome (FHIR R4 http §3.1.0.1.4), with the id under which the
 * ledger knows more.
 *
 * @param issues the errors of a body, place by place, if they are the refusal.
 */
export function outcomeAnswer(
  requestId: string,
  face: GatewayFace,
  mediaType: Call["mediaType"],
  extra: Headers = new Headers(),
  issues: Parameters<typeof bodyOutcome>[0] = [],
): Response {
  const headers = baseHeaders(requestId);
  for (const [name, value] of extra) headers.set(name, value);
  headers.set("content-type", `${mediaType}; charset=utf-8`);
  setRetryAfter(face.status, headers);
  const { code, text, exception } = face;
  const whole = () => operationOutcome({ severity: "error", code, text, requestId, exception });
  const body = issues.length > 0 ? bodyOutcome(issues, requestId) : whole();
  return new Response(JSON.stringify(body), { status: face.status, headers });
}
