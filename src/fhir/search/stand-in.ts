import { readsOwners } from "./owner-parameter.ts";
import { searchParametersOf, type SearchParameterDefinition } from "./parameters.ts";

/**
 * A criterion of a query by another parameter, which finds each row that the criterion finds: `subject=Patient/1` for
 * `patient=1`. `undefined`: none of these parameters does.
 *
 * @param part `name=value`, encoded as `conditionTexts` writes it. @param served the parameters to choose from.
 */
export function standIn(type: string, part: string, served: ReadonlySet<string>): string | undefined {
  const { code, rest, value } = partsOf(part);
  const known = searchParametersOf(type);
  const lacking = known.get(code);
  const values = lacking && typedValues(lacking, rest, value);
  if (lacking === undefined || values === undefined) return undefined;
  const wanted = new Set(values.map(({ target }) => target));
  const other = [...known.values()].find(
    (one) =>
      served.has(one.code) &&
      one.type === "reference" &&
      readsAll(one, lacking) &&
      [...wanted].every((target) => one.targets?.has(target) ?? true),
  );
  if (other === undefined) return undefined;
  const chain = rest.replace(/^:[A-Za-z]+/u, "");
  const hop = chain === "" || other.targets?.size === 1 ? "" : `:${[...wanted].join()}`;
  return `${other.code}${hop}${chain}=${values.map(({ text }) => text).join(",")}`;
}

/** Answers whether a criterion names the owner of the rows that it finds, as an id or by a chain. */
export function namesOwner(type: string, part: string): boolean {
  const { code, rest, value } = partsOf(part);
  if (type === "Patient") return code === "_id";
  const definition = searchParametersOf(type).get(code);
  return (
    definition !== undefined &&
    readsOwners(type, definition) &&
    typedValues(definition, rest, value)?.every(({ target }) => target === "Patient") === true
  );
}

interface TypedValue {
  /** The type of the resource that is named, or that begins the chain. */
  readonly target: string;
  readonly text: string;
}

/** The values of a reference with their types; `undefined`: one has no type, or a modifier turns the question. */
function typedValues(
  { type, targets, paths }: SearchParameterDefinition,
  rest: string,
  value: string,
): readonly TypedValue[] | undefined {
  if (type !== "reference" || paths === undefined) return undefined;
  const [only, ...others] = targets ?? [];
  const single = others.length === 0 ? only : undefined;
  const [, named, chain] = /^(?::([A-Z][A-Za-z]+))?(\..*)?$/u.exec(rest) ?? [];
  if (rest !== "" && named === undefined && chain === undefined) return undefined;
  if (chain !== undefined) {
    const target = named ?? single;
    return target === undefined ? undefined : [{ target, text: value }];
  }
  const values = value.split(",").map((text): TypedValue | undefined => {
    const [, target = named ?? single, id] =
      /^(?:([A-Z][A-Za-z]+)\/)?([A-Za-z0-9.-]{1,64})$/u.exec(decodeURIComponent(text)) ?? [];
    return target === undefined || id === undefined
      ? undefined
      : { target, text: encodeURIComponent(`${target}/${id}`) };
  });
  return values.every((each) => each !== undefined) ? values : undefined;
}

function readsAll(one: SearchParameterDefinition, lacking: SearchParameterDefinition): boolean {
  const read = new Set(one.paths?.map((path) => path.join(".")));
  return lacking.paths?.every((path) => read.has(path.join("."))) === true;
}

function partsOf(part: string): { readonly code: string; readonly rest: string; readonly value: string } {
  const equals = part.indexOf("=");
  const name = part.slice(0, equals);
  const [code = ""] = name.split(/[:.]/u);
  return { code, rest: name.slice(code.length), value: part.slice(equals + 1) };
}
