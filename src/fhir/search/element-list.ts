import { elementsOf, type ResourceType } from "#fhir/r4/elements";

// The limit for a list: the longest type has some seventy elements.
const elementsMax = 100;

/**
 * The value of `_elements` (FHIR R4 §3.1.1.5.9): elements of the type itself, a choice with or without
 * `[x]`. Undefined if the text is no such list.
 */
export function readElementList(type: ResourceType, text: string): readonly string[] | undefined {
  const names = text.split(",").map((name) => name.replace(/\[x\]$/u, ""));
  const known = names.every((name) => elementsOf(type).has(name) || elementsOf(type).has(`${name}[x]`));
  return known && names.length <= elementsMax ? names : undefined;
}

/**
 * The members of a resource that `_elements` retains, by JSON name: the requested elements, the elements
 * that R4 requires, and the elements that change the meaning of the rest.
 */
export function retainedElements(type: string, requested: readonly string[]): ReadonlySet<string> {
  const retained = new Set(["id", "meta", "contained"]); // contained resources that are still referred to
  for (const { name, forms, required, isModifier } of elementsOf(type).values()) {
    if (required || isModifier || requested.includes(name.replace(/\[x\]$/u, "")))
      for (const form of forms) retained.add(form.name);
  }
  return retained;
}
