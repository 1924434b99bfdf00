import { expect, test } from "vitest";
import type { StoredExport } from "#doors/bulk/export-jobs";
import { manifestOf, messagesOf } from "#doors/bulk/manifest";
import { instant } from "#kernel/clock";

const base = "https://gateway.example/fhir/main";
const id = "0123456789abcdef0123456789abcdef";
const stored: StoredExport = {
  id,
  owner: "payer",
  base,
  request: `${base}/Group/payer-1/$export?_type=Patient`,
  level: "group",
  origin: "main",
  purpose: "HPAYMT",
  startedAt: instant(Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
  expires: instant(Date.UTC(2026, 0, 3)),
  patients: { group: "payer-1", named: undefined },
  files: [
    { type: "Patient", queries: [] },
    { type: "Observation", queries: [] },
  ],
  ignored: ["organizeOutputBy", "custom"],
  withheldTypes: [
    { type: "AuditEvent", why: "not_searched" },
    { type: "Contract", why: "no_owner_parameter" },
    { type: "Practitioner", why: "no_patients" },
  ],
};

test("a manifest names each file with its type, and the start as its time, and no number of rows", () => {
  expect(manifestOf(stored)).toEqual({
    transactionTime: "2026-01-02T03:04:05.006Z",
    request: stored.request,
    requiresAccessToken: true,
    output: [
      { type: "Patient", url: `${base}/$export-file/${id}/1` },
      { type: "Observation", url: `${base}/$export-file/${id}/2` },
    ],
    deleted: [],
    error: [{ type: "OperationOutcome", url: `${base}/$export-file/${id}/3` }],
  });
});

test("an export without files and messages has empty lists", () => {
  expect(manifestOf({ ...stored, files: [], ignored: [], withheldTypes: [] })).toMatchObject({
    output: [],
    deleted: [],
    error: [],
  });
});

test("each ignored parameter and each type that stays out has an OperationOutcome of its own", () => {
  expect(messagesOf(stored)).toMatchObject(
    [
      ["warning", "The parameter organizeOutputBy is not supported and was ignored."],
      ["warning", "The parameter custom is not supported and was ignored."],
      ["error", "The client may not search the type AuditEvent, or not by time or by patient."],
      ["information", expect.stringContaining("rows of the type Contract that a patient owns")],
      ["information", expect.stringContaining("The type Practitioner has no patients")],
    ].map(([severity, text]) => ({
      resourceType: "OperationOutcome",
      issue: [{ severity, details: { text } }],
    })),
  );
});
