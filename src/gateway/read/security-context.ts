import { isObject, property, readJson, textAt, type Json } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { parseReference, type Reference } from "#fhir/r4/reference";
import { isContentType } from "#fhir/route";
import { ok, type Result } from "#kernel/result";
import type { ReadExpectation } from "#policy/grant";
import type { WholeAnswer } from "#gateway/origin/calls";
import type { OriginSession } from "#gateway/origin/origin-session";
import { openedBy, referredTo, type Led } from "./referrers.ts";

/**
 * The grant for a Binary that has a `securityContext`: the whole view of its rule if the context resource is
 * visible now, else nothing more than `known`, the grant by links to the Binary. The origin is asked for the
 * context resource only if the Binary names a resource of this origin that the caller could read, and else for another
 * resource in its place.
 */
export async function behindContext<E>(
  known: Result<Led, E>,
  { type, id, behind, whenContextIsSeen }: ReadExpectation,
  binary: Result<WholeAnswer, unknown>,
  origin: OriginSession,
): Promise<Result<Led, E>> {
  if (!isContentType(type)) return known;
  const context = binary.ok ? contextOf(binary.value) : undefined;
  // Every Binary of a patient may name the patient: this context narrows, and opens no content to which no row leads.
  const isOpening = context?.type !== "Patient" || known.ok;
  const grant = context !== undefined && isOpening ? behind(context.type, context.id) : undefined;
  if (context === undefined || grant?.ok !== true || grant.value.expects.kind !== "read") {
    await origin.read({ path: `DocumentReference/${id}`, query: "" }); // a hidden context costs no more than none
    return known;
  }
  const [answer, led] = await Promise.all([
    origin.read(grant.value.ask),
    referredTo(grant.value, grant.value.expects, origin),
  ]);
  if (!answer.ok || !led.ok) return known;
  const standing = await origin.standing(led.value, answer.value, context.type, context.id);
  if (!standing.ok) return known;
  const open = origin.facts?.opening(standing.value, answer.value.base);
  const openers = (known.ok && known.value.openers) || [];
  return ok(openedBy(whenContextIsSeen(), id, [{ open }, ...openers], origin));
}

/** The resource of this origin that a Binary names as its context. */
function contextOf({ body, base }: WholeAnswer): Extract<Reference, { readonly kind: "local" }> | undefined {
  const context = contextIn(body);
  const reference = parseReference(isObject(context) ? (textAt(context, "reference") ?? "") : "", base);
  return reference.kind === "local" ? reference : undefined;
}

function contextIn(binary: Uint8Array): Json | undefined {
  const read = readJson(binary);
  return read.ok && isObject(read.value) ? property(read.value, "securityContext") : undefined;
}

/** Answers whether two versions of a Binary stand behind the same context: the context of the current version was judged. */
export const areBehindOne = (one: Uint8Array, other: Uint8Array): boolean =>
  canonicalText(contextIn(one) ?? null) === canonicalText(contextIn(other) ?? null);
