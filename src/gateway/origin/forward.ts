import { joinBytes } from "#fhir/json/bytes";
import { resourceBytesMax } from "#fhir/json/json";
import type { OriginAnswer, OriginBody, OriginFault, OriginQuestion, Origins } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";

/** What the origin's answer becomes when it is not one to disclose. */
export type OriginRefusal =
  | {
      readonly reason:
        | "origin_unknown"
        | "absent"
        | "origin_answer_too_large"
        | "origin_unreachable"
        | "origin_timed_out";
    }
  | { readonly reason: "origin_refused" | "origin_rejected_search"; readonly status: number }
  /** The gateway asks it nothing just now; or it says itself that it takes no more, or is not there. */
  | {
      readonly reason: "origin_circuit_open" | "origin_throttled" | "origin_unavailable";
      readonly retryAfterSeconds: number;
    }
  /** One resource that is larger than any that is read: as good as hidden, since whose it is was not read either. */
  | { readonly reason: "resource_withheld"; readonly because: "too_large" };

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
      return err(refusedRead(answer));
    case "unreachable":
    case "timed_out":
      return err(broken(answer));
    case "circuit_open":
      return err({ reason: "origin_circuit_open", retryAfterSeconds: answer.retryAfterSeconds });
  }
}

/** 429 and 503 are the origin's own word on when to ask again, and that is handed on. */
function refusedRead({
  status,
  retryAfterSeconds = 1,
}: Extract<OriginAnswer, { kind: "refused" }>): OriginRefusal {
  if (status === 429) return { reason: "origin_throttled", retryAfterSeconds };
  if (status === 503) return { reason: "origin_unavailable", retryAfterSeconds };
  return { reason: "origin_refused", status };
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
    if (length > resourceBytesMax) return err({ reason: "resource_withheld", because: "too_large" }); // leaving the loop hangs up
    chunks.push(chunk.value);
  }
  return ok(joinBytes(chunks));
}
