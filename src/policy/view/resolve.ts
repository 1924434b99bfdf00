import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import type { Result } from "#kernel/result";
import { err, ok } from "#kernel/result";
import type { PathStep } from "./element-path.ts";

/**
 * The R4 type at the end of a view path, or the problem with the path. A whole choice has the type of its
 * first form.
 */
export function resolvePath(type: string, steps: readonly PathStep[]): Result<string, string> {
  let at = type;
  for (const [index, { name, slice }] of steps.entries()) {
    if (name === "extension") return err("extensions are shown by URL: list them in `extensions`");
    if (name === "modifierExtension" || name === "implicitRules")
      return err(
        `${name} cannot be shown or hidden: remove this path; an unknown one withholds the resource`,
      );
    const last = index === steps.length - 1;
    const found = stepType(at, name);
    if (found === undefined) return err(`${at} has no element ${name} in R4`);
    if (name.endsWith("[x]") && !last) return err(`${name} is shown whole; name one form of it to go below`);
    if (found === "Resource" && !last)
      return err("a nested resource is redacted by the rules of its own type: end the path here");
    if (slice !== undefined && !elementsOf(found).has(slice.by))
      return err(`${found} has no ${slice.by} to slice by`);
    at = found;
  }
  return ok(at);
}

function stepType(parent: string, name: string): string | undefined {
  if (isPrimitive(parent)) return undefined;
  const elements = elementsOf(parent);
  const element = elements.get(name);
  if (element !== undefined) return element.forms[0]?.type;
  return [...elements.values()].flatMap(({ forms }) => forms).find((form) => form.name === name)?.type;
}

/** Answers whether the path can have several values in a resource. */
export function mayRepeat(type: string, steps: readonly PathStep[]): boolean {
  let at = type;
  for (const { name } of steps) {
    if (elementsOf(at).get(name)?.repeats === true) return true;
    at = stepType(at, name) ?? at;
  }
  return at === "CodeableConcept"; // its codings repeat
}
