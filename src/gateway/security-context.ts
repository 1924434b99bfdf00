import { isObject, property, readJson, textAt } from "#fhir/json";
import { parseReference, type FhirBase } from "#fhir/reference";
import { Discloser, type NamedBases } from "#phi/disclose";
import { hasContext } from "#policy/labels";
import type { Grant, ReadExpectation } from "#policy/grant";
import type { Ask } from "./all-rows.ts";
import { readWhole } from "./forward.ts";
import { referredTo } from "./witnesses.ts";

/**
 * What may be read of a Binary that stands behind another resource (`securityContext`): all that its rule shows when that resource may be
 * seen now, and else nothing. Asks for that resource when the Binary names one of this origin's that could be read at all.
 */
export async function behindContext(
  grant: Grant,
  { type, behind, whenContextIsSeen }: ReadExpectation,
  { body, base }: { readonly body: Uint8Array; readonly base: FhirBase },
  ask: Ask,
  names: Omit<NamedBases, "origin">,
): Promise<Grant> {
  const read = type === "Binary" ? readJson(body) : undefined;
  if (read?.ok !== true || !isObject(read.value) || !hasContext(read.value)) return grant;
  const context = property(read.value, "securityContext");
  const reference = parseReference(isObject(context) ? (textAt(context, "reference") ?? "") : "", base);
  const other = reference.kind === "local" ? behind(reference.type, reference.id) : undefined;
  if (reference.kind !== "local" || other?.ok !== true || other.value.expects.kind !== "read") return grant;
  const [answer, known] = await Promise.all([ask(other.value.ask), referredTo(other.value, other.value.expects, ask, names)]);
  const bytes = answer.ok ? await readWhole(answer.value.body) : answer;
  if (!answer.ok || !bytes.ok || !known.ok) return grant;
  const discloser = new Discloser(known.value, { ...names, origin: answer.value.base });
  return discloser.current(bytes.value, reference.type, reference.id).ok ? whenContextIsSeen() : grant;
}
