import { test } from "vitest";
import { adminApp } from "#admin/app";
import { metricsText } from "#audit/traffic/exposition";
import { instruments, type Traffic } from "#audit/traffic/instruments";
import type { RequestQuota } from "#limits/request-quota";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("scraper");
const totals: Traffic = new Map([
  ["phylax_requests read", 7],
  ["phylax_client_outcomes clinic TREAT disclosed", 5],
  ["phylax_refusals token_missing", 2],
  ["phylax_of_another_version read", 1],
]);

const none = async (): Promise<readonly RequestQuota[]> => [];

function door(roles: readonly string[], quotas = none) {
  const book: string[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: async (asked) => (asked === x5t ? { ...machine, id: "scraper", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: () => Promise.reject(new Error("not asked")),
      revoke: () => Promise.reject(new Error("not asked")),
      lift: () => Promise.reject(new Error("not asked")),
    },
    traffic: async () => {
      book.push("totals");
      return totals;
    },
    quotas,
    ledger: recordsOnly(async (recorded) => {
      book.push(...recorded.map(({ kind }) => kind));
      return "counted";
    }),
    clock: () => at,
    onFault: ({ name }) => book.push(`fault ${name}`),
  });
  const scrape = async (accept?: string, cf: object = { tlsClientAuth }) => {
    const request = new Request("https://ops.example.org/metrics", {
      ...(accept !== undefined && { headers: { accept } }),
    });
    return app.request(Object.assign(request, { cf }));
  };
  return { book, scrape };
}

test("a machine that may read the registry scrapes Prometheus text, and the scrape is on record", async ({
  expect,
}) => {
  const { book, scrape } = door(["registry-reader"]);
  const answer = await scrape();
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  const lines = (await answer.text()).split("\n");
  expect(lines).toContain("# TYPE phylax_requests_total counter");
  expect(lines.filter((line) => !line.startsWith("#") && line !== "")).toEqual([
    'phylax_requests_total{interaction="read"} 7',
    'phylax_client_outcomes_total{client="clinic",purpose="TREAT",outcome="disclosed"} 5',
    'phylax_refusals_total{reason="token_missing"} 2',
  ]);
  expect(book).toEqual(["administration", "totals", "administration"]);
});

test("a scraper that names OpenMetrics gets OpenMetrics 1.0: the family without `_total`, and its end", async ({
  expect,
}) => {
  const { scrape } = door(["auditor"]);
  const answer = await scrape("application/openmetrics-text; version=1.0.0, text/plain;q=0.5");
  expect(answer.headers.get("content-type")).toBe(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  const text = await answer.text();
  expect(text).toContain("# TYPE phylax_requests counter\n");
  expect(text).toContain('\nphylax_requests_total{interaction="read"} 7\n');
  expect(text.endsWith("# EOF\n")).toBe(true);
});

test("no number leaves without a certificate, to an unknown machine or to a role that may not read", async ({
  expect,
}) => {
  const stranger = presented("stranger");
  for (const [roles, cf, status] of [
    [["registry-reader"], {}, 403],
    [["registry-reader"], { tlsClientAuth: stranger.tlsClientAuth }, 403],
    [["revoker"], { tlsClientAuth }, 403],
  ] as const) {
    const { book, scrape } = door(roles);
    const answer = await scrape(undefined, cf);
    expect([answer.status, book]).toEqual([status, ["refusal"]]);
    expect(await answer.text()).not.toContain("phylax_requests");
  }
});

test("each family has one HELP, one TYPE and unique lines, also without a number", ({ expect }) => {
  for (const form of ["prometheus", "openMetrics"] as const) {
    const lines = metricsText(new Map(), form).trimEnd().split("\n");
    const families = Object.keys(instruments).length;
    expect(lines.filter((line) => line.startsWith("# HELP"))).toHaveLength(families);
    expect(lines.filter((line) => line.startsWith("# TYPE"))).toHaveLength(families);
    expect(new Set(lines).size).toBe(lines.length);
  }
});

test("a client that a number names has its quota beside it, and numbers come without a registry", async ({
  expect,
}) => {
  const quota = (client: string, purpose: string, requests: number) =>
    ({ client, purpose, requests, windowSeconds: 60 }) as const;
  const registered = [
    quota("clinic", "TREAT", 120),
    quota("clinic", "TREAT", 60),
    quota("clinic", "HPAYMT", 600),
    quota("idle", "TREAT", 600),
  ];
  const linesOf = async (quotas: typeof none) => {
    const answer = await door(["registry-reader"], quotas).scrape();
    return (await answer.text()).split("\n").filter((line) => !line.startsWith("#"));
  };
  const shown = await linesOf(async () => registered);
  expect(shown.filter((line) => line.includes("quota"))).toEqual([
    'phylax_client_quota_requests_per_second{client="clinic",purpose="TREAT"} 3',
  ]);
  const without = await linesOf(() => Promise.reject(new Error("down")));
  expect(without).toEqual(shown.filter((line) => !line.includes("quota")));
  expect(without).toContain('phylax_requests_total{interaction="read"} 7');
});
