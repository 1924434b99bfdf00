import { elementsOf, r4ResourceTypes, type R4Element, type ResourceType } from "#fhir/r4/elements";
import { r4Summaries } from "#fhir/r4/summary.gen";

/** `_summary` (FHIR R4 §3.1.1.5.8), as far as it limits the elements of a resource. */
export type Summary = (typeof summaries)[number];

const summaries = ["true", "text", "data"] as const;

/** The elements that a reader asks for; without both members, all elements that the reader may see. */
export interface WantedElements {
  /** `_elements` */
  readonly elements?: readonly string[] | undefined;
  readonly summary?: Summary | undefined;
}

// The limit for a list: the longest type has some seventy elements.
const elementsMax = 100;

/**
 * The value of `_elements` (FHIR R4 §3.1.1.5.9): elements of the type itself, a choice with or without
 * `[x]`, or by the name of one of its forms. Undefined if the text is no such list.
 */
export function readElementList(type: ResourceType, text: string): readonly string[] | undefined {
  const names = text.split(",").map(stem);
  const all = [...elementsOf(type).values()];
  const known = names.every((name) =>
    all.some((element) => stem(element.name) === name || element.forms.some((form) => form.name === name)),
  );
  return known && names.length <= elementsMax ? names : undefined;
}

/** Undefined for `false` and `count`, which limit no elements, and for an unknown value. */
export const readSummary = (text: string | undefined): Summary | undefined =>
  summaries.find((summary) => summary === text);

/**
 * The members of a resource that the reader wants, by JSON name: the elements that both parameters name, the
 * elements that R4 requires, and the elements that change the meaning of the rest. A summary is of the type's
 * top level: an element that it has comes whole. `undefined`: all.
 */
export function wantedMembers(
  type: ResourceType,
  { elements, summary }: WantedElements,
): ReadonlySet<string> | undefined {
  if (elements === undefined && summary === undefined) return undefined;
  const wanted = new Set(["id", "meta", "contained"]); // contained resources that are still referred to
  for (const element of elementsOf(type).values()) {
    const { name, forms, required, isModifier } = element;
    const isListed = elements?.includes(stem(name)) ?? true;
    const isWhole = required || isModifier || (isListed && isOf(summary, type, element));
    for (const form of forms)
      if (isWhole || (elements?.includes(form.name) === true && isOf(summary, type, element)))
        wanted.add(form.name);
  }
  return wanted;
}

function isOf(summary: Summary | undefined, type: ResourceType, { name }: R4Element): boolean {
  switch (summary) {
    case undefined:
      return true;
    case "true":
      return isInSummary(type, name);
    case "text":
      return name === "text";
    case "data":
      return name !== "text";
  }
}

const stem = (name: string) => name.replace(/\[x\]$/u, "");

const summaryOf = new Map<ResourceType, ReadonlySet<string>>();

/** True if a summary of the type shows its own element `name` (ElementDefinition.isSummary); a choice has `[x]`. */
function isInSummary(type: ResourceType, name: string): boolean {
  let names = summaryOf.get(type);
  if (names === undefined) {
    const bits = BigInt(`0x${r4Summaries.split(" ")[r4ResourceTypes.indexOf(type)]}`);
    const elements = [...elementsOf(type).keys()].filter(
      (element) => !elementsOf("DomainResource").has(element),
    );
    names = new Set(elements.filter((_, index) => ((bits >> BigInt(index)) & 1n) === 1n));
    summaryOf.set(type, names);
  }
  return names.has(name);
}
