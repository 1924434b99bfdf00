import { test } from "vitest";
import type { AlertNow, AlertReport } from "#audit/alerts/report";
import type { Role } from "#admin/operator";
import { htmlText } from "#console/answers";
import { addAlerts } from "#console/operations/alerts";
import type { PageContent } from "#console/page-maker";
import type { ConsolePorts } from "#console/ports";
import type { ConsoleVisit } from "#console/visit";
import { err, ok } from "#kernel/result";
import { nobodySignsIn, quietReport } from "../support/admin-door.ts";
import { at } from "../support/credentials.ts";

const id = "a".repeat(32);
const time = (minutes: number) => new Date(at + minutes * 60_000).toISOString();
const alertOf = (change: Partial<AlertNow>): AlertNow => ({
  alert: "ledger_behind",
  state: "firing",
  since: time(-5),
  severity: "page",
  says: "A log has records without a copy",
  runbook: "r2-is-down",
  value: 300,
  threshold: 120,
  unit: "seconds",
  silenced: false,
  ...change,
});
const report: AlertReport = {
  ...quietReport,
  alerts: [
    alertOf({}),
    alertOf({ alert: "gateway_failing", state: "waiting", value: 21.25, threshold: 14.4, unit: "times" }),
    alertOf({ alert: "witness_behind", state: "quiet", since: null, value: null, unit: "number" }),
  ],
  silences: [
    { id, alerts: ["all"], from: time(-1), until: time(59), reason: "R2 is <moved>", operator: "ada" },
    { id, alerts: ["ledger_behind"], from: time(60), until: time(90), reason: "later", operator: "eve" },
  ],
  waiting: 2,
  deadLetters: [
    {
      id,
      alert: "ledger_behind",
      state: "ended",
      since: time(-900),
      at: time(-800),
      severity: "page",
      says: "",
      runbook: "",
      threshold: 120,
      deployment: "https://ops.example.org",
      failed: 307,
      givenUpAt: time(-440),
    },
  ],
};

/** The page over a report; `ran` has each verb with its document. */
function pageOf(shown: AlertReport, roles: readonly Role[] = ["revoker"], refuses = false) {
  const ran: (readonly [string, unknown])[] = [];
  const answers = new Map<string, (visit: ConsoleVisit, form: URLSearchParams) => Promise<PageContent>>();
  const admin = { ...nobodySignsIn, alerts: { ...nobodySignsIn.alerts, report: async () => shown } };
  addAlerts({ admin } as unknown as ConsolePorts, {
    show: (path, _, render) => void answers.set(path, render),
    step: (path, _, act) => void answers.set(path, act),
  });
  const run: ConsoleVisit["run"] = async (verb, { document } = {}) => {
    ran.push([verb.interaction, JSON.parse(JSON.stringify(document))]);
    if (!refuses) return ok({ silence: id });
    return err({ status: 422, title: "Unprocessable Content", requestId: "r", pointer: "/until" });
  };
  const ask = async (path: string, form = "") => {
    const visit = {
      at,
      operator: { roles },
      session: { formToken: "token" },
      run,
    } as unknown as ConsoleVisit;
    const made = await answers.get(path)?.(visit, new URLSearchParams(form));
    if (made === undefined || made instanceof Response) throw new Error("no page");
    return { status: made.status ?? 200, text: htmlText(made.content as never) };
  };
  return { ask, ran };
}

test("what fires and what may fire stand first, with since when, the value, the threshold and the runbook", async ({
  expect,
}) => {
  const { text } = await pageOf(report).ask("/console/alerts");
  expect(text).toContain("One alert fires.");
  const [raised = "", quiet = ""] = text.split("<details>");
  for (const part of [
    "ledger_behind",
    'badge bad">firing<',
    "5 min ago",
    "300\u00A0s",
    "120\u00A0s",
    "docs/runbook.md#r2-is-down",
    'badge warn">pending<',
    "21.3 times the allowed rate of failures",
    "14.4 times",
  ])
    expect(raised).toContain(part);
  expect(raised).not.toContain("witness_behind");
  expect(quiet).toMatch(/Quiet alerts: 1.+witness_behind.+not known/su);
});

test("each silence says its reason, its operator and its time, and whether it is in force or to come", async ({
  expect,
}) => {
  const { text } = await pageOf(report).ask("/console/alerts");
  expect(text).toMatch(/all alerts.+in force.+R2 is &lt;moved&gt;.+ada.+planned.+later.+eve/su);
});

test("a dead letter says what was not taken, when, and how its last try failed", async ({ expect }) => {
  const { text } = await pageOf(report).ask("/console/alerts");
  expect(text).toContain("2 messages wait for their receiver.");
  expect(text.slice(text.indexOf("Messages that were given up"))).toMatch(
    /ledger_behind.+ended.+status 307/su,
  );
});

test("a deployment in which all is well says so", async ({ expect }) => {
  const { text } = await pageOf(quietReport).ask("/console/alerts");
  for (const none of ["No alert fires.", "No silence is in force or planned.", "No message was given up"])
    expect(text).toContain(none);
});

test("an operator who may not silence gets no form", async ({ expect }) => {
  expect((await pageOf(report).ask("/console/alerts")).text).toContain("<form");
  expect((await pageOf(report, ["registry-reader"]).ask("/console/alerts")).text).not.toContain("<form");
});

test.for([
  [
    "silence",
    "alerts=ledger_behind&alerts=origin_late&from=&until=2026-12-03T14:30&reason=R2+is+moved",
    "silence-alerts",
    { alerts: ["ledger_behind", "origin_late"], until: "2026-12-03T14:30:00Z", reason: "R2 is moved" },
  ],
  [
    "silence",
    "alerts=all&from=2026-12-03T13:00:30&until=soon&reason=",
    "silence-alerts",
    { alerts: ["all"], from: "2026-12-03T13:00:30Z", until: "soonZ", reason: "" },
  ],
  ["unsilence", `silence=${id}&reason=done`, "unsilence-alerts", { silence: id, reason: "done" }],
] as const)(
  "the form of %s asks the verb of the command (%s)",
  async ([path, form, verb, document], { expect }) => {
    const { ask, ran } = pageOf(report);
    const { status, text } = await ask(`/console/alerts/${path}`, form);
    expect(ran).toEqual([[verb, document]]);
    expect([status, text.includes('role="status"')]).toEqual([200, true]);
  },
);

test("a refused silence shows the refusal, and the form with what was typed", async ({ expect }) => {
  const { ask } = pageOf(report, ["registry-admin"], true);
  const form = "alerts=ledger_behind&from=&until=2026-12-30T12:00&reason=R2+is+%22moved%22";
  const { status, text } = await ask("/console/alerts/silence", form);
  expect(status).toBe(422);
  expect(text).toContain("/until");
  expect(text).toContain('value="2026-12-30T12:00"');
  expect(text).toContain("R2 is &quot;moved&quot;");
  expect(text).toMatch(/value="ledger_behind" checked/u);
  expect(text).not.toMatch(/value="all" checked/u);
});
