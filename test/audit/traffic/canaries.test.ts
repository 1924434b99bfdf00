import { test } from "vitest";
import { type AuditEvent, eventKinds } from "#audit/event";
import { metricsText } from "#audit/traffic/exposition";
import { addTraffic, endsOf, trafficOf } from "#audit/traffic/count";
import { instant } from "#kernel/clock";

/** A value of each identifier of 45 CFR 164.514(b)(2)(i). */
const canaries = {
  name: "Okafor",
  place: "94110-Mission",
  date: "1957-03-04",
  telephone: "555-0100",
  fax: "555-0101",
  email: "amara@example.org",
  socialSecurity: "123-45-6789",
  recordNumber: "MRN-00417",
  planNumber: "PLAN-88213",
  account: "ACC-5512",
  licence: "LIC-D1234567",
  vehicle: "VIN-1M8GDM9A",
  device: "SN-775533",
  url: "https://amara.example.org/me",
  address: "203.0.113.77",
  biometric: "iris:9f2c",
  photograph: "face-0417.jpg",
  other: "pacemaker-17",
};

/** An event with the text in each field that a request, a patient or a row can fill. */
const eventWith = (text: string, kind: string): AuditEvent => ({
  id: text,
  at: instant(0),
  kind,
  who: { client: "clinic", subject: text, patient: text, user: text },
  from: { address: text },
  what: {
    interaction: text,
    origin: text,
    type: text,
    id: text,
    parameters: [[text, text]],
    path: text,
  },
  why: { purposes: ["TREAT"] },
  outcome: { status: 200, ...(kind === "refusal" && { reason: "scope_missing" }) },
  patients: [{ patient: text, counts: { [text]: 1 }, state: text }],
  unnamed: [text],
  counts: { [text]: 1 },
  traceId: text,
  asked: [text],
});

test("no identifier of any kind becomes a label, whatever field of whatever record holds it", ({
  expect,
}) => {
  const sum = new Map<string, number>();
  for (const kind of Object.keys(eventKinds))
    for (const canary of Object.values(canaries)) addTraffic(sum, trafficOf([eventWith(canary, kind)]));
  for (const form of ["prometheus", "openMetrics"] as const) {
    const text = metricsText(sum, form);
    expect(text).toContain('interaction="other"');
    expect(text).toContain('client="clinic"');
    for (const [kind, canary] of Object.entries(canaries)) expect(text, kind).not.toContain(canary);
  }
});

test("no identifier of any kind stands in an end that an operator watches", ({ expect }) => {
  for (const kind of Object.keys(eventKinds))
    for (const canary of Object.values(canaries)) {
      const refused = { ...eventWith(canary, kind), outcome: { status: 403, reason: "two words" } };
      expect(JSON.stringify(endsOf([refused]))).not.toContain(canary);
      expect(JSON.stringify(endsOf([refused]))).not.toContain("two words");
    }
  expect(endsOf([eventWith(canaries.name, "disclosure")])).toMatchObject([
    { interaction: "other", client: "clinic" },
  ]);
});

test("the client that an unproven caller claims is no label", ({ expect }) => {
  const claimed = { ...eventWith("read", "refusal"), who: { client: canaries.name }, why: undefined };
  expect(metricsText(trafficOf([claimed]), "prometheus")).not.toContain(canaries.name);
  expect(JSON.stringify(endsOf([claimed]))).not.toContain(canaries.name);
});
