import { err, ok, type Result } from "#kernel/result";
import { readIdempotencyKey } from "#limits/idempotency-key";
import type { KeyedAttempt, RequestKeys } from "#limits/request-keys";

export type OperatorKeyRefusal =
  | { readonly reason: "idempotency_key_malformed" | "idempotency_key_reused" }
  | { readonly reason: "idempotency_key_in_use"; readonly retryAfterSeconds: number }
  /** An earlier attempt may have done the action, and control rejects the document now. */
  | { readonly reason: "outcome_unknown" };

// The longest change of the registry.
const actingMilliseconds = 60_000;

/** Claims the `Idempotency-Key` of an operator's request. `undefined`: the request has none. */
export async function claimAction(
  header: string | null,
  operator: string,
  request: string,
  keys: RequestKeys,
): Promise<Result<ActionAttempt | undefined, OperatorKeyRefusal>> {
  if (header === null) return ok(undefined);
  const key = readIdempotencyKey(header);
  if (!key.ok) return key;
  const holder = `operator ${operator}`;
  const claim = await keys.claim({ caller: JSON.stringify([holder]), holder, key: key.value, request });
  switch (claim.kind) {
    case "other":
      return err({ reason: "idempotency_key_reused" });
    case "busy":
      return err({ reason: "idempotency_key_in_use", retryAfterSeconds: claim.retryAfterSeconds });
    case "done":
      return ok(new ActionAttempt(undefined, claim.result));
    case "claimed":
      return ok(new ActionAttempt(claim.attempt, undefined));
  }
}

/** An operator's action under a key. Its result has counts and flags, and no patient data. */
export class ActionAttempt {
  readonly #attempt: KeyedAttempt | undefined;
  #isActing = false;
  /** The result of the action, if it was done before. */
  readonly result: object | undefined;

  constructor(attempt: KeyedAttempt | undefined, result: string | undefined) {
    this.#attempt = attempt;
    this.result = result === undefined ? undefined : (JSON.parse(result) as object); // as `done` stored it
  }

  /** True if an earlier attempt may have acted. */
  get isResumed(): boolean {
    return this.#attempt?.earlier !== undefined;
  }

  /** Call it before the action. Throws when another attempt took over. */
  async acting(): Promise<void> {
    await this.#attempt?.sending("", actingMilliseconds);
    this.#isActing = true;
  }

  /** The action is done whatever happens here: every action may be repeated. */
  async done(result: object): Promise<void> {
    await this.#attempt?.ended({ kind: "done", result: JSON.stringify(result) }).catch(() => {});
  }

  async rejected(): Promise<void> {
    await this.#attempt?.ended({ kind: "nothing" }).catch(() => {});
  }

  /** Ends an attempt that did not act: the key is as it was before. */
  async release(): Promise<void> {
    if (!this.#isActing) await this.rejected();
  }
}
