import { elementsOf } from "#fhir/r4/elements";
import { r4Codes, r4CodeSystems } from "#fhir/r4/structure.gen";

/**
 * The code systems of a plain code or a boolean, which no row states: a search may name them (FHIR R4 §3.1.1.4.10).
 * Undefined: R4 does not define them, or the element is no plain code.
 */
export function impliedSystems(type: string, path: readonly string[]): ReadonlySet<string> | undefined {
  let [at, list]: readonly [string, number | undefined] = [type, undefined];
  for (const step of path) {
    const element = elementsOf(at).get(step);
    if (element === undefined || element.forms.length > 1) return undefined;
    [at, list] = [element.forms[0]?.type ?? "", element.list];
  }
  if (at === "boolean") return ofBooleans;
  return at === "code" && list !== undefined ? systemsOf(list) : undefined;
}

const ofBooleans: ReadonlySet<string> = new Set(["http://terminology.hl7.org/CodeSystem/special-values"]);

const known = new Map<number, ReadonlySet<string>>();

/** The systems of a list of `r4Codes`, by its number. */
function systemsOf(list: number): ReadonlySet<string> {
  const settled = known.get(list);
  if (settled !== undefined) return settled;
  const name = r4Codes.split("\n")[list]?.split(" ")[0] ?? "";
  const line = r4CodeSystems.split("\n").find((one) => one.startsWith(`${name} `));
  const systems = new Set(line === undefined ? [`http://hl7.org/fhir/${name}`] : line.split(" ").slice(1));
  known.set(list, systems);
  return systems;
}
