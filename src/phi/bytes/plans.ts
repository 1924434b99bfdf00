import type { FactPath } from "#fhir/json/facts";
import type { ResourceView } from "#policy/compile";
import { Plan } from "./plan.ts";
import { unusual } from "./unusual.ts";

// The lists of facts of one policy and type differ by the search parameters of a request.
const listsMax = 16;

const plans = new WeakMap<ResourceView, Map<string, Plan | "unusual">>();

/** The plan for a view, compiled once for each list of facts. Throws `unusual` for a view that has none. */
export function planOf(view: ResourceView, facts: readonly FactPath[], key: string): Plan {
  const known = plans.get(view) ?? new Map<string, Plan | "unusual">();
  plans.set(view, known);
  const plan = known.get(key) ?? compile(view, facts);
  if (!known.has(key)) {
    if (known.size >= listsMax) known.delete(known.keys().next().value ?? "");
    known.set(key, plan);
  }
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
