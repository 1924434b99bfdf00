import { err, ok, type Result } from "#kernel/result";
import type { Criterion, SearchRefusal } from "../search/criterion.ts";
import { resourceTypes, searchParametersOf } from "../search-parameters.ts";
import type { Stored } from "../stored.ts";
import type { ResourceIndex } from "../resource-index.ts";

/** Compiles the last link of a chain; the reader of all criteria, which reads chains by this room. */
export type ReadCriterion = (
  type: string,
  name: string,
  written: string,
  index: ResourceIndex,
) => Result<Criterion, SearchRefusal>;

const anyTypeMax = 20;

/**
 * `subject:Patient.name=peter`, `patient.organization.name=…`, `patient._has:Group:member:_id=…`: what refers to something that meets the
 * rest, which may be a chain itself (R4 search.html#chaining). Without a type all that the reference may point at are followed.
 */
export function readChain(
  type: string,
  name: string,
  written: string,
  index: ResourceIndex,
  read: ReadCriterion,
): Result<Criterion, SearchRefusal> {
  const [link, rest] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
  const [code = "", only] = link.split(":");
  const parameter = searchParametersOf(type).get(code);
  if (parameter === undefined)
    return err({ reason: "parameter_unknown", text: `${type} has no search parameter ${code}.` });
  const targets = parameter.target ?? [...resourceTypes];
  if (parameter.type !== "reference" || (only !== undefined && !targets.includes(only)))
    return err({ reason: "unsupported", text: `${link} does not lead to another resource.` });
  // 146 types each way grow to millions within three links; few parameters point at every type, and those can name one.
  if (only === undefined && targets.length > anyTypeMax && /\.|^_has:/u.test(rest))
    return err({ reason: "unsupported", text: `${link} must name a type to be followed further.` });

  const hops: { readonly target: string; readonly criterion: Criterion }[] = [];
  let refusal: SearchRefusal = { reason: "parameter_unknown", text: `${link} leads nowhere.` };
  for (const target of only === undefined ? targets : [only]) {
    const criterion = read(target, rest, written, index);
    if (criterion.ok) hops.push({ target, criterion: criterion.value });
    else refusal = criterion.error;
  }
  // R4: a parameter that only some of the targets have is asked of those.
  if (hops.length === 0) return err(refusal);
  return ok(joined(() => linked()));

  function* linked(): Iterable<Stored> {
    for (const { target, criterion } of hops)
      for (const { id } of index.matching(target, [criterion]))
        yield* index.referring(type, code, `${target}/${id}`);
  }
}

/** A criterion that is met by a set, found when it is first asked for. */
export function joined(find: () => Iterable<Stored>): Criterion {
  let found: ReadonlySet<Stored> | undefined;
  const all = () => (found ??= new Set(find()));
  return { meets: (resource) => all().has(resource as Stored), candidates: all }; // what is not stored is in no set
}
