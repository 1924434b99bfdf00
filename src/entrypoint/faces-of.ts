import type { operatorRefusals } from "./operator-refusals.ts";
import type { RefusalRow } from "./public-face.ts";
import { clientRefusals } from "./client-refusals.ts";

type Door = keyof RefusalRow;
/** The table that a door reads. */
type Rows<D extends Door> = D extends "admin" ? typeof operatorRefusals : typeof clientRefusals;

/** The reasons with a face at a door. */
export type ReasonsAt<D extends Door> = {
  [Reason in keyof Rows<D> & string]: Rows<D>[Reason] extends Readonly<Record<D, unknown>> ? Reason : never;
}[keyof Rows<D> & string];

type Faces<D extends Door, Reason extends string> = Readonly<Record<Reason, NonNullable<RefusalRow[D]>>>;

/**
 * The faces of a door, if the table has exactly the reasons of `Reason`; otherwise a type that does not fit
 * any table and names the difference.
 */
export type ExactFaces<D extends Door, Reason extends string> = [Exclude<ReasonsAt<D>, Reason>] extends [
  never,
]
  ? [Exclude<Reason, ReasonsAt<D>>] extends [never]
    ? Faces<D, Reason>
    : { readonly reasonsWithoutRow: Exclude<Reason, ReasonsAt<D>> }
  : { readonly rowsWithoutReason: Exclude<ReasonsAt<D>, Reason> };

/** The faces of a door for clients. */
export const facesOf = <D extends "gateway" | "token">(door: D): Faces<D, ReasonsAt<D>> =>
  facesIn(clientRefusals, door);

/** The faces of a door in the table that it reads. */
export function facesIn<D extends Door>(
  table: Readonly<Record<string, RefusalRow>>,
  door: D,
): Faces<D, ReasonsAt<D>> {
  const rows = Object.entries(table);
  const faces = rows.flatMap(([reason, row]) =>
    row[door] === undefined ? [] : [[reason, row[door]] as const],
  );
  return Object.fromEntries(faces) as Faces<D, ReasonsAt<D>>; // the filter above is the type's condition
}
