import { isObject, property, readJson, textAt } from "#fhir/json/json";
import { parseReference } from "#fhir/r4/reference";
import { factsFor } from "#policy/facts";
import { hasContext } from "#policy/labels";
import { ok, type Result } from "#kernel/result";
import type { Grant, ReadExpectation } from "#policy/grant";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { WholeAnswer } from "#gateway/origin/calls";
import type { OriginSession } from "#gateway/origin/origin-session";
import { referredTo } from "./referrers.ts";

/**
 * The grant for a Binary that has a `securityContext`: the whole view of its rule if the context resource is
 * visible now, otherwise nothing. The origin is asked for the context resource only if the Binary names a
 * resource of this origin that the caller could read.
 */
export async function behindContext(
  grant: Grant,
  { type, behind, whenContextIsSeen }: ReadExpectation,
  { body, base }: WholeAnswer,
  origin: OriginSession,
): Promise<Result<Grant, RowsRefusal>> {
  const read = type === "Binary" ? readJson(body) : undefined;
  if (read?.ok !== true || !isObject(read.value) || !hasContext(factsFor(grant, read.value)))
    return ok(grant);
  const context = property(read.value, "securityContext");
  const reference = parseReference(isObject(context) ? (textAt(context, "reference") ?? "") : "", base);
  const other = reference.kind === "local" ? behind(reference.type, reference.id) : undefined;
  if (reference.kind !== "local" || other?.ok !== true || other.value.expects.kind !== "read")
    return ok(grant);
  const [answer, known] = await Promise.all([
    origin.read(other.value.ask),
    referredTo(other.value, other.value.expects, origin),
  ]);
  if (!answer.ok || !known.ok) return ok(grant);
  const standing = await origin.standing(known.value, answer.value, reference.type, reference.id);
  return ok(standing.ok ? whenContextIsSeen() : grant);
}
