import { elementsOf } from "#fhir/r4/elements";
import type { ObjectView } from "./view.ts";

/**
 * The element paths that a view hides, coarsest first: `address`, `name.family`, and `identifier[else]` for
 * items outside every slice.
 */
export function hiddenPaths(view: ObjectView, prefix = ""): readonly string[] {
  const hidden: string[] = [];
  for (const { name, forms } of elementsOf(view.type).values()) {
    // never redacted: they withhold the resource
    if (name === "implicitRules" || name === "modifierExtension") continue;
    if (name === "id") continue; // an element's own id says nothing, and a resource's is always shown
    if (name === "extension") {
      if (!view.extensions.all) hidden.push(`${prefix}extension`);
      continue;
    }
    const missing = forms.filter((form) => (view.elements.get(form.name)?.kind ?? "deceased") === "deceased");
    if (missing.length === forms.length) hidden.push(prefix + name);
    else for (const form of missing) hidden.push(prefix + form.name);
    for (const form of forms) {
      const element = view.elements.get(form.name);
      if (element?.kind !== "object") continue;
      if (element.others === undefined) hidden.push(`${prefix}${form.name}[else]`);
      else if (!element.others.everything)
        for (const path of hiddenPaths(element.others, `${prefix}${form.name}.`)) hidden.push(path);
    }
  }
  return hidden;
}
