import { err, type Result } from "#kernel/result";
import type { KeyedRequest, RequestKeys } from "#limits/request-keys";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { OnceRefusal } from "#gateway/write/write-attempt";
import { BundleAttempt } from "./bundle-attempt.ts";
import type { BundleOutcome } from "./bundle-outcome.ts";

/** A batch or a transaction under a key: each of its writes is done once, however often the request comes. */
export async function bundleOnce<R>(
  request: KeyedRequest,
  keys: RequestKeys,
  origin: OriginSession,
  answer: (attempt: BundleAttempt) => Promise<Result<BundleOutcome, R>>,
): Promise<Result<BundleOutcome, R | OnceRefusal>> {
  const claim = await keys.claim(request);
  switch (claim.kind) {
    case "other":
      return err({ reason: "idempotency_key_reused" });
    case "busy":
      return err({ reason: "idempotency_key_in_use", retryAfterSeconds: claim.retryAfterSeconds });
    case "done":
      return answer(BundleAttempt.repeated(claim.result, origin));
    case "claimed": {
      const attempt = new BundleAttempt(claim.attempt, origin);
      try {
        const result = await answer(attempt);
        if (!result.ok) await attempt.release();
        return result;
      } catch (fault) {
        await attempt.release().catch(() => {}); // its time ends then
        throw fault;
      }
    }
  }
}
