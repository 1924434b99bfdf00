import type { Nesting } from "#fhir/r4/compartment";
import { matchesSearch } from "#fhir/search/match";
import { isResourceType } from "#fhir/r4/elements";
import type { Interaction, Reading } from "#fhir/interaction";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { ResourceView } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateWrite, type PlainWrite, writeRights } from "#policy/evaluate-write";
import { factsFor } from "#policy/facts";
import { inFormOf } from "./explain-form.ts";
import { explainRow, rulesOf } from "./explain-row.ts";
import type { Explained } from "./explain-step.ts";
import { explainRedaction, type RedactionChange } from "./explain-redaction.ts";
import { leavingFor, membersCut } from "#phi/labelled-parts";
import { narrowView } from "#phi/narrow-view";
import { originUrls } from "#phi/origin-urls";
import { createProblems } from "./prove-create.ts";
import type { RedactRefusal } from "#phi/redact";

/** The result of a request for a sample resource. */
export interface SampleExplanation {
  /** `true`: `after` is the resource as it would be written, not as it would leave. */
  readonly writes: boolean;
  /** The reasons why nothing of the sample leaves, or may be written; empty if it does. */
  readonly kept: readonly string[];
  /** The rules that cover the sample, by their places. */
  readonly rules: readonly string[];
  readonly before: JsonObject;
  readonly after: JsonObject | undefined;
  readonly changes: readonly RedactionChange[];
}

const refusals: Readonly<Record<RedactRefusal, string>> = {
  modifier_extension:
    "it has a modifier extension that no rule names, and that could negate the shown elements",
  implicit_rules: "it has implicitRules, which could negate the shown elements",
  malformed: "it does not have the structure of R4",
  too_many_patients: "it names more patients than one record has room for",
};

// Addresses that do not exist: a URL below the origin's base is shown below the gateway's base.
export const sampleBase = "https://origin.invalid/fhir";
const bases = { origin: sampleBase, public: "https://gateway.invalid/v1/fhir/main" };

/**
 * Runs a resource through the engine that serves requests, as if the interaction had found it, or would write
 * it.
 */
export function explainSample(
  about: Explained,
  interaction: Interaction,
  resource: JsonObject,
): SampleExplanation {
  const type = textAt(resource, "resourceType") ?? "";
  const part = partOf(interaction, type);
  const withheld = {
    writes: part?.does === "write",
    rules: [],
    before: resource,
    after: undefined,
    changes: [],
  };
  if (part === undefined) return { ...withheld, kept: [`the request concerns no ${type}`] };
  const right = rights[part.what.kind];
  const { view, viewNested, mayLinkTo, elements, isRequested, leaving } =
    part.does === "read" ? viewsToRead(about, part.what, resource) : viewsToWrite(about, part.what, resource);
  if (view === undefined) {
    const why = explainRow(about, resource, right, bases.origin);
    return {
      ...withheld,
      kept: why.length > 0 ? why : ["the request is refused, or no rule that permits the search covers it"],
    };
  }
  if (!isRequested) return { ...withheld, kept: ["it does not match the search parameters"] };
  if (part.what.kind === "create") {
    const problems = createProblems(about, part.what.type, resource, bases);
    if (problems.length > 0) return { ...withheld, kept: problems };
  }
  const wanted = elements === undefined ? view : narrowView(view, elements);
  const cut = explainRedaction(leaving, wanted, {
    bases,
    urls: originUrls(bases),
    viewInside: viewNested,
    mayLinkTo,
  });
  if (!cut.ok) return { ...withheld, kept: [refusals[cut.error]] };
  const { after, changes } = cut.value;
  const labelled = [...membersCut(leaving)].map((path) => ({
    kind: "removed" as const,
    path,
    why: "it, or a part of it, has a security label that does not leave for this purpose",
  }));
  const explained = changes.map(({ kind, path, why }) => ({
    kind,
    path,
    why: isLeftOut(path, view, wanted) ? "_elements or _summary leaves it out" : why,
  }));
  const shown = {
    ...withheld,
    kept: [],
    rules: rulesOf(about, resource, right.interaction),
    after,
    changes: [...labelled, ...explained],
  };
  const { form } = about.document;
  if (form === undefined || part.does === "write") return shown;
  const year = new Date(about.access.at ?? 0).getUTCFullYear();
  const left = inFormOf(after, form, { year, base: bases.public });
  if (left === undefined) return { ...withheld, kept: [`its form withholds it: ${form.kind}`] };
  return { ...shown, after: left.after, changes: [...shown.changes, ...left.changes] };
}

const isLeftOut = (name: string, view: ResourceView, wanted: ResourceView): boolean =>
  view.object.elements.has(name) && !wanted.object.elements.has(name);

type RequestPart =
  | { readonly does: "read"; readonly what: Reading }
  | { readonly does: "write"; readonly what: PlainWrite };

/** The part of an interaction that concerns a row of this type. */
function partOf(interaction: Interaction, type: string): RequestPart | undefined {
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
    case "fileConsent":
    case "revokeConsent":
    case "batch":
    case "disclosures":
      return undefined;
  }
}

/** The right that a reading or a write asks for. */
const rights = {
  read: { interaction: "read", permission: "r" },
  vread: { interaction: "read", permission: "r" },
  search: { interaction: "search", permission: "s" },
  ...writeRights,
} as const satisfies Readonly<Record<RequestPart["what"]["kind"], Parameters<typeof explainRow>[2]>>;

interface Views {
  /** The sample without the elements whose labels may not leave. */
  readonly leaving: JsonObject;
  /** Answers whether the sample matches the parameters of a search. */
  readonly isRequested: boolean;
  /** The elements that the client wants (`_elements`, `_summary`). */
  readonly elements: ReadonlySet<string> | undefined;
  readonly view: ResourceView | undefined;
  readonly viewNested: (resource: JsonObject, nesting: Nesting) => ResourceView | undefined;
  readonly mayLinkTo: (other: JsonObject) => boolean;
}

const none: Omit<Views, "leaving"> = {
  isRequested: true,
  elements: undefined,
  view: undefined,
  viewNested: () => undefined,
  mayLinkTo: () => false,
};

function viewsToRead({ policy, access }: Explained, reading: Reading, resource: JsonObject): Views {
  const granted = evaluate(policy, access, reading);
  if (!granted.ok) return { ...none, leaving: resource };
  const { viewOf, viewInside, mayLinkTo, elements, clientParameters } = granted.value;
  const leaving = leavingFor(granted.value, resource, factsFor(granted.value, resource), bases.origin);
  if (leaving === undefined) return { ...none, leaving: resource };
  const facts = factsFor(granted.value, leaving);
  return {
    leaving,
    isRequested: matchesSearch(facts, clientParameters, bases.origin),
    elements,
    view: viewOf(facts, bases.origin),
    viewNested: (nested, nesting) => viewInside(factsFor(granted.value, nested), bases.origin, nesting),
    mayLinkTo: (other) => mayLinkTo(other, bases.origin),
  };
}

function viewsToWrite({ policy, access }: Explained, write: PlainWrite, resource: JsonObject): Views {
  const granted = evaluateWrite(policy, access, write);
  if (!granted.ok) return { ...none, leaving: resource };
  const { writable, writableInside } = granted.value;
  const viewNested = (nested: JsonObject, nesting: Nesting) =>
    writableInside(factsFor(granted.value, nested), bases.origin, nesting);
  return {
    ...none,
    leaving: resource,
    view: writable(factsFor(granted.value, resource), bases.origin),
    viewNested,
    mayLinkTo: () => true,
  };
}
