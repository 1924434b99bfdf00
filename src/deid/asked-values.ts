import type { Criteria, SearchParameter } from "#fhir/search/search";
import type { SearchValue } from "#fhir/search/value";
import { typeShapeOf, type Slot } from "#fhir/validate/shape";

/** A code with its system that a search asks for. */
export interface AskedCode {
  /** Name of the parameter. */
  readonly parameter: string;
  readonly system: string;
  readonly code: string;
}

/**
 * The first parameter of a search that asks for a value which no row in a form shows, such as a code that R4's list
 * lacks. Such a code does not leave, so no search may find it. `undefined`: there is none.
 *
 * @param codes gets the codes with a system: a code of a hospital's own system does not leave either.
 */
export function askedBeyondForm(
  { type, parameters, joins }: Criteria,
  codes: AskedCode[],
): string | undefined {
  const own = parameters.find((parameter) => !isShown(type, parameter, codes));
  if (own !== undefined) return own.definition.code;
  for (const { of } of joins)
    for (const criteria of of) {
      const below = askedBeyondForm(criteria, codes);
      if (below !== undefined) return below;
    }
  return undefined;
}

/** A modifier asks for other values than the stated value, such as those above and below. */
const isShown = (
  type: string,
  { definition, modifier, values }: SearchParameter,
  codes: AskedCode[],
): boolean =>
  modifier === undefined &&
  values.every((value) => {
    if (definition.type !== "token") return value.kind === "reference" || value.kind === "other";
    return value.kind === "token" && isShownCode(type, definition, value, codes);
  });

function isShownCode(
  type: string,
  { code: name, paths = [] }: SearchParameter["definition"],
  { system, code }: Extract<SearchValue, { kind: "token" }>,
  codes: AskedCode[],
): boolean {
  if (name === "_id") return system === undefined;
  if (system !== undefined) return codes.push({ parameter: name, system, code }) > 0;
  const read = paths.flatMap((path) => slotsAt(type, path)).filter(({ type }) => listed.has(type));
  return read.length > 0 && read.every((slot) => isListed(slot, code));
}

/** Without a system a code is of R4's own list, or a truth value: the datatypes of such codes. */
const listed: ReadonlySet<string> = new Set(["boolean", "code"]);
const isListed = ({ type, binding }: Slot, code: string): boolean =>
  type === "boolean" ? code === "true" || code === "false" : binding?.codes.has(code) === true;

function slotsAt(type: string, [step, ...below]: readonly string[]): readonly Slot[] {
  const slots = [...typeShapeOf(type).slots].flatMap(([name, slot]) =>
    name === step || slot.element.name === step || slot.step === step ? [slot] : [],
  );
  return below.length === 0 ? slots : slots.flatMap((slot) => slotsAt(slot.type, below));
}
