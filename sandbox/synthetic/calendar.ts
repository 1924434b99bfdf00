const day = 86_400_000;

/** Today in the synthetic world, which never changes: the data does not depend on the day of its making. */
export const today = "2026-11-01";

/** `YYYY-MM-DD`, a number of days before that day. */
export function daysAgo(days: number): string {
  return new Date(Date.parse(today) - days * day).toISOString().slice(0, 10);
}

/** A dateTime with seconds and offset, as a clinic on the East Coast writes it. */
export function at(date: string, hour: number, minute = 0): string {
  return `${date}T${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}:00-05:00`;
}
