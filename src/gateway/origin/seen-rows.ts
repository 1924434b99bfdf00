import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { Discloser } from "#phi/disclose";
import type { Joined } from "#phi/row-views";
import type { SearchGrant } from "#policy/grant";
import type { RowJudge } from "./pages.ts";
import type { RowReader } from "./asking.ts";

type Seen = NonNullable<ReturnType<Discloser["seen"]>>;

/** Rows of a search, as its client may see them. */
interface SeenRows {
  /** Gets each row that the client may see, and answers whether it is retained and counted. */
  readonly take: (seen: Seen, row: JsonObject, discloser: Discloser) => boolean;
  /** Answers whether a row of the type is meant at all; by default each is. */
  readonly isMeant?: (row: JsonObject, base: FhirBase) => boolean;
  readonly joined?: readonly Joined[];
}

/** Judges the rows of an answer as rows of a search. A row of another type is passed over. */
export function seenRows(
  grant: SearchGrant,
  origin: Pick<RowReader, "basesAt">,
  { take, isMeant = () => true, joined }: SeenRows,
): Required<Pick<RowJudge, "needs" | "keeps">> {
  let discloser: Discloser | undefined;
  const judgeOf = (row: JsonObject, base: FhirBase): Discloser | undefined => {
    if (textAt(row, "resourceType") !== grant.expects.type || !isMeant(row, base)) return undefined;
    return (discloser ??= new Discloser(grant, origin.basesAt(base), joined));
  };
  return {
    needs: (row, base) => judgeOf(row, base)?.needs(row),
    keeps: (row, base) => {
      const judge = judgeOf(row, base);
      const seen = judge?.seen(row);
      return judge !== undefined && seen !== undefined && take(seen, row, judge);
    },
  };
}
