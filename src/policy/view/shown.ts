import type { PathStep, Slice } from "./element-path.ts";

/**
 * The elements that a policy shows below an element, before the R4 tables apply. Rules combine by union, so a
 * rule can only add.
 */
export interface Shown {
  /** Every element below that R4 knows. */
  readonly everything: boolean;
  readonly elements: ReadonlyMap<string, Shown>;
  /**
   * For a repeating element: the elements shown of the items of each slice, added to the elements shown of
   * every item.
   */
  readonly slices: readonly { readonly slice: Slice; readonly shown: Shown }[];
}

export const showsNothing: Shown = { everything: false, elements: new Map(), slices: [] };
export const showsAll: Shown = { ...showsNothing, everything: true };

/** The elements that one path shows of the object where it starts. */
export function shownBy([step, ...below]: readonly PathStep[]): Shown {
  if (step === undefined) return showsAll;
  const shown = shownBy(below);
  const element: Shown =
    step.slice === undefined ? shown : { ...showsNothing, slices: [{ slice: step.slice, shown }] };
  return { ...showsNothing, elements: new Map([[step.name, element]]) };
}

export function union(several: readonly Shown[]): Shown {
  const [only] = several;
  if (only !== undefined && several.length === 1) return only;
  const elements = new Map<string, Shown>();
  for (const shown of several) {
    for (const [name, below] of shown.elements)
      elements.set(name, union([elements.get(name) ?? showsNothing, below]));
  }
  return {
    everything: several.some((shown) => shown.everything),
    elements,
    slices: several.flatMap((shown) => shown.slices),
  };
}

export const isNothing = (shown: Shown): boolean => !shown.everything && shown.elements.size === 0;
