import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import { addTraffic, trafficOf } from "#audit/traffic/count";
import { openLedger } from "../support/auditor.ts";
import { freePort } from "../support/free-port.ts";
import { withoutPrometheus } from "../support/prometheus.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-prometheus-"));
let phylax: TestStack | undefined;
let prometheus: ChildProcess | undefined;
beforeAll(async () => {
  if (withoutPrometheus === false) phylax = await startTestStack();
}, 60_000);
afterAll(async () => {
  if (prometheus?.exitCode === null && prometheus.kill()) await once(prometheus, "exit");
  await phylax?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Found {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

interface Answer {
  readonly data: { readonly result: readonly Found[] };
}

/** Starts a Prometheus that scrapes each second with an operator's certificate, and returns how to query. */
async function scrapedBy({ dev }: TestStack): Promise<(query: string) => Promise<readonly Found[]>> {
  const [scraper] = dev.operators;
  const ops = new URL(dev.ops);
  const port = await freePort();
  const config = {
    scrape_configs: [
      {
        job_name: "phylax",
        scheme: "https",
        scrape_interval: "1s",
        tls_config: { ca_file: dev.ca, cert_file: scraper?.cert, key_file: scraper?.key },
        static_configs: [{ targets: [ops.host] }],
      },
    ],
  };
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config)); // JSON is YAML
  prometheus = spawn(
    "prometheus",
    [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: "ignore" },
  );
  return async (query) => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
    const answer: Answer = await (await fetch(url)).json();
    return answer.data.result;
  };
}

/** The ends of a client's requests by the opened records. */
async function endsOf(client: string, { dev }: TestStack): Promise<number> {
  const events = new Map<string, AuditEvent>();
  for (const { event } of await openLedger(dev)) events.set(`${event.id} ${event.step ?? 0}`, event);
  const sum = new Map<string, number>();
  for (const event of events.values()) addTraffic(sum, trafficOf([event]));
  return [...sum].reduce(
    (all, [series, n]) => (series.startsWith(`phylax_client_outcomes ${client} `) ? all + n : all),
    0,
  );
}

test(
  "a real Prometheus scrapes over mutual TLS, and its sums are those of the ledger's opened records",
  { timeout: 120_000 },
  async ({ skip }) => {
    if (withoutPrometheus !== false || phylax === undefined) return skip(String(withoutPrometheus));
    const stack = phylax;
    const canary = "Canaryfamily";
    for (let i = 0; i < 5; i++) await stack.ask("payer", "Patient/amara-okafor");
    await stack.ask("payer", `Patient?family=${canary}`);
    await stack.ask("payer", `Patient/${canary}`);
    const query = await scrapedBy(stack);
    const expected = await endsOf("payer", stack);
    expect(expected, "and the token request").toBe(8);
    await vi.waitFor(
      async () => {
        const [found] = await query('sum(phylax_client_outcomes_total{client="payer"})');
        expect(Number(found?.value[1])).toBe(expected);
      },
      { timeout: 60_000, interval: 1_000 },
    );
    await new Promise((done) => setTimeout(done, 5_000));
    await stack.ask("payer", "Patient/amara-okafor"); // the isolate's numbers go with this append
    await vi.waitFor(
      async () => {
        const quantile = "histogram_quantile(0.95, sum by (le) (phylax_wait_seconds_bucket{wait='origin'}))";
        const [found] = await query(quantile);
        expect(Number(found?.value[1])).toBeGreaterThan(0);
        const [calls] = await query('phylax_origin_calls_total{origin="main",result="answered"}');
        expect(Number(calls?.value[1])).toBeGreaterThanOrEqual(5);
      },
      { timeout: 60_000, interval: 1_000 },
    );
    const all = JSON.stringify(await query('{__name__=~"phylax_.+"}'));
    for (const secret of [canary, "amara", "okafor"]) expect(all).not.toContain(secret);
    const [up] = await query("up");
    expect(up?.value[1]).toBe("1");
  },
);
