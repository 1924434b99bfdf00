import { test } from "vitest";
import { accountingLines, subjectOf } from "#audit/accounting/line";
import type { AuditEvent } from "#audit/event";
import { judgeLine } from "#audit/accounting/line-filter";
import { LineSums } from "#audit/accounting/line-sums";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";

const key = new Secret(new Uint8Array(32).fill(3));
const day = 86_400_000;
const eventAt = (at: number, client: string, purpose: string, agreement?: string): AuditEvent => ({
  id: "0".repeat(32),
  at: instant(at),
  kind: "disclosure",
  who: { client },
  why: { purposes: [purpose], agreement },
  patients: [{ patient: "main/Patient/1", counts: { Observation: 2 } }],
  unnamed: [],
  counts: {},
});
const contentOf = (event: AuditEvent): Uint8Array => accountingLines(event, key)[0] ?? new Uint8Array();
const lineAt = (index: number, event: AuditEvent) => ({
  patient: "main/Patient/1",
  log: "s0-2026h2",
  index,
  line: 0,
  content: contentOf(event),
});
const now = Date.UTC(2026, 10, 1);

test("disclosures to one recipient for one purpose are one sum: the first, the number, the last; any difference makes another", ({
  expect,
}) => {
  const sums = new LineSums<ReturnType<typeof lineAt>>(9);
  const lines = [
    lineAt(1, eventAt(now + day, "a", "PUBHLTH")),
    lineAt(2, eventAt(now, "a", "PUBHLTH")), // began before the event that was recorded first
    lineAt(3, eventAt(now + 2 * day, "a", "PUBHLTH")),
    lineAt(4, eventAt(now, "b", "PUBHLTH")),
    lineAt(5, eventAt(now, "a", "HRESCH")),
    lineAt(6, eventAt(now, "a", "PUBHLTH", "baa-1")),
  ];
  for (const line of lines) expect(sums.add(line)).toBe(true);
  expect(sums.all.map(({ index, sum }) => [index, sum])).toEqual([
    [
      2,
      {
        number: 3,
        last: { log: "s0-2026h2", index: 3, line: 0, at: now + 2 * day },
        counts: { Observation: 6 },
      },
    ],
    [4, undefined],
    [5, undefined],
    [6, undefined],
  ]);
});

test("a new sum is refused when there is no room, and lines of existing sums are still taken", ({
  expect,
}) => {
  const sums = new LineSums<ReturnType<typeof lineAt>>(1);
  expect(sums.add(lineAt(1, eventAt(now, "a", "PUBHLTH")))).toBe(true);
  expect(sums.add(lineAt(2, eventAt(now, "b", "PUBHLTH")))).toBe(false);
  expect(sums.add(lineAt(3, eventAt(now, "a", "PUBHLTH")))).toBe(true);
});

test("a line is listed, passed over, or withheld whatever is asked for", ({ expect }) => {
  const filter = { from: instant(now), to: instant(now + day) };
  const judge = (event: AuditEvent, changes: object = {}, without: readonly string[] = []) =>
    judgeLine(contentOf(event), { ...filter, ...changes }, without);
  const line = eventAt(now, "a", "PUBHLTH", "limited");
  expect(judge(line)).toBe("listed");
  expect(judge(eventAt(now + day, "a", "PUBHLTH"))).toBe("listed");
  expect(judge(eventAt(now - 1, "a", "PUBHLTH"))).toBe("passed");
  expect(judge(eventAt(now + day + 1, "a", "PUBHLTH"))).toBe("passed");
  expect(judge(line, { recipient: "b" })).toBe("passed");
  expect(judge(line, { purpose: "TREAT" })).toBe("passed");
  expect(judge(line, { recipient: "a", purpose: "PUBHLTH" })).toBe("listed");
  expect(judge(line, { excluded: {} })).toBe("listed");
  expect(judge(line, { excluded: { limited: "viii" } })).toBe("passed");
  expect(judge(eventAt(now, "a", "TREAT"), { excluded: {} })).toBe("passed");
  expect(judge(eventAt(now - 1, "a", "PUBHLTH"), {}, ["a"]), "whatever the time is that was asked for").toBe(
    "withheld",
  );
  expect(judgeLine(new Uint8Array([1]), filter, []), "of a later version").toBe("listed");
});

test("the subject key of a line is read without the rest of it", ({ expect }) => {
  const content = contentOf(eventAt(now, "a", "PUBHLTH"));
  expect(subjectOf(content)).toHaveLength(32);
  for (const at of [0, 1, 2, 3])
    expect(
      subjectOf(Uint8Array.from(content, (byte, i) => (i === at ? byte ^ 1 : byte))),
      `byte ${at}`,
    ).toBeUndefined();
  expect(subjectOf(content.subarray(0, 36))).toBeUndefined();
});
