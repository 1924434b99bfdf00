import type { FactPath } from "#fhir/json/facts";
import { OfObjects } from "#kernel/memo";
import type { ResourceView } from "#policy/compile";
import { Plan } from "./plan.ts";
import { unusual } from "./unusual.ts";

// By a view and a list of facts: a client chooses `_elements` and search parameters. A plan takes 20 KB at least.
const plans = new OfObjects<Plan | "unusual">(1_024);

/** The plan for a view, compiled once for each list of facts. Throws `unusual` for a view that has none. */
export function planOf(view: ResourceView, facts: readonly FactPath[], key: string): Plan {
  let plan = plans.get(view, key);
  if (plan === undefined) plans.set(view, key, (plan = compile(view, facts)));
  if (plan === "unusual") throw unusual;
  return plan;
}

function compile(view: ResourceView, facts: readonly FactPath[]): Plan | "unusual" {
  try {
    return new Plan(view, facts);
  } catch (fault) {
    if (fault === unusual) return "unusual";
    throw fault;
  }
}

// By type; a view that shows nothing, to read facts alone.
const hiddenViews = new Map<string, ResourceView>();

/** The view of a resource of which only the facts are read. @param type a type of R4. */
export function factsView(type: string): ResourceView {
  const view = hiddenViews.get(type) ?? {
    object: {
      type,
      everything: false,
      elements: new Map(),
      extensions: { all: false, urls: new Set<string>() },
      required: [],
    },
    subsetted: true,
    hidden: [],
  };
  hiddenViews.set(type, view);
  return view;
}
