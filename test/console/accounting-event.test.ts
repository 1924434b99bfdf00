import { test } from "vitest";
import type { AccountingLine } from "#audit/accounting/line";
import { ProvenLines } from "#audit/accounting/proven-lines";
import { type AccountingEvent, factsOf, isAsProven } from "#console/browser/accounting-event";

const says: AccountingLine = {
  subject: new Uint8Array(32).fill(1),
  at: 1_790_000_000_000,
  recipient: "telehealth",
  purposes: ["TREAT"],
  agreement: undefined,
  counts: { Observation: 12, Patient: 1 },
};
const event: AccountingEvent = {
  resourceType: "AuditEvent",
  recorded: new Date(says.at).toISOString(),
  purposeOfEvent: [{ coding: [{ code: "TREAT" }] }],
  agent: [
    { requestor: false, who: { display: "Phylax" } },
    { requestor: true, who: { identifier: { value: "telehealth" }, display: "Telehealth" } },
  ],
  entity: [
    { what: { reference: "Patient/a" } },
    { detail: [{ type: "disclosed", valueString: "Observation 12, Patient 1" }] },
  ],
};

test("a row is proven only if its time, recipient, purposes and resources are those of the line", ({
  expect,
}) => {
  const isProven = (changed: Partial<AccountingEvent>) => isAsProven(factsOf({ ...event, ...changed }), says);
  const stranger = { requestor: true, who: { identifier: { value: "broker" }, display: "Telehealth" } };
  expect(isProven({})).toBe(true);
  expect(isProven({ recorded: "2026-01-01T00:00:00.000Z" })).toBe(false);
  expect(isProven({ purposeOfEvent: [{ coding: [{ code: "HPAYMT" }] }] })).toBe(false);
  expect(isProven({ purposeOfEvent: [] })).toBe(false);
  expect(isProven({ agent: [stranger] })).toBe(false);
  // the row shows the first requestor: a second requestor with the right id does not help
  expect(isProven({ agent: [stranger, ...(event.agent ?? [])] })).toBe(false);
  const shows = (valueString: string) => ({ detail: [{ type: "disclosed", valueString }] });
  expect(isProven({ entity: [shows("Patient 1")] })).toBe(false);
  expect(isProven({ entity: [shows("Patient 1"), shows("Observation 12, Patient 1")] })).toBe(false);
  expect(isProven({ entity: [] })).toBe(false);
});

test("a proof counts for a single row, and each record of a patient has its own subject", ({ expect }) => {
  const lines = new ProvenLines();
  const place = (index: number) => ({ log: "s0-2026h2", index, line: 0 });
  const other = { subject: new Uint8Array(32).fill(2) };
  expect(lines.add(place(1), says, "Patient/a")).toBe(undefined);
  expect(lines.add(place(1), says, "Patient/a")).toBe("shown_before");
  expect(lines.add(place(2), other, "Patient/a")).toBe("of_another_record");
  expect(lines.add(place(3), says, "Patient/b")).toBe("of_another_record");
  expect(lines.add(place(4), says, "Patient/a")).toBe(undefined);
  expect(lines.add({ ...place(4), line: 1 }, other, "Patient/b")).toBe(undefined);
});
