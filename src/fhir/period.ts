import type { Instant } from "#kernel/clock";
import { isObject, property, type Json } from "#fhir/json/json";

const dateTime =
  /^(?<year>\d{4})(?:-(?<month>\d\d)(?:-(?<day>\d\d)(?<time>T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?)?)?$/u;

/**
 * True if a Period includes a time (FHIR R4 datatypes §2.24.0.11): from its `start` until the end of the
 * day, month or year that `end` names, in UTC if `end` has no zone. An absent period includes every time; a
 * malformed Period includes none.
 */
export function holdsAt(period: Json | undefined, at: Instant): boolean {
  if (period === undefined) return true;
  if (!isObject(period)) return false;
  const [start, end] = [property(period, "start"), property(period, "end")].map((bound) =>
    bound === undefined ? undefined : spanOf(bound),
  );
  return (
    start !== null &&
    end !== null &&
    (start === undefined || at >= start[0]) &&
    (end === undefined || at < end[1])
  );
}

/**
 * The span that a dateTime covers, from and until (exclusive), in ms since 1970; null if the value is no
 * dateTime.
 */
function spanOf(text: Json): readonly [from: number, until: number] | null {
  const { year, month, day, time } = (typeof text === "string" && dateTime.exec(text)?.groups) || {};
  if (typeof text !== "string" || year === undefined) return null;
  const from = Date.parse(text);
  const [y, m, d] = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1)];
  const until =
    time !== undefined
      ? from + (time.includes(".") ? 1 : 1_000)
      : day !== undefined
        ? Date.UTC(y, m, d + 1)
        : month !== undefined
          ? Date.UTC(y, m + 1)
          : Date.UTC(y + 1, 0);
  return Number.isNaN(from) ? null : [from, until];
}
