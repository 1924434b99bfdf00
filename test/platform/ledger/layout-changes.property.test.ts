import { evictDurableObject } from "cloudflare:test";
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import { type LedgerLayout, readLayout } from "#ledger/layout";
import { ROOT_LOG } from "#ledger/root-log";
import { ledgerSink } from "#platform/ledger/client/sink";
import { disclosureOf, ledger, shard, withVariables } from "./worker.ts";

vi.setConfig({ testTimeout: 120_000 });
vi.spyOn(console, "error").mockImplementation(() => {});
afterEach(() => void vi.useRealTimers());

let year = 2110; // one for each run: a half-year keeps its list for good

/** Lists that an operator may deploy around the middle of a year. */
const lists = (next: string): readonly (readonly [regions: string, shards: number])[] => [
  ["", 4],
  ["weur:2 enam:2", 4],
  ["weur:1 enam:3", 4],
  [`weur:2 enam:2; ${next} weur:1 enam:3`, 4],
  [`weur:2 enam:2; ${next} enam:2 weur:2`, 4],
  [`weur:2 enam:2; ${next} weur:4 enam:4`, 8],
  [`weur:2 enam:2; ${next} weur:1 enam:1`, 4],
  [`weur:1 enam:3; ${next} weur:1 enam:3`, 4],
  [`${next} weur:1 enam:3`, 4],
  ["weur:4 enam:4", 8],
];
const list = fc.nat({ max: 9 });
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ deploy: list }) },
  { weight: 3, arbitrary: fc.record({ seconds: fc.constantFrom(1, 7, 31, 64, 129, 131) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      proof: fc.nat({ max: 5 }), // 0 is a new proof, a further number an earlier proof
      gateway: fc.oneof(list, fc.constant(-1)), // -1: as the ledger's
      skew: fc.constantFrom(-9_000, 0, 0, 9_000),
    }),
  },
);

test("T32: whatever lists are deployed to the ledger and its gateways around a switch, no proof is taken twice", async () => {
  let [taken, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      list,
      fc.integer({ min: -400, max: 20 }),
      fc.array(step, { minLength: 4, maxLength: 24 }),
      async (first, begin, steps) => {
        const [before, next] = [`${++year}h1`, `${year}h2`];
        const all = lists(next);
        const layoutOf = (at: number): LedgerLayout => {
          const [regions = "", shards = 4] = all[at] ?? [];
          const read = readLayout(regions, shards);
          if (!read.ok) throw new Error(read.error);
          return read.value;
        };
        vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(year, 6, 1) + begin * 1_000 });
        const proofs: { readonly jkt: string; readonly id: string; readonly made: number; uses: number }[] =
          [];
        let deployed = first;
        const use = async ({ proof, gateway, skew }: { proof: number; gateway: number; skew: number }) => {
          if (proof === 0 || proofs.length < proof) {
            const jkt = createHash("sha256")
              .update(`key ${proofs.length % 5}`)
              .digest("base64url");
            proofs.push({ jkt, id: `jti-${year}-${proofs.length}`, made: Date.now(), uses: 0 });
          }
          const own = proof === 0 ? proofs.at(-1) : (proofs.at(-proof) ?? proofs.at(-1));
          if (own === undefined) return;
          const home = { region: "weur", since: undefined } as const;
          const sink = ledgerSink(shard, layoutOf(gateway < 0 ? deployed : gateway), () =>
            instant(Date.now() + skew),
          );
          const answer = await sink
            .recordOnce([disclosureOf(1)], { jkt: own.jkt, id: own.id, made: instant(own.made), home })
            .catch(() => "failed" as const);
          if (typeof answer === "string") refused++;
          else {
            own.uses++;
            taken++;
          }
          expect(own.uses).toBeLessThanOrEqual(1);
        };
        const variables = (at: number) => {
          const [regions = "", shards = 4] = all[at] ?? [];
          return { LEDGER_REGIONS: regions, LEDGER_SHARDS: String(shards) };
        };
        await withVariables(variables(first), async () => {
          for (const now of steps) {
            if ("seconds" in now) vi.setSystemTime(Date.now() + now.seconds * 1_000);
            else if ("proof" in now) await use(now);
            else {
              deployed = now.deploy;
              Object.assign(ledger, variables(deployed));
              const names = [before, next].flatMap((half) =>
                Array.from({ length: 8 }, (_, i) => `s${i}-${half}`),
              );
              for (const object of [ledger.LEDGER_ROOT.getByName(ROOT_LOG), ...names.map(shard)])
                await evictDurableObject(object).catch(() => undefined); // it may not run
            }
          }
        });
      },
    ),
    { numRuns: 20 },
  );
  expect(taken).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(20);
});
