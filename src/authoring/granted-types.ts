import { isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import type { CompiledRule } from "#policy/compile";
import { formTableOf, withheldTypes } from "#policy/form/fates";
import { canCoverSome, rowAccessOf } from "#policy/row-access";
import { shownPaths } from "#policy/view/view-diff";
import { fateInForm } from "./explain-form.ts";
import { asDecided, type Explained } from "./explain-step.ts";
import { conditionText } from "./row-kinds.ts";

/** The rows of a type that leave under equal conditions, and all of their elements that leave. */
export interface GrantedRows {
  readonly type: string;
  /** `read`, `search`, or both. */
  readonly interactions: readonly string[];
  /** The conditions that each row meets; empty: all rows of the scopes. */
  readonly conditions: readonly string[];
  /** The references by which a visible row opens these rows; empty if their own patient decides. */
  readonly referredBy: readonly string[];
  /** `why`: the change that the form of the policy makes; empty: the element leaves as it is. */
  readonly elements: readonly { readonly path: string; readonly why: string }[];
}

const readings = { read: "r", search: "s" } as const;

/**
 * Every type, and each of its elements, that a policy and scopes let a client see, by the compiled views that cut
 * answers. Rows that several entries cover show the elements of all of them.
 */
export function grantedTypes(about: Explained): readonly GrantedRows[] {
  const { document, access, policy } = asDecided(about);
  const form = document.form && formTableOf(document.form);
  return r4ResourceTypes.flatMap((type): readonly GrantedRows[] => {
    if (!isResourceType(type) || (form !== undefined && Object.hasOwn(withheldTypes, type))) return [];
    const described = policy.rulesFor(type).flatMap((rule) => {
      const interactions = (["read", "search"] as const).filter((interaction) => {
        const rows = rowAccessOf(access, type, readings[interaction]);
        const mayCover = rows !== undefined && (canCoverSome(rows, type) || rule.referredBy.size > 0);
        return mayCover && rule.interactions.has(interaction);
      });
      const conditions = rule.conditions.map(conditionText);
      const alike = { type, interactions, conditions, referredBy: [...rule.referredBy] };
      return interactions.length === 0 ? [] : [{ rule, alike }];
    });
    const groups = Map.groupBy(described, ({ alike }) => JSON.stringify(alike));
    return [...groups.values()].flatMap((same) => {
      const elements = elementsOf(same.map(({ rule }) => rule));
      return same.slice(0, 1).map(({ alike }) => Object.assign(alike, { elements }));
    });

    function elementsOf(rules: readonly CompiledRule[]): GrantedRows["elements"] {
      return shownPaths(policy.viewOf(type, rules).object).map((path) => ({
        path,
        why: form === undefined ? "" : fateInForm(type, path, form),
      }));
    }
  });
}
