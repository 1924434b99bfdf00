import { isArray, isObject, type Json } from "#fhir/json/json";
import { canariesIn, patients, type Kept, type Row, type Tape } from "./small-world.ts";
import type { Knowable, Step } from "./what-may-be-known.ts";

/**
 * A world that its asker cannot distinguish from this one: hidden values differ, hidden references have new
 * targets, hidden elements are removed, hidden rows are removed or added.
 */
export function twinOf(world: readonly Kept[], knowable: Knowable, tape: Tape): readonly Kept[] {
  const known = knowable.canaries(["read", "search"]);
  const changed = ({ now, before }: Kept): Kept => ({
    now: changeRow(now, [now], { knowable, known, tape }),
    before: before && changeRow(before, [before, now], { knowable, known, tape }),
  });
  return world.flatMap((kept) => {
    if (knowable.reaches(kept.now)) return [changed(kept)];
    switch (tape.below(3)) {
      case 0:
        return [];
      case 1:
        return [
          changed(kept),
          changed({ ...kept, now: { ...kept.now, id: `${kept.now.id}-more` }, before: undefined }),
        ];
      default:
        return [changed(kept)];
    }
  });
}

interface Changing {
  readonly knowable: Knowable;
  readonly known: ReadonlySet<string>;
  readonly tape: Tape;
}

const optional: ReadonlySet<string> = new Set([
  "note",
  "method",
  "reasonCode",
  "recorder",
  "telecom",
  "address",
  "comment",
]);

function changeRow(row: Row, versions: readonly Row[], changing: Changing): Row {
  const { knowable, tape } = changing;
  const change = (value: Json, trail: readonly Step[]): Json => {
    if (typeof value === "string") return changeText(value, row, versions, trail, changing);
    if (isArray(value))
      return value.map((item) =>
        change(
          item,
          trail.map((step, at) => (at === trail.length - 1 && isObject(item) ? { ...step, item } : step)),
        ),
      );
    if (!isObject(value)) return value;
    const entries = Object.entries(value).flatMap(([name, below]): [string, Json][] => {
      if (below === undefined) return [];
      const on = [...trail, { name, item: isObject(below) ? below : {} }];
      const isGone =
        trail.length === 0 &&
        optional.has(name) &&
        !canariesIn(JSON.stringify(below)).some((canary) => changing.known.has(canary)) &&
        !knowable.shows(versions, on) &&
        tape.below(2) === 1;
      return isGone ? [] : [[name, change(below, on)]];
    });
    return Object.fromEntries(entries);
  };
  return change(row, []) as Row; // the same members
}

function changeText(
  text: string,
  row: Row,
  versions: readonly Row[],
  trail: readonly Step[],
  { knowable, known, tape }: Changing,
): string {
  const [first] = trail;
  if (trail.at(-1)?.name === "reference") {
    const decides =
      first?.name === "subject" ||
      first?.name === "actor" ||
      (first?.name === "participant" && row.resourceType === "Appointment") ||
      (first?.name === "performer" && row["subject"] === undefined);
    if (decides || text.startsWith("#") || knowable.shows(versions, trail)) return text;
    return text
      .replace(/Patient\/\w+/u, `Patient/${tape.of(...patients)}`)
      .replace(/Practitioner\/\w+/u, `Practitioner/${tape.of("vera", "otto")}`)
      .replace(/Encounter\/\w+/u, `Encounter/${tape.of("e1", "e2", "e3")}`);
  }
  if (first?.name === "meta") return text;
  return canariesIn(text)
    .filter((canary) => !known.has(canary))
    .reduce((changed, canary) => changed.replace(canary, other(canary)), text);
}

/** A new date or text, unique in all worlds. */
const other = (canary: string): string =>
  canary.startsWith("k")
    ? `k9${canary.slice(1, -1)}99z`
    : new Date(Date.parse(canary) + 20_000 * 86_400_000).toISOString().slice(0, 10);
