import type { ResourceView } from "#policy/compile";

/**
 * Limits a view to these members of the resource (`_elements`). The result never shows more than the view.
 */
export function narrowView({ object, hidden }: ResourceView, kept: ReadonlySet<string>): ResourceView {
  const { type, extensions, required, elements } = object;
  const some = new Map([...elements].filter(([name]) => kept.has(name)));
  return {
    object: { type, everything: false, extensions, required, elements: some },
    subsetted: true,
    hidden,
  };
}
