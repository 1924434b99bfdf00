import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { decodeRecord, encodeRecord } from "#audit/record";
import { isNextPart, rejoin } from "#audit/rejoin";
import { splitEvent } from "#audit/split";
import { instant } from "#kernel/clock";

const event: AuditEvent = {
  id: "0".repeat(32),
  step: 2,
  at: instant(1_790_000_000_000),
  kind: "disclosure",
  who: { client: "research" },
  what: { interaction: "search-type", type: "Observation", parameters: [["code", "x"]] },
  patients: Array.from({ length: 1200 }, (_, n) => ({
    patient: `main/Patient/p${n}`,
    counts: { Observation: n },
    ...(n % 2 === 0 ? { state: "MA" } : {}),
  })),
  unnamed: ["Device/a"],
  counts: { Observation: 719_400 },
  traceId: "a trace",
};

function recordsOf(whole: AuditEvent) {
  const parts = splitEvent(whole);
  if (!parts.ok) throw new Error(parts.error);
  return parts.value.map((part, i) => {
    const record = decodeRecord(encodeRecord(part, i + 1, parts.value.length, new Uint8Array(32)));
    if (!record.ok) throw new Error(record.error);
    return record.value;
  });
}

test("the records of an event, put together, are the event", ({ expect }) => {
  const records = recordsOf(event);
  expect(records).toHaveLength(3);
  const [single] = recordsOf({ ...event, patients: [] });
  expect(rejoin(records)).toEqual({ ...single?.event, patients: event.patients });
});

test("a record goes on only with the next part of the same event", ({ expect }) => {
  const [first, second, third] = recordsOf(event);
  const [other] = recordsOf({ ...event, step: 3 });
  if (first === undefined || second === undefined || third === undefined || other === undefined)
    throw new Error("too few parts");
  expect(isNextPart(first, second)).toBe(true);
  expect(isNextPart(first, third)).toBe(false);
  expect(isNextPart(second, first)).toBe(false);
  expect(isNextPart(first, { ...second, event: other.event })).toBe(false);
  expect(isNextPart(first, { ...second, parts: 4 })).toBe(false);
});

test("a part with a different client, time, reason or outcome does not continue the event before it", ({
  expect,
}) => {
  const [first, second] = recordsOf(event);
  if (first === undefined || second === undefined)
    throw new Error("an event of 1,200 patients has several records");
  expect(isNextPart(first, second)).toBe(true);
  const others: Partial<AuditEvent>[] = [
    { who: { client: "payer" } },
    { at: instant(event.at + 1) },
    { from: { country: "US" } },
    { why: { purposes: ["TREAT"] } },
    { outcome: { status: 200 } },
    { what: { interaction: "read" } },
  ];
  for (const other of others)
    expect(
      isNextPart(first, { ...second, event: { ...second.event, ...other } }),
      JSON.stringify(other),
    ).toBe(false);
});
