import { err, ok, type Result } from "#kernel/result";
import { compares, readComparator } from "../match/comparator.ts";
import { dateSpan, dateValue } from "../match/date.ts";
import { splitEscaped, unescaped } from "../match/escape.ts";
import { compareNumber, inUnit, numberValue, searchedNumber } from "../match/number.ts";
import { local, localParts, targetOf } from "../match/reference.ts";
import { folded, stringsOf } from "../match/string.ts";
import { matchesToken, matchesTokenText, matchesTypedIdentifier } from "../match/token.ts";
import type { Criterion, CriterionRefusal } from "./criterion.ts";
import { compositesOf, readComposite } from "./read-composite.ts";
import { readChain } from "../join/chain.ts";
import { readHas } from "../join/has.ts";
import { readList } from "../join/list.ts";
import { contentHas, narrativeHas } from "../match/words.ts";
import { servedParametersOf, type ServedParameter } from "../search-parameters.ts";
import type { ResourceIndex } from "../resource-index.ts";
import { field, valuesOf, type Value } from "../values.ts";

type Test = (value: Value) => boolean;

const notHere = new Set(["_contained", "_containedType", "_filter", "_query"]);

/** Compiles `code[:modifier]=written`, a chain or a `_has`, for a type. */
export function readCriterion(
  type: string,
  name: string,
  written: string,
  index: ResourceIndex,
): Result<Criterion, CriterionRefusal> {
  if (name.startsWith("_has:")) return readHas(type, name, written, index, readCriterion);
  if (name.includes(".")) return readChain(type, name, written, index, readCriterion);
  if (["_list", "_text", "_content"].includes(name) && written.trim() === "")
    return err({ reason: "bad_value", text: `${name} is empty.` });
  if (name === "_list") return ok(readList(type, written, index));
  if (name === "_text") return ok({ meets: (resource) => narrativeHas(resource, written) });
  if (name === "_content") return ok({ meets: (resource) => contentHas(resource, written) });
  const { base } = index;
  const [code = "", modifier] = name.split(":");
  const composite = modifier === undefined ? compositesOf(type).get(code) : undefined;
  if (composite !== undefined)
    return readComposite(type, composite, written, (part, value) => {
      const test = readTest(part, undefined, value, base);
      return test === "modifier" ? undefined : test;
    });
  const parameter = servedParametersOf(type).get(code);
  if (notHere.has(code)) return err({ reason: "unsupported", text: `${name} is not supported.` });
  if (parameter === undefined)
    return err({ reason: "parameter_unknown", text: `${type} has no search parameter ${code}.` });
  const values = (resource: object) => valuesOf(resource, parameter);

  if (modifier === "missing") {
    if (written !== "true" && written !== "false")
      return err({ reason: "bad_value", text: `${name} must be true or false.` });
    return ok({ meets: (resource) => (values(resource).length === 0) === (written === "true") });
  }
  const tests: Test[] = [];
  const alternatives = splitEscaped(written, ",");
  for (const alternative of alternatives) {
    const test = readTest(parameter, modifier, alternative, base);
    if (test === "modifier")
      return err({ reason: "unsupported", text: `The modifier of ${name} is not supported.` });
    if (test === undefined)
      return err({ reason: "bad_value", text: `The value of ${name} is not a ${parameter.type}.` });
    tests.push(test);
  }
  const meetsOne = (resource: object) => values(resource).some((value) => tests.some((test) => test(value)));
  if (modifier === "not") return ok({ meets: (resource) => !meetsOne(resource) });
  if (code === "_id" && modifier === undefined)
    return ok({
      meets: meetsOne,
      candidates: () => new Set(alternatives.flatMap((id) => index.get(type, unescaped(id)) ?? [])),
    });
  if (parameter.type !== "reference" || modifier === "identifier") return ok({ meets: meetsOne });
  const targets = alternatives.map((text) => wantedTarget(text, modifier, base));
  return ok({ meets: meetsOne, candidates: () => index.referringToAny(type, code, targets) });
}

/**
 * The test for one alternative; "modifier": the modifier is not supported; undefined: the value cannot be
 * read.
 */
function readTest(
  parameter: ServedParameter,
  modifier: string | undefined,
  written: string,
  base: string,
): Test | "modifier" | undefined {
  if (written === "") return undefined;
  switch (parameter.type) {
    case "reference":
      return readReference(parameter, modifier, written, base);
    case "token":
      if (modifier === "text") return (value) => matchesTokenText(value, written);
      if (modifier === "of-type") return (value) => matchesTypedIdentifier(value, written);
      return modifier === undefined || modifier === "not"
        ? (value) => matchesToken(value, written)
        : "modifier";
    case "string":
      return readString(modifier, unescaped(written));
    case "uri":
      if (modifier === "above")
        return ({ value }) => typeof value === "string" && unescaped(written).startsWith(value);
      if (modifier === "below")
        return ({ value }) => typeof value === "string" && value.startsWith(unescaped(written));
      return modifier === undefined ? ({ value }) => value === unescaped(written) : "modifier";
    case "date":
      return modifier === undefined ? readDate(written) : "modifier";
    case "number":
    case "quantity":
      return modifier === undefined ? readNumber(written) : "modifier";
  }
  return parameter.type satisfies never;
}

/**
 * `id`, `Type/id` or a URL; with `:Type`, an id of that type; with `:identifier`, a token (R4 §3.1.1.4.11).
 */
function readReference(
  { target = [] }: ServedParameter,
  modifier: string | undefined,
  written: string,
  base: string,
): Test | "modifier" {
  if (modifier === "identifier")
    return ({ value }) => matchesToken({ type: "Identifier", value: field(value, "identifier") }, written);
  if (modifier !== undefined && !target.includes(modifier)) return "modifier";
  const wanted = wantedTarget(written, modifier, base);
  return (value) => {
    const found = targetOf(value, base);
    return found !== undefined && (found === wanted || localParts(found)?.id === wanted);
  };
}

const wantedTarget = (written: string, modifier: string | undefined, base: string): string =>
  modifier === undefined ? local(unescaped(written), base) : `${modifier}/${unescaped(written)}`;

function readString(modifier: string | undefined, wanted: string): Test | "modifier" {
  switch (modifier) {
    case undefined:
      return (value) => stringsOf(value).some((text) => folded(text).startsWith(folded(wanted)));
    case "contains":
      return (value) => stringsOf(value).some((text) => folded(text).includes(folded(wanted)));
    case "exact":
      return (value) => stringsOf(value).includes(wanted);
    default:
      return "modifier";
  }
}

function readDate(written: string): Test | undefined {
  const { comparator, rest } = readComparator(written);
  const search = dateSpan(rest);
  if (search === undefined) return undefined;
  return (value) => {
    const span = dateValue(value);
    // R4 §3.1.1.4.5: about means within a tenth of the time from now.
    return span !== undefined && compares(comparator, span, search, Math.abs(Date.now() - search.low) / 10);
  };
}

function readNumber(written: string): Test | undefined {
  const { comparator, rest } = readComparator(written);
  const [number = "", system = "", code = ""] = splitEscaped(rest, "|").map(unescaped);
  const searched = searchedNumber(number);
  if (searched === undefined) return undefined;
  return (value) => {
    const span = numberValue(value);
    return span !== undefined && inUnit(value, system, code) && compareNumber(comparator, span, searched);
  };
}
