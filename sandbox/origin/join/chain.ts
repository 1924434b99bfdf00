import { err, ok, type Result } from "#kernel/result";
import type { Criterion, CriterionRefusal } from "../search/criterion.ts";
import { servedTypes, servedParametersOf } from "../search-parameters.ts";
import type { Stored } from "../stored.ts";
import type { ResourceIndex } from "../resource-index.ts";

/**
 * Compiles the last link of a chain. It is the reader of all criteria, which itself reads chains with this
 * folder.
 */
export type ReadCriterion = (
  type: string,
  name: string,
  written: string,
  index: ResourceIndex,
) => Result<Criterion, CriterionRefusal>;

const anyTypeMax = 20;

/**
 * `subject:Patient.name=peter`, `patient.organization.name=…`, `patient._has:Group:member:_id=…`: selects the
 * resources that refer to a resource which meets the rest. The rest may be a chain itself (R4
 * search.html#chaining). Without a type, every target type of the reference is followed.
 */
export function readChain(
  type: string,
  name: string,
  written: string,
  index: ResourceIndex,
  read: ReadCriterion,
): Result<Criterion, CriterionRefusal> {
  const [link, rest] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
  const [code = "", only] = link.split(":");
  const parameter = servedParametersOf(type).get(code);
  if (parameter === undefined)
    return err({ reason: "parameter_unknown", text: `${type} has no search parameter ${code}.` });
  const targets = parameter.target ?? [...servedTypes];
  if (parameter.type !== "reference" || (only !== undefined && !targets.includes(only)))
    return err({ reason: "unsupported", text: `${link} does not lead to another resource.` });
  // 146 types each way grow to millions within three links. Few parameters point at every type, and a client
  // can name a type there.
  if (only === undefined && targets.length > anyTypeMax && /\.|^_has:/u.test(rest))
    return err({ reason: "unsupported", text: `${link} must name a type to be followed further.` });

  const hops: { readonly target: string; readonly criterion: Criterion }[] = [];
  let refusal: CriterionRefusal = { reason: "parameter_unknown", text: `${link} leads nowhere.` };
  for (const target of only === undefined ? targets : [only]) {
    const criterion = read(target, rest, written, index);
    if (criterion.ok) hops.push({ target, criterion: criterion.value });
    else refusal = criterion.error;
  }
  // R4: a parameter that only some target types have applies to those types.
  if (hops.length === 0) return err(refusal);
  return ok(joined(() => linked()));

  function* linked(): Iterable<Stored> {
    for (const { target, criterion } of hops)
      for (const { id } of index.matching(target, [criterion]))
        yield* index.referring(type, code, `${target}/${id}`);
  }
}

/** A criterion that is met by the members of a set. The set is computed at its first use. */
export function joined(find: () => Iterable<Stored>): Criterion {
  let found: ReadonlySet<Stored> | undefined;
  const all = () => (found ??= new Set(find()));
  // a resource that is not stored is in no set
  return { meets: (resource) => all().has(resource as Stored), candidates: all };
}
