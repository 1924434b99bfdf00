import { joinBytes } from "#fhir/bytes";
import { resourceBytesMax } from "#fhir/json";
import type { OriginAnswer, OriginBody, OriginFault, OriginQuestion, Origins } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";

/** What the origin's answer becomes when it is not one to disclose. */
export type OriginRefusal =
  | { readonly reason: "origin_unknown" | "absent" | "origin_answer_too_large" | "origin_unreachable" | "origin_timed_out" }
  | { readonly reason: "origin_refused" | "origin_rejected_search"; readonly status: number }
  | { readonly reason: "origin_circuit_open"; readonly retryAfterSeconds: number };

/** An answer of the origin's that may be read on. */
export type Answered = Extract<OriginAnswer, { kind: "answered" }>;

/** Asks an origin. Only an answer goes on; the origin's own words for anything else stay inside. */
export async function forward(
  origins: Pick<Origins, "ask">,
  origin: string,
  question: OriginQuestion,
  clientCert: string | undefined,
): Promise<Result<Answered, OriginRefusal>> {
  const answer = await origins.ask(origin, question, clientCert);
  switch (answer?.kind) {
    case undefined:
      return err({ reason: "origin_unknown" });
    case "answered":
      return ok(answer);
    case "absent":
      return err({ reason: "absent" });
    case "refused":
      return err({ reason: "origin_refused", status: answer.status });
    case "unreachable":
    case "timed_out":
      return err(broken(answer));
    case "circuit_open":
      return err({ reason: "origin_circuit_open", retryAfterSeconds: answer.retryAfterSeconds });
  }
}

/** A connection that failed, before the answer or in the middle of it. */
export const broken = ({ kind }: OriginFault): OriginRefusal => ({ reason: `origin_${kind}` });

/** One resource's body, whole. Content-Length may lie or be missing, so the bytes themselves are counted. */
export async function readWhole(body: OriginBody): Promise<Result<Uint8Array, OriginRefusal>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    if (!chunk.ok) return err(broken(chunk.error));
    length += chunk.value.length;
    if (length > resourceBytesMax) return err({ reason: "origin_answer_too_large" }); // leaving the loop hangs up
    chunks.push(chunk.value);
  }
  return ok(joinBytes(chunks));
}
