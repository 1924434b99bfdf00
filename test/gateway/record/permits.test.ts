import { test } from "vitest";
import { readEvent } from "#audit/check";
import { withPermits } from "#gateway/record/permits";
import { instant } from "#kernel/clock";
import type { ConsentOfPatient } from "#policy/consent/consent-book";
import { readConsent } from "#policy/consent/read-consent";

const thp = "http://terminology.hl7.org/CodeSystem";
const reason = (code: string) => ({ system: `${thp}/v3-ActReason`, code });
const through = (patient: string, dateTime = "2026-10-01", i = 0): ConsentOfPatient => {
  const rules = readConsent(
    {
      resourceType: "Consent",
      status: "active",
      scope: { coding: [{ system: `${thp}/consentscope`, code: "patient-privacy" }] },
      category: [{ coding: [{ system: `${thp}/v3-ActCode`, code: "IDSCL" }] }],
      patient: { reference: `Patient/${patient}` },
      dateTime,
      policyRule: { coding: [{ system: `${thp}/v3-ActCode`, code: "OPTIN" }] },
      provision: { type: "permit", purpose: [reason("TREAT"), reason("x".repeat(65)), reason("a b")] },
    },
    "https://origin.example/fhir",
  );
  const version = { consent: "c".repeat(43), digest: i.toString(16).padStart(64, "0") };
  return { ...version, patient, filed: { ...version, rules, filedAt: instant(1), mayPermit: true } };
};
const eventOf = (...patients: readonly string[]) => ({
  id: "a".repeat(32),
  at: instant(1),
  kind: "disclosure" as const,
  patients: patients.map((patient) => ({ patient: `main/Patient/${patient}`, counts: { Patient: 1 } })),
  unnamed: [],
  counts: {},
});
const permitsOf = (through: readonly ConsentOfPatient[], ...events: ReturnType<typeof eventOf>[]) =>
  withPermits(events, { name: "main", facts: { permitting: through } }).map(({ permits = [] }) => permits);

test("no date and no purpose of a Consent makes the ledger refuse the disclosure or forget the Consent", ({
  expect,
}) => {
  for (const [dateTime, given] of [
    ["9999-12-31T23:59:59-14:00", undefined],
    ["0000-01-01T00:00:00+14:00", undefined],
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"],
    ["0000", "0000"],
    ["2026-10", "2026-10"],
    ["yesterday", undefined],
  ] as const) {
    const [event] = withPermits([eventOf("dana")], {
      name: "main",
      facts: { permitting: [through("dana", dateTime)] },
    });
    const read = readEvent(event);
    expect(read.ok && read.value.permits, dateTime).toEqual([
      expect.objectContaining({ patient: "main/Patient/dana", given, purposes: ["TREAT"] }),
    ]);
  }
});

test("an event has the Consents of its own patients, eight for each; an append has a thousand", ({
  expect,
}) => {
  const many = Array.from({ length: 200 }, (_, i) => through(`p${i}`));
  const danas = Array.from({ length: 12 }, (_, i) => through("dana", undefined, i));
  const [first = [], second = [], third = []] = permitsOf(
    [...many, ...danas],
    eventOf("p7", "emma"),
    eventOf("dana", "p8"),
    eventOf("emma"),
  );
  expect(first.map(({ patient }) => patient)).toEqual(["main/Patient/p7"]);
  expect(second.filter(({ patient }) => patient === "main/Patient/dana")).toHaveLength(8);
  expect([second.length, third]).toEqual([9, []]);
  const all = eventOf(...many.map(({ patient }) => patient));
  const sums = permitsOf(many, all, all, all, all, all, all).map(({ length }) => length);
  expect(sums).toEqual([200, 200, 200, 200, 200, 0]);
});

test("an event that discloses nothing has no permits", ({ expect }) => {
  expect(
    withPermits([{ ...eventOf("dana"), kind: "notice" }], {
      name: "main",
      facts: { permitting: [through("dana")] },
    }),
  ).toEqual([{ ...eventOf("dana"), kind: "notice" }]);
});
