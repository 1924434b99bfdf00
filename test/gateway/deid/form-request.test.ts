import { test } from "vitest";
import type { AgreementKind } from "#identity/agreement";
import type { ClientRecord } from "#identity/client";
import { instant } from "#kernel/clock";
import type { PolicyForm } from "#policy/schema";
import { mayAnswerAt } from "../../../src/gateway/deid/form-request.ts";

const under = (kind?: AgreementKind) => {
  const signed = { id: "signed", purposes: [], from: instant(0), to: instant(1), kind };
  return { client: { agreements: [signed] } as unknown as ClientRecord, agreement: "signed" };
};
const lastMoment = (day: string) => instant(Date.parse(`${day}T23:59:59.999Z`));

test("a limited data set answers under an agreement that is of the kind data-use at the request", ({
  expect,
}) => {
  const limited: PolicyForm = { kind: "limited-data-set", dataSet: "study" };
  const may = (who: ReturnType<typeof under>) => mayAnswerAt(limited, who, lastMoment("2026-01-01"));
  expect(may(under("data-use"))).toBe(true);
  expect(may(under("business-associate"))).toBe(false);
  expect(may(under())).toBe(false);
  expect(may({ ...under("data-use"), agreement: "another" })).toBe(false);
});

test("an expert's form answers from its first day until the day of its end, and Safe Harbor from its statement's day", ({
  expect,
}) => {
  const expert: PolicyForm = {
    kind: "expert",
    dataSet: "study",
    table: "safe-harbor",
    method: "k-anonymity",
    expert: "A. Statistician",
    on: "2026-01-02",
    until: "2026-02-02",
  };
  const days = ["2026-01-01", "2026-01-02", "2026-02-01", "2026-02-02"];
  const answersOn = (form: PolicyForm) => days.filter((day) => mayAnswerAt(form, under(), lastMoment(day)));
  expect(answersOn(expert)).toEqual(["2026-01-02", "2026-02-01"]);
  const noActualKnowledge = { statedBy: "The privacy officer", on: "2026-01-02" };
  expect(answersOn({ kind: "safe-harbor", dataSet: "study", noActualKnowledge })).toEqual(days.slice(1));
});
