import { isAskedFor } from "#fhir/asked";
import { meets, undecidable } from "#fhir/criteria";
import { isId } from "#fhir/reference";
import { textAt, type JsonObject } from "#fhir/json";
import type { Search } from "#fhir/search";
import { err, ok, type Result } from "#kernel/result";
import { originUrls } from "#phi/origin-urls";
import { cutResource } from "#phi/redact";
import type { Residences } from "#phi/residences";
import type { CompiledPolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import type { PolicyRefusal } from "#policy/grant";
import type { Access } from "#policy/hold";
import { allRows, type Ask, type RowsRefusal } from "./all-rows.ts";

export type CriteriaRefusal =
  | PolicyRefusal
  | RowsRefusal
  | { readonly reason: "criteria_not_supported"; readonly parameter: string }
  /** More than one row that may be seen (FHIR R4 http §3.1.0.5.1). */
  | { readonly reason: "criteria_ambiguous" };

export interface CriteriaScene {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  /** FHIR base that the client calls. */
  readonly base: string;
  readonly ask: Ask;
  readonly residences: Residences;
}

// Criteria that find more name no resource.
const rowsMax = 1_000;

/** As {@link findRow}, by its id alone. */
export async function findByCriteria(criteria: Search, scene: CriteriaScene): Promise<Result<string | undefined, CriteriaRefusal>> {
  const found = await findRow(criteria, scene);
  return found.ok ? ok(found.value?.id) : found;
}

/** A row that may be seen, and whom it is about. */
interface FoundRow {
  readonly id: string;
  readonly concerned: { readonly patients: ReadonlySet<string>; readonly unnamed: boolean };
}

/**
 * The one resource that a conditional form means: among what its writer may search for and see, judged row by row, so that a hidden row
 * neither counts nor shows. The origin is never given the condition itself, since it would count hidden rows.
 *
 * @returns `undefined`: there is none.
 */
export async function findRow(criteria: Search, scene: CriteriaScene): Promise<Result<FoundRow | undefined, CriteriaRefusal>> {
  const parameter = undecidable(criteria);
  if (parameter !== undefined) return err({ reason: "criteria_not_supported", parameter });
  const grant = evaluate(scene.policy, scene.access, { kind: "search", posted: true, ...criteria });
  if (!grant.ok) return grant;
  const { ask, viewOf, viewInside, mayLinkTo } = grant.value;
  const counts = (row: JsonObject, base: string) => viewOf(row, base) !== undefined; // how many are hidden must not decide
  const found = await allRows(ask, rowsMax, scene.ask, counts);
  if (!found.ok) return found;
  const { rows, base } = found.value;
  const bases = { origin: base, public: scene.base };
  const matches = new Map<string, FoundRow>();
  for (const row of rows) {
    scene.residences.note(row);
    const view = isAskedFor(row, criteria.parameters, base) ? viewOf(row, base) : undefined;
    const reach = {
      viewInside: (inside: JsonObject) => viewInside(inside, base),
      mayLinkTo: (other: JsonObject) => mayLinkTo(other, base),
    };
    const cut = view && cutResource(row, view, { bases, urls: originUrls(bases), ...reach });
    const id = textAt(row, "id");
    if (cut?.ok !== true || textAt(row, "resourceType") !== criteria.type || id === undefined || !isId(id)) continue;
    const { resource, patients, unnamed } = cut.value;
    // By what may be seen of it: a value that is hidden finds nothing.
    const isMatch = meets(resource, criteria.parameters, base) || meets(resource, criteria.parameters, scene.base);
    if (isMatch) matches.set(id, { id, concerned: { patients, unnamed } });
  }
  const [only, ...others] = matches.values();
  return others.length > 0 ? err({ reason: "criteria_ambiguous" }) : ok(only);
}
