import { readConditions } from "#fhir/preconditions";
import { hasRead, readBatchBody } from "#gateway/change/batch-entry";
import { requestKey } from "#gateway/change/request-key";
import { HeldBytes } from "#gateway/origin/held-bytes";
import type { GatewayRefusal } from "#gateway/outcome";
import type { GatewayPorts } from "#gateway/ports";
import type { Content } from "#gateway/question";
import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import type { StoredBundle } from "./export-jobs.ts";

/** A batch or a transaction that its client wants to be done as a job. */
export interface AskedBundleJob extends Pick<StoredBundle, "prefer" | "sameRequest"> {
  /** `Idempotency-Key` as it was sent; undefined: there is none. */
  readonly key: string | undefined;
  readonly body: string;
}

/**
 * Reads a batch or a transaction, whose entries are judged when the job does them. It has no read, and its answer shows
 * no resource: else a row would rest in the job, and leave by the judgement of an earlier moment.
 */
export async function readBundleJob(
  content: Content,
  base: string,
  who: Principal,
  { memory, thread }: Pick<GatewayPorts, "memory" | "thread">,
): Promise<Result<AskedBundleJob, GatewayRefusal>> {
  const client = who.client.id;
  const held = new HeldBytes(memory.claim(client, (units) => thread.charge(client, units)));
  try {
    let body = "";
    const read: Content["read"] = async (...asked) => {
      const bytes = await content.read(...asked);
      if (bytes.ok) body = new TextDecoder().decode(bytes.value);
      return bytes;
    };
    const { sameRequest } = content;
    const stated = (name: string) => content.stated(name);
    const bundle = await readBatchBody({ sameRequest, stated, read }, { base, held });
    if (!bundle.ok) return bundle;
    if (hasRead(bundle.value)) return err({ reason: "job_with_read" });
    const key = requestKey(content, who);
    if (!key.ok) return key;
    const conditions = readConditions((name) => (name === "prefer" ? content.stated(name) : null));
    const wantsOutcome = conditions.ok && conditions.value.returns === "OperationOutcome";
    const prefer = wantsOutcome ? "return=OperationOutcome" : "";
    return ok({ key: content.stated("idempotency-key") ?? undefined, prefer, sameRequest, body });
  } finally {
    held.end();
  }
}
