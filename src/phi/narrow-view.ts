import type { ResourceView } from "#policy/compile";

// A client chooses the members freely; a further choice replaces the oldest.
const choicesMax = 32;
const narrowed = new WeakMap<ResourceView, Map<string, ResourceView>>();

/**
 * Limits a view to these members of the resource (`_elements`, `_summary`). The result never shows more than the
 * view. The same view and members give the same object, so that its compiled forms are made once.
 */
export function narrowView(view: ResourceView, kept: ReadonlySet<string>): ResourceView {
  const choices = narrowed.get(view) ?? new Map<string, ResourceView>();
  narrowed.set(view, choices);
  const choice = [...view.object.elements.keys()].filter((name) => kept.has(name)).join();
  const known = choices.get(choice);
  if (known !== undefined) return known;
  const made = narrow(view, kept);
  if (choices.size >= choicesMax) choices.delete(choices.keys().next().value ?? "");
  choices.set(choice, made);
  return made;
}

function narrow({ object, hidden }: ResourceView, kept: ReadonlySet<string>): ResourceView {
  const { type, extensions, required, elements } = object;
  const some = new Map([...elements].filter(([name]) => kept.has(name)));
  return {
    object: { type, everything: false, extensions, required, elements: some },
    subsetted: true,
    hidden,
  };
}
