import type { RefusalRow } from "./public-face.ts";
import { refusalReasons } from "./refusal-reasons.ts";

type Door = keyof RefusalRow;
type Rows = typeof refusalReasons;

/** The reasons with a face at a door. */
export type ReasonsAt<D extends Door> = {
  [Reason in keyof Rows]: Rows[Reason] extends Readonly<Record<D, unknown>> ? Reason : never;
}[keyof Rows];

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

export function facesOf<D extends Door>(door: D): Faces<D, ReasonsAt<D>> {
  const rows: readonly (readonly [string, RefusalRow])[] = Object.entries(refusalReasons);
  const faces = rows.flatMap(([reason, row]) =>
    row[door] === undefined ? [] : [[reason, row[door]] as const],
  );
  return Object.fromEntries(faces) as Faces<D, ReasonsAt<D>>; // the filter above is the type's condition
}
