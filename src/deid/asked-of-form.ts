import type { Interaction } from "#fhir/interaction";
import type { Criteria, Search } from "#fhir/search/search";
import { askedBeyondForm, type AskedCode } from "./asked-values.ts";

/**
 * The interactions that a form answers. Versions and histories tell times; the other interactions write, or name rows in
 * ways for which no code can stand.
 */
export type CodedInteraction = Extract<
  Interaction,
  { readonly kind: "capabilities" | "read" | "search" | "lastn" | "everything" }
>;

const kinds: ReadonlySet<string> = new Set<CodedInteraction["kind"]>([
  "capabilities",
  "read",
  "search",
  "lastn",
  "everything",
]);

/** Answers whether a form has an answer to an interaction of this kind. */
export const isCoded = (interaction: Interaction): interaction is CodedInteraction =>
  kinds.has(interaction.kind);

// Two pages whose lengths differ by a row would tell the place of this row in the origin's order, and would pair the row's codes
// in two data sets: the origin's order may be the order of time.
const pageStep = 100;

/**
 * The first part of a question that no form answers; undefined: each part has an answer. The names of parameters are the policy's
 * lists, which publishing holds to the table of fates.
 *
 * @param codes gets the codes whose system has to be a public one.
 */
export function beyondForm(interaction: CodedInteraction, codes: AskedCode[]): string | undefined {
  if ("count" in interaction && (interaction.count ?? 0) % pageStep > 0) return "_count";
  switch (interaction.kind) {
    case "capabilities":
      return undefined;
    case "read":
      // Two parts of a row may tell together what no part tells alone.
      return partOf(interaction);
    case "search":
      return partOf(interaction) ?? ofSearch(interaction, codes);
    case "lastn":
      return ofSearch({ ...interaction, sort: [] }, codes);
    case "everything": {
      const { since, start, end } = interaction;
      if (since !== undefined) return "_since";
      if (start !== undefined || end !== undefined) return start === undefined ? "end" : "start";
      for (const [type, parameters] of interaction.criteria?.of ?? []) {
        const asked = askedBeyondForm({ type, parameters, joins: [] }, codes);
        if (asked !== undefined) return asked;
      }
      return undefined;
    }
  }
}

/** Answers whether a search names several rows, by their codes or by references. */
export const namesSeveral = ({ parameters, joins }: Pick<Criteria, "parameters" | "joins">): boolean =>
  parameters.some(
    ({ definition, values }) =>
      values[1] !== undefined && (definition.type === "reference" || definition.code === "_id"),
  ) || joins.some(({ of }) => of.some(namesSeveral));

const partOf = ({ elements, summary }: Pick<Search, "elements" | "summary">): string | undefined =>
  elements !== undefined ? "_elements" : summary === undefined ? undefined : "_summary";

/** A number of rows counts withheld rows. An order by codes would tell a code that does not leave. */
function ofSearch(
  search: Pick<Search, "type" | "parameters" | "joins" | "sort" | "total">,
  codes: AskedCode[],
): string | undefined {
  if (search.total !== undefined) return "_total";
  if (search.sort.some(({ definition }) => definition.type !== "date")) return "_sort";
  return askedBeyondForm(search, codes);
}
