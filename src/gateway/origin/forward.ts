import { joinBytes } from "#fhir/json/bytes";
import { resourceBytesMax } from "#fhir/json/json";
import type {
  OriginAnswer,
  OriginBody,
  OriginCaller,
  OriginFault,
  OriginQuestion,
  Origins,
} from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { NotAtOrigin } from "./at-origin.ts";

/** Why an answer of the origin is not disclosed. */
export type OriginRefusal =
  | {
      readonly reason:
        | "origin_unknown"
        | "absent"
        | "origin_answer_too_large"
        | "origin_unreachable"
        | "origin_timed_out";
    }
  /** The Consents of a patient cannot be read: no row of the patient may be judged. */
  | { readonly reason: "consents_unavailable" }
  | { readonly reason: "origin_refused" | "origin_rejected_search"; readonly status: number }
  | NotAtOrigin
  /** The circuit breaker is open; or the origin itself answers 429 or 503. */
  | {
      readonly reason:
        | "origin_circuit_open"
        | "origin_busy"
        | "client_busy"
        | "origin_throttled"
        | "origin_unavailable";
      readonly retryAfterSeconds: number;
    }
  /**
   * The resource is too large to be read. The gateway does not know its patient, so the resource counts as
   * hidden.
   */
  | { readonly reason: "resource_withheld"; readonly because: "too_large" };

/** An answer of the origin with a body to read. */
export type Answered = Extract<OriginAnswer, { kind: "answered" }>;

/** Asks an origin. Only the body of an answer goes on; the origin's text for an error never leaves. */
export async function forward(
  origins: Pick<Origins, "ask">,
  origin: string,
  question: OriginQuestion,
  caller: OriginCaller,
): Promise<Result<Answered, OriginRefusal>> {
  return answeredBy(await origins.ask(origin, question, caller));
}

/** The answer with a body, or why there is none. */
export function answeredBy<A extends { readonly kind: "answered" }>(
  answer: A | Exclude<OriginAnswer, { readonly kind: "answered" }> | undefined,
): Result<A, OriginRefusal> {
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
      return err({ reason: notSent[answer.because], retryAfterSeconds: answer.retryAfterSeconds });
  }
}

/** The reasons of a question or a write that was not sent. */
export const notSent = {
  failing: "origin_circuit_open",
  origin_busy: "origin_busy",
  client_busy: "client_busy",
  origin_throttled: "origin_throttled",
} as const;

/** A 429 or 503 says when to ask again; the answer to the client has that time. */
function refusedRead({
  status,
  retryAfterSeconds = 1,
}: Extract<OriginAnswer, { kind: "refused" }>): OriginRefusal {
  if (status === 429) return { reason: "origin_throttled", retryAfterSeconds };
  if (status === 503) return { reason: "origin_unavailable", retryAfterSeconds };
  return { reason: "origin_refused", status };
}

/** The connection failed, before the answer or in the middle of it. */
export const broken = ({ kind }: OriginFault): OriginRefusal => ({ reason: `origin_${kind}` });

/**
 * Reads the whole body of a resource. It counts the bytes, because Content-Length may be wrong or missing.
 */
export async function readWhole(body: OriginBody): Promise<Result<Uint8Array, OriginRefusal>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    if (!chunk.ok) return err(broken(chunk.error));
    length += chunk.value.length;
    // leaving the loop hangs up
    if (length > resourceBytesMax) return err({ reason: "resource_withheld", because: "too_large" });
    chunks.push(chunk.value);
  }
  const [only] = chunks;
  return ok(chunks.length === 1 && only !== undefined ? only : joinBytes(chunks));
}
