import { askedBeyondForm, type AskedCode } from "#deid/asked-values";
import type { Criteria, Search } from "#fhir/search/search";
import type { CodedInteraction } from "#gateway/facts/coded-question";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import type { PolicyForm } from "#policy/schema";

/**
 * Answers whether a form may be answered now: a limited data set under a data use agreement (164.514(e)(4)), an expert's
 * determination between its dates. The agreement itself is in force: the principal has it.
 */
export function mayAnswerAt(
  form: PolicyForm,
  { client, agreement }: Pick<Principal, "client" | "agreement">,
  at: Instant,
): boolean {
  const day = new Date(at).toISOString().slice(0, 10);
  switch (form.kind) {
    case "limited-data-set":
      return client.agreements.find(({ id }) => id === agreement)?.kind === "data-use";
    case "safe-harbor":
      return form.noActualKnowledge.on <= day;
    case "expert":
      return form.on <= day && day < form.until;
  }
}

/**
 * Answers whether a token may be used under a form: its conditions are those of the grant. A condition that the client
 * adds, or a patient of the token, is compared with a row as it is before the form: an original id would find its code.
 */
export function areScopesOfGrant({
  scopes,
  grant,
}: Pick<Principal, "scopes"> & { readonly grant: Pick<Principal["grant"], "scopes"> }): boolean {
  const stated = new Set(grant.scopes.flatMap(({ filters }) => filters.map((each) => JSON.stringify(each))));
  return scopes.every(
    ({ context, filters }) =>
      context === "system" && filters.every((each) => stated.has(JSON.stringify(each))),
  );
}

// Two pages whose lengths differ by a row would tell the place of this row in the origin's order, which may be the order
// of time, and would pair its codes in two data sets.
const pageStep = 100;

/**
 * The part of a question that a form has no answer to; undefined: there is none. The names of parameters are the policy's
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
