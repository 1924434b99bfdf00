import type { ResourceView } from "#policy/compile";
import { OfObjects } from "#kernel/memo";

// A client chooses the members freely; a narrowed view takes some KB.
const narrowed = new OfObjects<ResourceView>(1_024);

/**
 * Limits a view to these members of the resource (`_elements`, `_summary`). The result never shows more than the
 * view. The same view and members give the same object, so that its compiled forms are made once.
 */
export function narrowView(view: ResourceView, kept: ReadonlySet<string>): ResourceView {
  const choice = [...view.object.elements.keys()].filter((name) => kept.has(name)).join();
  const known = narrowed.get(view, choice);
  if (known !== undefined) return known;
  const made = narrow(view, kept);
  narrowed.set(view, choice, made);
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
