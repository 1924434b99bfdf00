import { isAskedFor } from "#fhir/asked";
import { meets, undecidable } from "#fhir/criteria";
import { isId } from "#fhir/reference";
import { textAt, type JsonObject } from "#fhir/json";
import type { Search } from "#fhir/search";
import { err, ok, type Result } from "#kernel/result";
import { originUrls } from "#phi/origin-urls";
import { cutResource } from "#phi/redact";
import type { CompiledPolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import type { PolicyRefusal } from "#policy/grant";
import type { Access } from "#policy/hold";
import { allRows, type Ask, type RowsRefusal } from "./all-rows.ts";

export type CriteriaRefusal =
  | PolicyRefusal
  | RowsRefusal
  | { readonly reason: "criteria_not_carried"; readonly parameter: string }
  /** More than one row that may be seen (FHIR R4 http §3.1.0.5.1). */
  | { readonly reason: "criteria_ambiguous" };

export interface CriteriaScene {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  /** FHIR base that the client calls. */
  readonly base: string;
  readonly ask: Ask;
}

// Criteria that find more name no resource.
const rowsMax = 1_000;

/**
 * The one resource that a conditional form means: among what its writer may search for and see, judged row by row, so that a hidden row
 * neither counts nor shows. The origin is never given the condition itself, since it would count hidden rows.
 *
 * @returns its id; `undefined`: there is none.
 */
export async function findByCriteria(criteria: Search, scene: CriteriaScene): Promise<Result<string | undefined, CriteriaRefusal>> {
  const parameter = undecidable(criteria);
  if (parameter !== undefined) return err({ reason: "criteria_not_carried", parameter });
  const grant = evaluate(scene.policy, scene.access, { kind: "search", posted: true, ...criteria });
  if (!grant.ok) return grant;
  const { ask, viewOf, viewInside } = grant.value;
  const counts = (row: JsonObject, base: string) => viewOf(row, base) !== undefined; // how many are hidden must not decide
  const found = await allRows(ask, rowsMax, scene.ask, counts);
  if (!found.ok) return found;
  const { rows, base } = found.value;
  const bases = { origin: base, public: scene.base };
  const ids = new Set<string>();
  for (const row of rows) {
    const view = isAskedFor(row, criteria.parameters, base) ? viewOf(row, base) : undefined;
    const cut = view && cutResource(row, view, { bases, urls: originUrls(bases), viewInside: (inside) => viewInside(inside, base) });
    const id = textAt(row, "id");
    // By what may be seen of it: a value that is hidden finds nothing.
    const isMatch =
      cut?.ok === true &&
      (meets(cut.value.resource, criteria.parameters, base) || meets(cut.value.resource, criteria.parameters, scene.base));
    if (isMatch && textAt(row, "resourceType") === criteria.type && id !== undefined && isId(id)) ids.add(id);
  }
  const [only, ...others] = ids;
  return others.length > 0 ? err({ reason: "criteria_ambiguous" }) : ok(only);
}
