import { test, vi } from "vitest";
import type { ConsolePlaces } from "#console/ports";
import type { RegistryView, ShownClient } from "#console/registry-view";
import { denialName } from "#identity/denial";
import { instant } from "#kernel/clock";
import { foreign, latinWords } from "../support/foreign-texts.ts";

/*
 * The console with its table of texts in the place of which another language stands. Data are digits, so that each
 * Latin letter on a page is a text outside of the table.
 */
vi.doMock(import("#console/texts"), async (load) => {
  const { texts } = await load();
  return { texts: foreign(texts) };
});
const { htmlText } = await import("#console/answers");
const { AlertsPage } = await import("#console/pages/alerts");
const { ApprovalsPage, AppliedPage, ChangePage, ProposalPage } = await import("#console/pages/approvals");
const { BreachPage } = await import("#console/pages/breach");
const { ClientChangePage } = await import("#console/pages/client-change");
const { EventsPage } = await import("#console/pages/events-page");
const { ExportsPage } = await import("#console/pages/exports");
const { LedgerPage, WhyPage } = await import("#console/pages/ledger");
const { DegradedPage, MissingPage, refusalText, RefusedPage } = await import("#console/pages/messages");
const { NowPage } = await import("#console/pages/now");
const { PatientsPage, PatientsReturnPage } = await import("#console/pages/patients");
const { ClientPage, DeniedPage, LiftedPage, RegistryPage } = await import("#console/pages/registry");
const { AccessReviewPage } = await import("#console/pages/review");
const { timelineOf } = await import("#console/traffic/timeline");
const { Shell } = await import("#console/pages/shell");
const { consolePages } = await import("#console/console-page");

const at = instant(Date.parse("2026-11-27T12:00:00Z"));
const places: ConsolePlaces = {
  clientId: "1",
  ledger: "2",
  rootKey: "3",
  witnesses: ["4"],
  gateway: "5",
  patients: { fhir: "6", issuer: "7", clientId: "8" },
};
const client: ShownClient = { id: "11", kind: "12", auth: "private_key_jwt", certificates: ["7".repeat(43)] };
const view: RegistryView = {
  digest: "13",
  registry: {
    clients: [client],
    agreements: [
      {
        id: "14",
        client: "11",
        purposes: ["TREAT"],
        from: "2026-01-01",
        to: "2027-01-01",
        documentHash: "15",
      },
    ],
    policies: [{ name: "16", body: {} }],
    grants: [
      {
        client: "11",
        origin: "17",
        purpose: "TREAT",
        agreement: "14",
        policy: "16",
        scopes: "18",
        quotas: { default: { requests: 1, windowSeconds: 1 } },
      },
    ],
  },
};
const denials = [{ name: denialName({ kind: "client", client: "11" }), until: null }];
const steps = { formToken: "1", once: () => "1" };
const forms = { ...steps, denials, at, mayRevoke: true };
const operator = {
  id: "1",
  status: "active",
  roles: ["approver"],
  kind: "person",
  signIn: undefined,
} as const;
const review = {
  id: "1",
  openedAt: at,
  requestId: "2",
  client: "11",
  origin: "17",
  purpose: "ETREAT",
  closedAt: null,
  closedBy: null,
  finding: null,
  note: null,
};
const proposal = {
  id: "1",
  kind: "change",
  digest: "2",
  why: "3",
  proposedAt: at,
  expiresAt: at,
  proposedBy: "4",
  state: "open",
} as const;
const since = new Date(at).toISOString();
const alert = {
  alert: "1",
  state: "firing",
  since,
  severity: "page",
  says: "2",
  runbook: "3",
  value: 4,
  threshold: 5,
  unit: "times",
  silenced: true,
} as const;
const letter = { ...alert, id: "1", state: "ended", at: since, deployment: "2", givenUpAt: since } as const;
const alerts = {
  alerts: [alert, { ...alert, state: "waiting", value: null }, { ...alert, state: "quiet", unit: "seconds" }],
  silences: [{ id: "1", alerts: ["all"], from: since, until: since, reason: "2", operator: "3" }],
  waiting: 2,
  deadLetters: [
    { ...letter, failed: 307 },
    { ...letter, failed: "late" },
  ],
  key: {},
} as const;
const report = {
  at,
  health: {
    logs: [],
    root: {
      log: "1",
      state: "degraded",
      size: 3,
      copied: 2,
      behindSeconds: 6,
      rooted: 1,
      seconds: 5,
      why: null,
    },
    witnesses: [{ name: "4", cosignedAt: undefined, isCurrent: false }],
  },
  origins: { 17: "1" },
  ends: [{ kind: "agreement", client: "11", name: "14", ends: at }],
  denials,
  waiting: { reviews: { count: 2, since: at }, proposals: { count: 1, since: at } },
  alerts: alerts.alerts,
  ownerOf: () => undefined,
} as const;
const quarter = at - (at % 900_000);
const counts = new Map([
  ["phylax_requests 1", 3],
  ["phylax_refusals 2", 1],
  ["phylax_client_outcomes 11 TREAT refused", 1],
]);
const traffic = {
  at,
  timeline: timelineOf([{ at: quarter / 60_000, counts }], at, "day"),
  ages: timelineOf(
    [{ at: quarter / 60_000, counts: new Map([["phylax_ledger_behind_seconds 3", 4]]) }],
    at,
    "day",
  ),
  quotas: [{ client: "11", purpose: "TREAT", requests: 1, windowSeconds: 1 }],
};
const everyLink = { registry: true, approvals: true, alerts: true, events: true };

const read = (["reading", "waits", "sent", "broken"] as const).map((state, file) => ({
  file,
  state,
  rows: 1,
  reason: state === "waits" ? "quota_exhausted" : null,
  at,
}));
type Shown = Parameters<typeof htmlText>[0];
const pages: Readonly<Record<string, () => Shown>> = {
  now: () => NowPage({ report, traffic, range: "day", links: everyLink }),
  "now without its parts": () =>
    NowPage({
      report: { ...report, health: undefined, denials: undefined, waiting: undefined },
      traffic: { ...traffic, timeline: undefined, ages: undefined },
      range: "week",
      links: everyLink,
    }),
  patients: () => PatientsPage({ places }),
  "no look-ups": () => PatientsPage({ places: { ...places, patients: undefined } }),
  "back from the sign-in": () => PatientsReturnPage(),
  ledger: () => LedgerPage({ places }),
  why: () => WhyPage({ places }),
  registry: () => RegistryPage({ view, ...forms }),
  "registry without denials": () => RegistryPage({ view, ...forms, denials: undefined }),
  "registry with too many denials": () =>
    RegistryPage({
      view,
      ...forms,
      denials: Array.from({ length: 501 }, () => ({ name: '["token"]', until: at })),
    }),
  client: () =>
    ClientPage({
      view,
      client,
      ends: new Map(),
      mayReadEvents: true,
      traffic: { range: "day", timeline: traffic.timeline, lastUse: at },
      ...forms,
    }),
  "change of a client": () => ClientChangePage({ view, client, formToken: "1", problem: undefined }),
  denied: () => DeniedPage({ denial: {}, says: "1", formToken: "1", once: "1", back: "11" }),
  lifted: () => LiftedPage({ back: "" }),
  "access review": () => AccessReviewPage({ view, places, formToken: "1", digests: new Map() }),
  approvals: () => ApprovalsPage({ proposals: [proposal], note: undefined }),
  "no approvals": () => ApprovalsPage({ proposals: [], note: undefined }),
  proposal: () =>
    ProposalPage({
      proposal,
      plan: { changes: [], policies: {}, opens: [] },
      problem: undefined,
      ...steps,
      operator,
    }),
  change: () =>
    ChangePage({ text: "", why: "", plan: undefined, planned: undefined, formToken: "1", once: "1" }),
  applied: () => AppliedPage(),
  alerts: () => AlertsPage({ report: alerts, at, ...steps, maySilence: true, note: "1" }),
  events: () => EventsPage({ open: [review], closed: [review], isClosed: true, places, ...steps }),
  exports: () =>
    ExportsPage({
      exports: [
        null,
        {
          level: "group",
          origin: "17",
          purpose: "TREAT",
          types: ["1", "2", "3", "4"],
          read,
          run: null,
        } as const,
        ...(["waits", "done"] as const).map(
          (state) =>
            ({
              level: "bundle",
              origin: "17",
              purpose: "TREAT",
              types: [],
              read: [],
              run: { state, tries: 2, reason: null },
            }) as const,
        ),
      ].map((facts) => ({ id: "1", client: "11", startedAt: at, expires: at, facts })),
      more: 2,
      at,
      isCancelled: true,
      mayCancel: true,
      ...steps,
    }),
  breach: () => BreachPage({ places }),
  refused: () => RefusedPage({ text: refusalText("operator_suspended"), requestId: "1" }),
  degraded: () => DegradedPage({ requestId: "1" }),
  missing: () => MissingPage(),
};
/** Codes of data that stand beside their words, and the name of the time scale. */
const codes = new Set(["TREAT", "open", "UTC"]);

test.for(Object.keys(pages))("a further language is a further table: %s", (name, { expect }) => {
  const html = htmlText(pages[name]?.() ?? MissingPage());
  expect(html).toContain("ж");
  expect(latinWords(html).filter((word) => !codes.has(word))).toEqual([]);
});

test("the frame of a page: navigation, sign-out and skip link", ({ expect }) => {
  const page = consolePages.now;
  const visitor = { operator, formToken: "1" };
  const html = htmlText(Shell({ title: page.name, visitor, current: page.path, children: "1" }));
  expect(latinWords(html)).toEqual([]);
});

test("the check of this test finds a text outside of the table", ({ expect }) => {
  expect(latinWords('<p>ж</p><button aria-label="Close">x</button><pre>phylax</pre>')).toEqual([
    "x",
    "Close",
  ]);
});
