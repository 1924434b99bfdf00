/** HAPI's defaults, as for real servers: twenty without a `_count`, and at most a thousand. */
export const pageSizes = { default: 20, max: 1_000 } as const;

/** A `_count`, reduced to the limit; 0: only the total (R4 §3.1.1.5.4). Undefined: not a number. */
export function readPageSize(written: string): number | undefined {
  return /^\d{1,9}$/u.test(written) ? Math.min(Number(written), pageSizes.max) : undefined;
}
