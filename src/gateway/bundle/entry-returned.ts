import type { Permission } from "#gateway/admission/permit";
import { bytesOf } from "#gateway/admission/release-gate";
import { etagOf } from "#gateway/read/etag";
import type { WriteConditions } from "#fhir/preconditions";
import { represent, type DoneWrite, type ReadStored } from "#gateway/write/write-send";
import type { EntryOutcome } from "./entry-outcome.ts";

/**
 * Adds to the answer of a write that was done what `Prefer: return` asks for (FHIR R4 http §3.1.0.1.7): the part of
 * the stored resource that a single write shows, or an OperationOutcome. A resource that cannot be shown is left out.
 *
 * @param read reads the stored resource, if `stored` has no body that may be shown.
 */
export async function showReturned(
  outcome: EntryOutcome,
  { returns }: Pick<WriteConditions, "returns">,
  stored: Pick<DoneWrite, "status" | "type" | "id" | "body" | "base">,
  permission: Permission,
  read?: ReadStored,
): Promise<void> {
  const { answer, origin } = outcome;
  if (answer === undefined || answer.refusal !== undefined) return;
  if (returns === "OperationOutcome") outcome.answer = { ...answer, saysDone: true };
  if (returns !== "representation" || stored.status === 204) return;
  const shown = await represent(stored, returns, permission, origin, read).catch(() => undefined);
  const disclosure = shown?.ok === true ? shown.value : undefined;
  if (disclosure === undefined || !origin.held.take(bytesOf(disclosure))) return;
  const [only] = disclosure.windows;
  const tag = only === undefined ? {} : { etag: etagOf(only.body, permission.policy.digest) };
  outcome.answer = { ...answer, disclosure, ...tag };
}
