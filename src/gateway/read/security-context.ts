import { isObject, property, readJson, textAt, type Json } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { parseReference } from "#fhir/r4/reference";
import { isContentType } from "#fhir/route";
import { ok, type Result } from "#kernel/result";
import type { Grant, ReadExpectation } from "#policy/grant";
import type { WholeAnswer } from "#gateway/origin/calls";
import type { OriginSession } from "#gateway/origin/origin-session";
import { referredTo } from "./referrers.ts";

/**
 * The grant for a Binary that has a `securityContext`: the whole view of its rule if the context resource is
 * visible now, else nothing more than `known`, the grant by links to the Binary. The origin is asked for the
 * context resource only if the Binary names a resource of this origin that the caller could read.
 */
export async function behindContext<E>(
  known: Result<Grant, E>,
  { type, behind, whenContextIsSeen }: ReadExpectation,
  binary: Result<WholeAnswer, unknown>,
  origin: OriginSession,
): Promise<Result<Grant, E>> {
  if (!isContentType(type) || !binary.ok) return known;
  const { body, base } = binary.value;
  const context = contextIn(body);
  const reference = parseReference(isObject(context) ? (textAt(context, "reference") ?? "") : "", base);
  // Every Binary of a patient may name the patient: this context narrows, and opens no content to which no row leads.
  if (reference.kind === "local" && reference.type === "Patient" && !known.ok) return known;
  const other = reference.kind === "local" ? behind(reference.type, reference.id) : undefined;
  if (reference.kind !== "local" || other?.ok !== true || other.value.expects.kind !== "read") return known;
  const [answer, led] = await Promise.all([
    origin.read(other.value.ask),
    referredTo(other.value, other.value.expects, origin),
  ]);
  if (!answer.ok || !led.ok) return known;
  const standing = await origin.standing(led.value, answer.value, reference.type, reference.id);
  return standing.ok ? ok(whenContextIsSeen()) : known;
}

function contextIn(binary: Uint8Array): Json | undefined {
  const read = readJson(binary);
  return read.ok && isObject(read.value) ? property(read.value, "securityContext") : undefined;
}

/** Answers whether two versions of a Binary stand behind the same context: the context of the current version was judged. */
export const areBehindOne = (one: Uint8Array, other: Uint8Array): boolean =>
  canonicalText(contextIn(one) ?? null) === canonicalText(contextIn(other) ?? null);
