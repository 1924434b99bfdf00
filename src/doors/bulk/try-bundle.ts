import { faceOf } from "#entrypoint/gateway-face";
import { proveStored } from "#gateway/admission/caller";
import { bundleText } from "#gateway/change/bundle-text";
import type { GatewayRefusal } from "#gateway/outcome";
import { passFurther, refuseFurther } from "#gateway/pipeline";
import type { Question } from "#gateway/question";
import type { ReleasedOutcome } from "#gateway/release";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import type { BundleTry } from "#limits/bundle-run";
import type { AskingPorts } from "./asking.ts";
import type { StoredBundle } from "./export-jobs.ts";

// Between tries that say no time: a second, two, four, and so on.
const longestSeconds = 60;

/**
 * Does a batch or a transaction under its stored authority, as its client's own request with the same key. Repeat it
 * after a crash and after `again`: what was done before is not done again.
 *
 * @param number of this try, from 1.
 */
export async function tryBundle(
  stored: StoredBundle,
  body: string,
  number: number,
  ports: AskingPorts,
): Promise<BundleTry> {
  const { authority, address, continent, origin, traceId, until } = stored;
  // A repeat of this try is the same event.
  const id = stored.id.slice(0, 28) + number.toString(16).padStart(4, "0");
  const request = { id, at: ports.clock(), method: "POST", address, continent };
  const call = { origin, segments: [], traceId };
  const used = await ports.authorities.use(authority);
  const caller =
    used === undefined
      ? err({ reason: "authority_ended" } as const)
      : await proveStored({ id: authority, ...used }, ports.newId(), ports, request.at);
  const { outcome } = caller.ok
    ? await passFurther(request, call, caller.value, questionOf(stored, body), ports)
    : await refuseFurther(request, call, undefined, caller.error, ports);
  return endOfTry(outcome, id, number, until - ports.clock());
}

/**
 * The end of a try by its outcome.
 *
 * @param milliseconds that are left for further tries.
 */
export function endOfTry(
  outcome: ReleasedOutcome,
  requestId: string,
  number: number,
  milliseconds: number,
): BundleTry {
  const [soonest] = refusalsOf(outcome)
    .filter(passes)
    .toSorted((a, b) => statedSeconds(a) - statedSeconds(b));
  if (soonest !== undefined) {
    const seconds = Math.max(statedSeconds(soonest), Math.min(2 ** (number - 1), longestSeconds));
    if (seconds * 1_000 < milliseconds) return { kind: "again", reason: soonest.reason, seconds };
  }
  return { kind: "done", answer: answerOf(outcome, requestId) };
}

const statedSeconds = (refusal: GatewayRefusal): number =>
  "retryAfterSeconds" in refusal ? refusal.retryAfterSeconds : 0;

function questionOf({ key, prefer, sameRequest }: StoredBundle, body: string): Question {
  const headers: Readonly<Record<string, string>> = { "idempotency-key": key, prefer };
  return {
    interaction: { kind: "batch" },
    place: undefined,
    content: {
      stated: (name) => headers[name] ?? null,
      sameRequest,
      read: async (_form, bytesMax = 0) => {
        const bytes = utf8(body);
        return bytes.length > bytesMax ? err({ reason: "body_too_large" }) : ok(bytes);
      },
    },
    isBodiless: false,
    isKnown: () => false,
  };
}

function refusalsOf(outcome: ReleasedOutcome): readonly GatewayRefusal[] {
  if (outcome.kind === "refused") return [outcome.refusal];
  return isBundle(outcome) ? outcome.entries.flatMap(({ refusal }) => refusal ?? []) : [];
}

/** A busy or silent part, an exhausted quota, or a lost answer: a repeat under the key may end otherwise. */
const passes = (refusal: GatewayRefusal): boolean =>
  "retryAfterSeconds" in refusal || [503, 504].includes(faceOf(refusal).status);

/** FHIR R5 async-bundle, Response - Complete Status: a batch-response whose only entry has the answer. */
function answerOf(outcome: ReleasedOutcome, requestId: string): string {
  if (outcome.kind === "refused") {
    const { refusal } = outcome;
    return textOf(bundleText("batch", [{ status: faceOf(refusal).status, refusal }], requestId));
  }
  if (!isBundle(outcome)) throw new Error("a bundle is answered by a bundle");
  const answer = textOf(bundleText(outcome.kind, outcome.entries, requestId));
  return `{"resourceType":"Bundle","type":"batch-response","entry":[{"resource":${answer},"response":{"status":"200"}}]}`;
}

const isBundle = (
  outcome: ReleasedOutcome,
): outcome is Extract<ReleasedOutcome, { readonly kind: "batch" | "transaction" }> =>
  outcome.kind === "batch" || outcome.kind === "transaction";

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
