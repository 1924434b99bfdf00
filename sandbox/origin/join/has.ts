import { err, ok, type Result } from "#kernel/result";
import type { Criterion, CriterionRefusal } from "../search/criterion.ts";
import { localParts, targetOf } from "../match/reference.ts";
import { servedParametersOf } from "../search-parameters.ts";
import type { ResourceIndex } from "../resource-index.ts";
import { valuesOf } from "../values.ts";
import { joined, type ReadCriterion } from "./chain.ts";

/**
 * `_has:Observation:patient:code=1234-5`: selects the targets of the resources that meet the rest. The rest
 * may be a `_has` or a chain itself (R4 search.html#has).
 */
export function readHas(
  type: string,
  name: string,
  written: string,
  index: ResourceIndex,
  read: ReadCriterion,
): Result<Criterion, CriterionRefusal> {
  const {
    source = "",
    code = "",
    rest = "",
  } = /^_has:(?<source>\w+):(?<code>[\w-]+):(?<rest>.+)$/u.exec(name)?.groups ?? {};
  const parameter = servedParametersOf(source).get(code);
  if (parameter === undefined)
    return err({ reason: "parameter_unknown", text: `${name} names no search parameter.` });
  if (parameter.type !== "reference" || parameter.target?.includes(type) === false)
    return err({ reason: "unsupported", text: `${source}:${code} does not refer to a ${type}.` });

  const criterion = read(source, rest, written, index);
  if (!criterion.ok) return criterion;
  return ok(
    joined(() =>
      index.matching(source, [criterion.value]).flatMap((resource) =>
        valuesOf(resource, parameter).flatMap((value) => {
          const parts = localParts(targetOf(value, index.base) ?? "");
          return (parts?.type === type && index.get(type, parts.id)) || [];
        }),
      ),
    ),
  );
}
