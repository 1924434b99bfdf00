import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { splitEscaped } from "../match/escape.ts";
import { servedParametersOf, type ServedParameter } from "../search-parameters.ts";
import { items, valuesOf, type Value } from "../values.ts";
import type { Criterion, CriterionRefusal } from "./criterion.ts";

/** Made by scripts/generate-sandbox-definitions.ts. */
const compositeParameter = z.object({
  /** Keys of the items that must have all parts; `""`: the resource itself. */
  items: z.array(z.string()),
  /** The codes of the parts. */
  of: z.array(z.string()),
});
type CompositeParameter = z.infer<typeof compositeParameter>;

const file = join(import.meta.dirname, "../composite-parameters.gen.json.gz");
const table = z
  .record(z.string(), z.record(z.string(), compositeParameter))
  .parse(JSON.parse(gunzipSync(readFileSync(file)).toString("utf8")));

/** The composite parameters of a type, by code. */
export const compositesOf = (type: string): ReadonlyMap<string, CompositeParameter> =>
  new Map(Object.entries(table[type] ?? {}));

/** Compiles the test for a part's value. */
type ReadPart = (parameter: ServedParameter, written: string) => ((value: Value) => boolean) | undefined;

/** Compiles `part$part`: a single item must have each part (R4 §3.1.1.4.13). */
export function readComposite(
  type: string,
  { items: keys, of }: CompositeParameter,
  written: string,
  readPart: ReadPart,
): Result<Criterion, CriterionRefusal> {
  const alternatives = splitEscaped(written, ",").map((alternative) => {
    const texts = splitEscaped(alternative, "$");
    const parts = of.flatMap((code, index) => {
      const parameter = servedParametersOf(type).get(code);
      const test = parameter && readPart(parameter, texts[index] ?? "");
      return parameter === undefined || test === undefined ? [] : [{ parameter, test }];
    });
    return parts.length === of.length && texts.length === of.length ? parts : undefined;
  });
  const read = alternatives.flatMap((parts) => (parts === undefined ? [] : [parts]));
  if (read.length < alternatives.length)
    return err({ reason: "bad_value", text: `The value is not ${of.join("$")}.` });
  const isMet = (resource: object, key: string, item: unknown) =>
    read.some((parts) =>
      parts.every(({ parameter, test }) => valuesIn(resource, parameter, { key, keys, item }).some(test)),
    );
  return ok({
    meets: (resource) =>
      keys.some((key) =>
        key === ""
          ? isMet(resource, key, resource)
          : items(Reflect.get(resource, key)).some((item) => isMet(resource, key, item)),
      ),
  });
}

/** The values of a part in one item. A part outside of the items is read from the whole resource. */
function valuesIn(
  resource: object,
  parameter: ServedParameter,
  { key, keys, item }: { readonly key: string; readonly keys: readonly string[]; readonly item: unknown },
): readonly Value[] {
  const keyOf = (path: string) => keys.find((one) => one !== "" && path.startsWith(`${one}.`)) ?? "";
  const at = parameter.at.filter(({ path }) => keyOf(path) === key);
  if (at.length === 0) return valuesOf(resource, parameter);
  if (key === "" || typeof item !== "object" || item === null)
    return valuesOf(resource, { ...parameter, at });
  return valuesOf(item, {
    ...parameter,
    at: at.map((place) => Object.assign({}, place, { path: place.path.slice(key.length + 1) })),
  });
}
