import { isResourceType, elementsOf } from "#fhir/r4/elements";
import type { PolicyRule } from "#policy/schema";
import { readPath } from "#policy/view/element-path";

export interface ShownOfLeft {
  readonly show: PolicyRule["show"];
  /** The hidden elements, in words. */
  readonly hidden: readonly string[];
}

/**
 * The elements of a rule that stay if only those stay of which a value left. An element with a slice
 * (`identifier[system=…]`) stays if any item of it left. `everything` becomes the members of the resource of which
 * a value left; it stays where an extension left, which a list would hide, and where nothing of the type was
 * measured.
 *
 * @param left element paths, as `Type.path`.
 */
export function shownOfLeft(
  type: PolicyRule["types"][number],
  show: PolicyRule["show"],
  left: ReadonlySet<string>,
): ShownOfLeft {
  const paths = [...left]
    .filter((path) => path.startsWith(`${type}.`))
    .map((path) => path.slice(type.length + 1));
  if (paths.length === 0) return { show, hidden: [] };
  if (show !== "everything") {
    const kept = show.filter((path) => isUnmeasured(path) || paths.some((each) => isBelow(each, path)));
    if (kept.length === 0) return { show, hidden: [] };
    return {
      show: kept,
      hidden: show.filter((path) => !kept.includes(path)).map((path) => `element ${path}`),
    };
  }
  if (
    paths.some((path) => path.split(".").some((step) => step === "extension" || step === "modifierExtension"))
  )
    return { show, hidden: [] };
  const members = isResourceType(type) ? [...elementsOf(type).keys()] : [];
  const kept = members.filter((name) => isUnmeasured(name) || paths.some((each) => isBelow(each, name)));
  const shown = kept.filter((name) => name !== "id");
  if (shown.length === 0 || kept.length === members.length) return { show, hidden: [] };
  return {
    show: shown,
    hidden: members.filter((name) => !kept.includes(name)).map((name) => `element ${name}`),
  };
}

/** A contained resource counts under its own type. */
const isUnmeasured = (path: string): boolean => path.split(".").includes("contained");

/** True if a value at `left` is shown by the path of a policy. */
function isBelow(left: string, path: string): boolean {
  const names = left.split(".");
  return readPath(path).every(({ name }, i) => {
    const given = names[i];
    if (given === undefined) return false;
    const choice = name.endsWith("[x]") ? name.slice(0, -3) : undefined;
    return choice === undefined
      ? given === name
      : given.startsWith(choice) && /^[A-Z]/u.test(given.slice(choice.length));
  });
}
