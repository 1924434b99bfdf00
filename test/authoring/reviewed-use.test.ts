import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { ReviewedUse } from "#authoring/reviewed-use";
import { instant } from "#kernel/clock";

const day = 86_400_000;
const now = instant(20_000 * day);
const grant = { client: "app", origin: "main", purpose: "TREAT" };

const event = (daysAgo: number, more: Partial<AuditEvent>): AuditEvent => ({
  id: "0".repeat(32),
  at: instant(now - daysAgo * day),
  kind: "administration",
  counts: {},
  patients: [],
  unnamed: [],
  ...more,
});
const read = (daysAgo: number): AuditEvent =>
  event(daysAgo, {
    kind: "disclosure",
    what: { interaction: "read", type: "Patient", id: "amara" },
    why: { grant: "app/main/TREAT", purposes: ["TREAT"] },
    outcome: { status: 200 },
  });
/** The effect of a change, in two records. */
const changed = (daysAgo: number, entry: object): readonly AuditEvent[] => {
  const text = JSON.stringify([entry]);
  const halves = [text.slice(0, 20), text.slice(20)];
  return halves.map((half, i) =>
    event(daysAgo, { document: { role: "effect", text: half, part: i + 1, parts: 2 } }),
  );
};

function useBy(events: readonly AuditEvent[]) {
  const use = new ReviewedUse([grant], 90, now);
  for (const each of events) use.add(each);
  const { used, since, isCovered } = use.of(grant);
  return { count: used.count, daysAgo: since === undefined ? undefined : (now - since) / day, isCovered };
}

test("no use counts once the records reach back to the beginning of the period", ({ expect }) => {
  expect(useBy([])).toEqual({ count: 0, daysAgo: undefined, isCovered: false });
  expect(useBy([event(89, {})])).toEqual({ count: 0, daysAgo: 89, isCovered: false });
  expect(useBy([event(90, {})])).toEqual({ count: 0, daysAgo: 90, isCovered: true });
  expect(useBy([read(91), read(3)]), "a use before the period is no use in it").toEqual({
    count: 1,
    daysAgo: 91,
    isCovered: true,
  });
});

test("a grant that was added in the period is not judged, a grant that was changed is", ({ expect }) => {
  const added = { kind: "grant", name: "app main TREAT", after: {} };
  const of = (daysAgo: number, entry: object) => useBy([event(400, {}), ...changed(daysAgo, entry)]);
  expect(of(5, added)).toMatchObject({ daysAgo: 5, isCovered: false });
  expect(of(100, added)).toMatchObject({ daysAgo: 100, isCovered: true });
  expect(of(5, { ...added, before: {} })).toMatchObject({ daysAgo: 400, isCovered: true });
  expect(of(5, { ...added, name: "app main HPAYMT" })).toMatchObject({ daysAgo: 400, isCovered: true });
  expect(of(5, { ...added, kind: "policy" })).toMatchObject({ daysAgo: 400, isCovered: true });
});
