import { test } from "vitest";
import { htmlText } from "#console/answers";
import type { NowReport } from "#console/now";
import { NowContent } from "#console/pages/now";
import { denialName } from "#identity/denial";
import { instant } from "#kernel/clock";

const at = instant(Date.parse("2026-11-27T12:00:00Z"));
const x5t = "A".repeat(43);
const report: NowReport = {
  at,
  health: undefined,
  origins: {},
  ends: [],
  denials: [{ name: denialName({ kind: "certificate", x5t }), until: null }],
  waiting: {
    reviews: { count: 1, since: instant(at - 7_200_000) },
    proposals: { count: 3, since: instant(at - 86_400_000) },
  },
  alerts: [],
  ownerOf: (of) => (of === x5t ? "lab" : undefined),
};
const all = { registry: true, approvals: true, alerts: true, events: true };
const firing = (alert: string) => ({
  alert,
  state: "firing" as const,
  since: null,
  severity: "page" as const,
  says: "",
  runbook: "",
  value: 1,
  threshold: 0,
  unit: "number" as const,
  silenced: false,
});
const shown = (changes: Partial<NowReport>, links = all) =>
  htmlText(NowContent({ report: { ...report, ...changes }, links }));

test("work that waits stands on top, with the way to it", ({ expect }) => {
  expect(shown({})).toContain('<a href="/console/events">1 use of break-glass, 2 h ago</a>');
  expect(shown({})).toContain('<a href="/console/approvals">3 proposals, the first 1 day ago</a>');
});

test("one line says how many alerts fire, and leads to them", ({ expect }) => {
  const alerts = [
    firing("ledger_behind"),
    firing("origin_late"),
    { ...firing("late"), state: "waiting" as const },
  ];
  expect(shown({ alerts })).toContain('<a href="/console/alerts">2 alerts fire.</a>');
  expect(shown({ alerts }, { ...all, alerts: false })).toContain("<span>2 alerts fire.</span>");
  expect(shown({})).not.toContain("/console/alerts");
  expect(shown({ alerts: undefined })).toContain("Alerts: does not answer");
});

test("an operator without the role reads the number, and no page that would refuse", ({ expect }) => {
  const page = shown({}, { registry: false, approvals: false, alerts: false, events: false });
  expect(page).toContain("1 use of break-glass, 2 h ago");
  expect(page).not.toContain("href");
});

test("a part that does not answer is named, and is not nothing", ({ expect }) => {
  expect(shown({ waiting: undefined })).not.toContain("No use of break-glass waits");
  expect(shown({ waiting: undefined })).toContain("2 parts need attention");
  expect(shown({ waiting: { reviews: undefined, proposals: undefined } })).toContain(
    "No use of break-glass waits",
  );
});

test("a denied certificate is named with its client", ({ expect }) => {
  expect(shown({})).toContain(`certificate of lab: ${x5t}`);
  expect(shown({})).toContain('<a href="/console/registry/clients/lab">lab</a>');
});

test("the page says when more denials are in force than it shows", ({ expect }) => {
  const denials = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ name: JSON.stringify(["token", "iss", `${i}`]), until: at }));
  expect(shown({ denials: denials(501) })).toContain("More than 500 denials are in force");
  expect(shown({ denials: denials(500) })).not.toContain("More than");
});
