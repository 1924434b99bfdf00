import { test } from "vitest";
import { exceptionToShow, informationBlockingException } from "#audit/information-blocking";
import type { AuditEvent } from "#audit/event";
import { withCurrentReasons } from "#audit/renamed-reasons";
import { faceOf } from "#entrypoint/gateway-face";
import { instant } from "#kernel/clock";
import { allRefusals } from "#entrypoint/all-refusals";
import { operationOutcome } from "#fhir/outcome";

test("a refusal that type, purpose or policy decided names its exception in the answer, a row's refusal in the record alone", ({
  expect,
}) => {
  const body = (reason: "rule_missing" | "row_outside_access" | "absent") => {
    const { code, text, exception } = faceOf({ reason });
    return operationOutcome({ severity: "error", code, text, exception, requestId: "r" }).issue[0]?.details;
  };
  expect(body("rule_missing")).toMatchObject({
    coding: [{ system: "https://www.ecfr.gov/current/title-45/part-171", code: "171.202(b)" }],
  });
  expect(body("row_outside_access")).toEqual(body("absent"));
  expect(body("row_outside_access")).not.toHaveProperty("coding");
  expect(informationBlockingException("row_outside_access", "TREAT")).toBe("171.202(e)");
  expect(informationBlockingException("row_outside_access", "PATRQT")).toBe("171.202(b)");
});

test("an exception is shown only for a reason with a public answer of its own, 403", ({ expect }) => {
  const shown = Object.entries(allRefusals).filter(([reason]) => exceptionToShow(reason) !== undefined);
  expect(shown.length).toBeGreaterThan(10);
  for (const [reason, row] of shown)
    expect("gateway" in row && [400, 403].includes(row.gateway.status), reason).toBe(true);
});

test("a reader of a record gets the exception, also under the old code of a reason", ({ expect }) => {
  const event = (reason: string, purpose: string): AuditEvent => ({
    id: "0".repeat(32),
    at: instant(1),
    kind: "refusal",
    patients: [],
    unnamed: [],
    counts: {},
    outcome: { status: 404, reason },
    why: { purposes: [purpose] },
  });
  const read = (reason: string, purpose = "TREAT") => withCurrentReasons(event(reason, purpose)).outcome;
  expect(read("resource_withheld")).toEqual({
    status: 404,
    reason: "resource_withheld",
    exception: "171.202(e)",
  });
  expect(read("token_expired")).toMatchObject({ exception: "171.203" });
  expect(read("origin_throttled")).toMatchObject({ exception: "171.205" });
  expect(read("path_malformed")).not.toHaveProperty("exception");
});
