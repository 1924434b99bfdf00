import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import type { EventOnRecord } from "#auditing/ledger-events";
import { adviceOn } from "#entrypoint/advice";
import { instant } from "#kernel/clock";
import { refusalAsAct } from "../../src/console/browser/show-records.ts";

const refusal = (outcome: AuditEvent["outcome"]): EventOnRecord =>
  ({
    event: {
      id: "5f1d7a0c9e4b4a6f8d2c3b1a09f8e7d6",
      at: instant(1),
      kind: "refusal",
      patients: [],
      unnamed: [],
      counts: {},
      ...(outcome !== undefined && { outcome }),
    },
    leaves: [],
    parts: 1,
    unknownKeys: [],
  }) as Partial<EventOnRecord> as EventOnRecord; // neither its log nor its frame counts here

test("a refusal in a client's list has its request id and the advice that the caller got", ({ expect }) => {
  const advice = adviceOn("rule_missing");
  expect(advice.join(" ")).toContain("Ask the privacy officer");
  expect(refusalAsAct(refusal({ status: 403, reason: "rule_missing" })).says).toEqual([
    "Request id 5f1d7a0c9e4b4a6f8d2c3b1a09f8e7d6",
    ...advice,
  ]);
  expect(refusalAsAct(refusal({ status: 500 })).says).toHaveLength(1);
});
