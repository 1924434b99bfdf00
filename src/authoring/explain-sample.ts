import type { Nesting } from "#fhir/r4/compartment";
import { matchesSearch } from "#fhir/search/match";
import { isResourceType } from "#fhir/r4/elements";
import type { Interaction, Reading } from "#fhir/interaction";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { ResourceView } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateWrite, type PlainWrite } from "#policy/evaluate-write";
import { explainRow, rulesOf } from "./explain-row.ts";
import type { Explained } from "./explain-step.ts";
import { explainRedaction, type RedactionChange } from "./explain-redaction.ts";
import { narrowView } from "#phi/narrow-view";
import { originUrls } from "#phi/origin-urls";
import { createProblems } from "./prove-create.ts";
import type { RedactRefusal } from "#phi/redact";

/** What a request would make of one resource. */
export interface SampleExplanation {
  /** Whether it is what would be written, not what would leave. */
  readonly writes: boolean;
  /** Why nothing of it leaves, or may be written; empty when it does. */
  readonly kept: readonly string[];
  /** The rules that reach it, by their places. */
  readonly rules: readonly string[];
  readonly before: JsonObject;
  readonly after: JsonObject | undefined;
  readonly changes: readonly RedactionChange[];
}

const refusals: Readonly<Record<RedactRefusal, string>> = {
  modifier_extension: "it holds a modifier extension that no rule names, which could negate what is shown",
  implicit_rules: "it has implicitRules, which could negate what is shown",
  malformed: "it has not the structure of R4",
  too_many_patients: "it names more patients than one record has room for",
};

// Addresses of nobody: what is below the origin's base is shown below the gateway's.
const bases = { origin: "https://origin.invalid/fhir", public: "https://gateway.invalid/v1/fhir/main" };

/**
 * Runs one resource through the engine that serves requests, as what the interaction would find, or would
 * write.
 */
export function explainSample(
  about: Explained,
  interaction: Interaction,
  resource: JsonObject,
): SampleExplanation {
  const type = textAt(resource, "resourceType") ?? "";
  const asked = askedOf(interaction, type);
  const unseen = {
    writes: asked?.does === "write",
    rules: [],
    before: resource,
    after: undefined,
    changes: [],
  };
  if (asked === undefined) return { ...unseen, kept: [`the request is about no ${type}`] };
  const right = rightOf(asked);
  const { view, inside, mayLinkTo, elements, isAsked } =
    asked.does === "read" ? toRead(about, asked.what, resource) : toWrite(about, asked.what, resource);
  if (view === undefined) {
    const why = explainRow(about, resource, right, bases.origin);
    return {
      ...unseen,
      kept: why.length > 0 ? why : ["the request is refused, or no rule that allows the search is about it"],
    };
  }
  if (!isAsked) return { ...unseen, kept: ["it is not what the parameters ask for"] };
  if (asked.what.kind === "create") {
    const problems = createProblems(about, asked.what.type, resource, bases);
    if (problems.length > 0) return { ...unseen, kept: problems };
  }
  const wanted = elements === undefined ? view : narrowView(view, elements);
  const cut = explainRedaction(resource, wanted, {
    bases,
    urls: originUrls(bases),
    viewInside: inside,
    mayLinkTo,
  });
  if (!cut.ok) return { ...unseen, kept: [refusals[cut.error]] };
  const { after, changes } = cut.value;
  const told = changes.map(({ kind, path, why }) => ({
    kind,
    path,
    why: isLeftOut(path, view, wanted) ? "_elements leaves it out" : why,
  }));
  return { ...unseen, kept: [], rules: rulesOf(about, resource, right.interaction), after, changes: told };
}

const isLeftOut = (name: string, view: ResourceView, wanted: ResourceView): boolean =>
  view.object.elements.has(name) && !wanted.object.elements.has(name);

type Asked =
  | { readonly does: "read"; readonly what: Reading }
  | { readonly does: "write"; readonly what: PlainWrite };

/** What an interaction asks of one row of this type. */
function askedOf(interaction: Interaction, type: string): Asked | undefined {
  if (
    !isResourceType(type) ||
    ("type" in interaction && interaction.kind !== "everything" && interaction.type !== type)
  )
    return undefined;
  const id = "sample";
  switch (interaction.kind) {
    case "read":
    case "vread":
    case "search":
      return { does: "read", what: interaction };
    case "lastn":
      return { does: "read", what: { ...interaction, kind: "search", posted: false } };
    case "history":
    case "everything":
      return { does: "read", what: { kind: "read", type, id } };
    case "create":
      return { does: "write", what: { kind: "create", type } };
    case "update":
    case "patch":
    case "delete":
      return { does: "write", what: { kind: interaction.kind, type, id } };
    case "conditional-update":
      return { does: "write", what: { kind: "update", type, id } };
    case "conditional-patch":
      return { does: "write", what: { kind: "patch", type, id } };
    case "conditional-delete":
      return { does: "write", what: { kind: "delete", type, id } };
    case "capabilities":
    case "validate":
    case "batch":
    case "disclosures":
      return undefined;
  }
}

function rightOf({ what }: Asked): Parameters<typeof explainRow>[2] {
  switch (what.kind) {
    case "read":
    case "vread":
      return { interaction: "read", permission: "r" };
    case "search":
      return { interaction: "search", permission: "s" };
    case "create":
      return { interaction: "create", permission: "c" };
    case "update":
    case "patch":
      return { interaction: "update", permission: "u" };
    case "delete":
      return { interaction: "delete", permission: "d" };
  }
}

interface Views {
  /** Whether it is what the parameters of a search ask for. */
  readonly isAsked: boolean;
  /** Beyond which nothing is wanted (`_elements`). */
  readonly elements: ReadonlySet<string> | undefined;
  readonly view: ResourceView | undefined;
  readonly inside: (resource: JsonObject, nesting: Nesting) => ResourceView | undefined;
  readonly mayLinkTo: (other: JsonObject) => boolean;
}

const none: Views = {
  isAsked: true,
  elements: undefined,
  view: undefined,
  inside: () => undefined,
  mayLinkTo: () => false,
};

function toRead({ policy, access }: Explained, reading: Reading, resource: JsonObject): Views {
  const granted = evaluate(policy, access, reading);
  if (!granted.ok) return none;
  const { viewOf, viewInside, mayLinkTo, elements, asked } = granted.value;
  return {
    isAsked: matchesSearch(resource, asked, bases.origin),
    elements,
    view: viewOf(resource, bases.origin),
    inside: (inside, nesting) => viewInside(inside, bases.origin, nesting),
    mayLinkTo: (other) => mayLinkTo(other, bases.origin),
  };
}

function toWrite({ policy, access }: Explained, write: PlainWrite, resource: JsonObject): Views {
  const granted = evaluateWrite(policy, access, write);
  if (!granted.ok) return none;
  const { writable, writableInside } = granted.value;
  const inside = (inside: JsonObject, nesting: Nesting) => writableInside(inside, bases.origin, nesting);
  return { ...none, view: writable(resource, bases.origin), inside, mayLinkTo: () => true };
}
