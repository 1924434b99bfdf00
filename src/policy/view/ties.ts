import { elementsOf } from "#fhir/r4/elements";
import { r4Ties } from "#fhir/r4/ties.gen";
import type { ObjectView } from "./view.ts";

/**
 * An invariant of R4, or a pair of bounds, by which a server checks a shown element against a hidden element.
 */
export interface Tie {
  /** `per-1`, or `bounds`. */
  readonly key: string;
  /** Paths below the resource. */
  readonly shown: string;
  readonly hidden: string;
}

/**
 * The ties of a view: a server checks two parts together, and the view shows only one of them. A client that
 * may write the shown part can find out the hidden part by trial: it moves `period.start` until the server
 * refuses, and so learns `period.end`.
 */
export function tiesOf(view: ObjectView, at = ""): readonly Tie[] {
  if (view.everything) return [];
  const here = tiesAt(view.type).flatMap(({ key, paths }) => {
    const parts = paths.map((path) => ({ path: at + path.join("."), ...partsOf(view, path) }));
    const [shown, hidden] = [parts.find((part) => part.shown), parts.find((part) => part.hidden)];
    return shown === undefined || hidden === undefined
      ? []
      : [{ key, shown: shown.path, hidden: hidden.path }];
  });
  const below = [...view.elements].flatMap(([name, element]) => {
    if (element.kind !== "object") return [];
    const views = [element.others, ...element.slices.map((slice) => slice.view)].filter(
      (each) => each !== undefined,
    );
    return views.flatMap((each) => tiesOf(each, `${at}${name}.`));
  });
  return [...here, ...below];
}

/** Answers whether a server checks an element of a type against an element beside it. */
export const isTied = (type: string, name: string): boolean =>
  tiesAt(type).some(({ paths }) => {
    const members = new Set(paths.map(([first = ""]) => first));
    return members.size > 1 && members.has(name);
  });

/** The ties of a type or backbone: the key, and the paths below the type. */
export function tiesAt(
  type: string,
): readonly { readonly key: string; readonly paths: readonly (readonly string[])[] }[] {
  const text = Object.hasOwn(r4Ties, type) ? (r4Ties[type] ?? "") : "";
  const ties = text.split(" ").map((tie) => tie.split(":"));
  return ties.flatMap(([key = "", paths]) => {
    if (paths === undefined) return [];
    const each = paths.split(",").map((path) => namesAt(type, path));
    // Each two of the bounds are a separate pair.
    if (key !== "bounds") return [{ key, paths: each }];
    return each.flatMap((path, index) =>
      index % 2 === 0 ? [{ key, paths: [path, each[index + 1] ?? path] }] : [],
    );
  });
}

/** The names of a path of `r4Ties` below a type. */
export function namesAt(type: string, path: string): readonly string[] {
  let at = type;
  return Array.from(path.matchAll(/([?-~])(\d*)/gu), ([, place = "", form]) => {
    const element = [...elementsOf(at).values()][place.charCodeAt(0) - 63];
    const { name, type: below } = element?.forms[Number(form)] ?? { name: "", type: "" };
    at = below;
    return form === "" ? (element?.name ?? "") : name;
  }).concat(path.endsWith("*") ? "*" : []);
}

interface Parts {
  readonly shown: boolean;
  readonly hidden: boolean;
}

const whole: Parts = { shown: true, hidden: false };
const none: Parts = { shown: false, hidden: true };

/**
 * Answers whether a view shows a part of the value at a path, and whether it hides a part. `*`: everything
 * below counts, not only the presence of the value.
 */
function partsOf(view: ObjectView, [name = "", ...below]: readonly string[]): Parts {
  if (view.everything || name === "*") return { shown: true, hidden: !view.everything };
  const forms = [...elementsOf(view.type).values()].flatMap((element) =>
    element.forms.map((form) => form.name).filter((form) => element.name === name || form === name),
  );
  const parts = forms.flatMap((form): readonly Parts[] => {
    const element = view.elements.get(form);
    if (element === undefined || element.kind === "deceased") return [none];
    if (element.kind !== "object" || below.length === 0) return [whole];
    const views = [element.others, ...element.slices.map((slice) => slice.view)];
    return views.map((each) => (each === undefined ? none : partsOf(each, below)));
  });
  return { shown: parts.some(({ shown }) => shown), hidden: parts.some(({ hidden }) => hidden) };
}
