import type * as Structure from "#fhir/r4/structure.gen";
import type * as Summary from "#fhir/r4/summary.gen";
import type * as Ties from "#fhir/r4/ties.gen";

// Three tables of R4 in the gateway's bundle (wrangler.toml). No row is judged before the isolate has the policy of a
// grant, and `control` hands over both (ADR 116). Before that each use throws.
export let r4Codes: string;
export let r4CodeSystems: string;
export let r4HtmlElements: string;
export let r4HtmlAttributes: string;
export let r4Summaries: string;
export let r4Ties: typeof Ties.r4Ties;

export function keepTables(handed: typeof Structure & typeof Summary & typeof Ties): void {
  ({ r4Codes, r4CodeSystems, r4HtmlElements, r4HtmlAttributes, r4Summaries, r4Ties } = handed);
}
