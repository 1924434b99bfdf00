import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, expect, test } from "vitest";
import { codeForm, type DataSet } from "#deid/codes";
import { workerConfigurationOf } from "../../sandbox/runtime/worker-bundles.ts";
import { deployedWorkerText } from "../../scripts/bundle-worker.ts";
import { inLane } from "../support/lane.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-codes-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const script = join(folder, "jobs.js");
writeFileSync(script, await deployedWorkerText("jobs"));
const { modulesRules: _rules, ...configured } = workerConfigurationOf("jobs").workerOptions;

const codesKey = randomBytes(32).toString("base64url");
const compatibilityDate = "2026-10-01";
const helper = (name: string, text: string) => ({ name, compatibilityDate, modules: true, script: text });

/** The deployed worker `jobs` in workerd, with its state below a folder. */
async function startJobs(state: string) {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      resourcePersistencePath: join(folder, state),
      workers: [
        {
          ...helper(
            "asker",
            `export default { async fetch(request, env) {
              const { method, dataSet, list } = await request.json();
              return Response.json(await env.CODE_BOOK[method](dataSet, list));
            } };`,
          ),
          serviceBindings: { CODE_BOOK: { name: "phylax-jobs", entrypoint: "CodeBook" } },
        },
        helper(
          "phylax-control",
          `import { WorkerEntrypoint } from "cloudflare:workers";
          export class AgreementReading extends WorkerEntrypoint { endOf() { return Date.now() + 1e9; } }
          export default { fetch: () => new Response(null, { status: 404 }) };`,
        ),
        {
          ...configured,
          name: "phylax-jobs",
          modulesRoot: folder,
          modules: [{ type: "ESModule" as const, path: script, contents: readFileSync(script, "utf8") }],
          bindings: Object.assign({}, configured.bindings, { CODES_KEY: codesKey }),
          // exports have no part in this test
          durableObjects: { DATA_SET_CODES: { className: "DataSetCodes", useSQLite: true } },
          serviceBindings: { AGREEMENT_READING: { name: "phylax-control", entrypoint: "AgreementReading" } },
          d1Databases: {},
        },
      ],
    }),
  );
  const url = await miniflare.ready;
  const ask = async (method: "codesOf" | "namesOf", dataSet: DataSet, list: readonly string[]) => {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify({ method, dataSet, list }) });
    const { value }: { readonly value: readonly (string | null)[] } = JSON.parse(await answer.text());
    return value;
  };
  return { ask, close: () => miniflare.dispose() };
}

const dataSet = (client: string): DataSet => ({ client, agreement: "dua", origin: "main", name: "cohort" });

const childrenOf = (pid: number): readonly number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        return stat.includes("(workerd)") && stat.slice(stat.lastIndexOf(")")).split(" ")[2] === String(pid)
          ? [Number(name)]
          : [];
      } catch {
        return []; // it has ended
      }
    });

test("a code that left is never lost or made anew, at whatever moment workerd is killed", async () => {
  const set = dataSet("killed");
  const left = new Map<string, string>();
  let asked = 0;
  for (let round = 0; round < inLane({ fast: 1, slow: 3, long: 20 }); round++) {
    const before = new Set(childrenOf(process.pid));
    const jobs = await startJobs("killed");
    const mine = childrenOf(process.pid).filter((pid) => !before.has(pid));
    const killed = new AbortController();
    const askers = Array.from({ length: 4 }, async () => {
      while (!killed.signal.aborted) {
        // half of the names were asked for before
        const names = Array.from({ length: 20 }, (_, n) => `Patient/${Math.max(0, asked + n - 10)}`);
        asked += 10;
        const codes = await jobs.ask("codesOf", set, names).catch(() => []);
        for (const [n, code] of codes.entries()) {
          const name = names[n] ?? "";
          expect(left.get(name) ?? code, name).toBe(code);
          left.set(name, code ?? "");
        }
      }
    });
    await wait(300 + Math.random() * 700);
    for (const pid of mine) process.kill(pid, "SIGKILL");
    killed.abort();
    await Promise.all(askers);
    await jobs.close().catch(() => undefined);
  }
  const jobs = await startJobs("killed");
  const names = [...left.keys()];
  expect(names.length).toBeGreaterThan(100);
  for (let first = 0; first < names.length; first += 1_000) {
    const some = names.slice(first, first + 1_000);
    const codes = some.map((name) => left.get(name) ?? "");
    expect(await jobs.ask("codesOf", set, some)).toEqual(codes);
    expect(await jobs.ask("namesOf", set, codes)).toEqual(some);
  }
  expect(new Set(left.values()).size).toBe(names.length);
  await jobs.close();
});

test("10,000 patients of two recipients: no code is in both data sets, and all references are intact within", async () => {
  const jobs = await startJobs("many");
  const rows = Array.from({ length: 10_000 }, (_, n) => [
    `Patient/${n}`,
    `Observation/${n}`,
    `Encounter/${n}`,
  ]);
  const all = new Set<string>();
  for (const client of ["one", "two"]) {
    const coded = new Map<string, string>();
    for (let first = 0; first < rows.length; first += 500) {
      const names = rows.slice(first, first + 500).flat();
      const codes = await jobs.ask("codesOf", dataSet(client), names);
      for (const [n, name] of names.entries()) coded.set(name, codes[n] ?? "");
    }
    for (const code of coded.values()) {
      expect(code).toMatch(codeForm);
      all.add(code);
    }
    // a later page names rows of earlier pages
    for (let page = 0; page < 20; page++) {
      const names = Array.from({ length: 500 }, (_, n) => rows[(n * 7_919 + page) % 10_000]?.[0] ?? "");
      const codes = await jobs.ask("codesOf", dataSet(client), names);
      expect(codes).toEqual(names.map((name) => coded.get(name)));
      expect(await jobs.ask("namesOf", dataSet(client), codes.map(String))).toEqual(names);
    }
    const foreign = await jobs.ask(
      "namesOf",
      dataSet(client === "one" ? "two" : "one"),
      [...coded.values()].slice(0, 5_000),
    );
    expect(new Set(foreign)).toEqual(new Set([null]));
  }
  expect(all.size).toBe(60_000);
  await jobs.close();
});
