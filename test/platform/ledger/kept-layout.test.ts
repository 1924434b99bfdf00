import { createHash } from "node:crypto";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { afterEach, beforeEach, test, vi } from "vitest";
import type { Region } from "#kernel/region";
import { instant } from "#kernel/clock";
import { keyLayout, type LedgerLayout, readLayout } from "#ledger/layout";
import { SWITCH_SLACK_MS, standInsOf } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { ledgerSink } from "#platform/ledger/client/sink";
import { RecoveryDesk } from "#platform/ledger/isolate/recovery-desk";
import { differentLayout } from "#platform/ledger/object/root/kept-layout";
import { disclosureOf, failure, ledger, lose, positionOf, refusal, shard, withVariables } from "./worker.ts";

const differs = "LEDGER_REGIONS or LEDGER_SHARDS differs";
const earlier = "deploy the earlier values again";

// A half-year of its own for each test: a half-year has one layout for good.
let year = 2040;
let halfYear: string;
beforeEach(() => {
  halfYear = `${++year}h1`;
  vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(year, 2, 1) });
});
afterEach(() => void vi.useRealTimers());

const logged: string[] = [];
vi.spyOn(console, "error").mockImplementation((line) => void logged.push(String(line)));

interface Values {
  readonly regions: string;
  readonly shards: number;
}
const values = (regions: string, shards = 4): Values => ({ regions, shards });
function layoutOf({ regions, shards }: Values): LedgerLayout {
  const read = readLayout(regions, shards);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

let proofs = 0;
/** A proof of one of several keys, each with its own log. */
const newProof = (region?: Region) => ({
  jkt: createHash("sha256")
    .update(`key ${proofs % 7}`)
    .digest("base64url"),
  id: `jti-${++proofs}`,
  made: instant(Date.now()),
  home: region && { region, since: undefined },
});
type Proof = ReturnType<typeof newProof>;

/** Sends a request with a proof through a gateway that has these values. */
const gatewayWith = (own: Values) => (proof: Proof) =>
  ledgerSink(shard, layoutOf(own), () => instant(Date.now())).recordOnce([disclosureOf(1)], proof);

/** A moment after the present half-year's records were copied, as far as they are. */
async function goOnAt(time: number): Promise<void> {
  for (const log of logs())
    if ((await shard(log).status()).size > 0)
      await runInDurableObject(shard(log), (instance) => instance.alarm());
  vi.setSystemTime(time);
}

/** What the ledger's worker does while it has these values. Its objects start again, as after a deployment. */
async function ledgerWith<T>({ regions, shards }: Values, act: () => Promise<T>): Promise<T> {
  return withVariables({ LEDGER_REGIONS: regions, LEDGER_SHARDS: String(shards) }, async () => {
    for (const object of [root(), ...logs().map(shard)])
      await evictDurableObject(object).catch(() => undefined); // it may not run
    return act();
  });
}
const logs = () => Array.from({ length: 8 }, (_, i) => `s${i}-${halfYear}`);

const root = () => ledger.LEDGER_ROOT.getByName(ROOT_LOG);
const kept = (of = halfYear) =>
  runInDurableObject(root(), (_, { storage }) =>
    storage.sql.exec("SELECT layout FROM root_layouts WHERE half_year = ?", of).toArray(),
  );

test.for([
  ["an edited list", values("weur:2 enam:2"), values("weur:1 enam:3")],
  ["regions in another order", values("weur:2 enam:2"), values("enam:2 weur:2")],
  ["a list in place of none", values(""), values("weur:2 enam:2")],
  ["no list any more", values("weur:2 enam:2"), values("")],
  ["a period that began in the past", values("weur:2 enam:2"), values("weur:2 enam:2; 2040h2 weur:1 enam:3")],
  ["more shards", values(""), values("", 8)],
  ["fewer shards", values("", 8), values("", 4)],
] as const)(
  "T32: with %s, two gateways never both take a proof in one half-year",
  async ([, before, after], { expect }) => {
    await ledgerWith(before, async () => {
      for (let i = 0; i < 14; i++) {
        const proof = newProof(i % 2 === 0 ? "weur" : "enam");
        const gateways = [gatewayWith(before), gatewayWith(after)];
        const asked = (i % 4 < 2 ? gateways : gateways.toReversed()).map((send) => send(proof));
        const answers = await Promise.allSettled(asked);
        expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
        const [refused = ""] = answers.flatMap((answer) =>
          answer.status === "rejected" ? [String(answer.reason)] : [],
        );
        // a shard that the ledger does not have is not open
        expect(refused).toMatch(after.shards > before.shards ? /differs|refuses/u : /SHARDS differs/u);
      }
      expect(logged.join()).toContain(`"event":"ledger_layout_differs","log":"s`);
    });
    // The ledger, too, is deployed with the changed values: none of its logs takes the records of a changed list.
    await ledgerWith(after, async () => {
      for (let i = 0; i < 4; i++) {
        expect(await failure(() => gatewayWith(after)(newProof("weur")))).toContain("refuses");
        expect(await failure(() => gatewayWith(before)(newProof("enam")))).toContain("refuses");
      }
    });
    await ledgerWith(before, async () => {
      const proof = newProof("weur");
      positionOf(await gatewayWith(before)(proof));
      expect(await gatewayWith(before)(proof)).toBe("replayed");
    });
  },
);

test("T32: whatever lists two gateways have, at most one of them takes a proof", async ({ expect }) => {
  const splits = ["weur:2 enam:2", "weur:1 enam:3", "enam:2 weur:2", "enam:4", "weur:1 enam:2 oc:1"];
  const list = fc
    .record({
      now: fc.constantFrom(...splits),
      later: fc.option(fc.constantFrom(...splits), { nil: undefined }),
    })
    .map(({ now, later }) => values(later === undefined ? now : `${now}; 2099h1 ${later}`));
  const first = values("weur:2 enam:2");
  await ledgerWith(first, async () => {
    await fc.assert(
      fc.asyncProperty(list, list, fc.constantFrom("weur", "enam", undefined), async (one, two, home) => {
        const proof = newProof(home);
        const answers = await Promise.allSettled([gatewayWith(one)(proof), gatewayWith(two)(proof)]);
        const taken = answers.filter(
          (answer) => answer.status === "fulfilled" && answer.value !== "replayed",
        );
        const isKept = (own: Values) =>
          keyLayout(layoutOf(own), halfYear) === keyLayout(layoutOf(first), halfYear);
        expect(taken).toHaveLength(isKept(one) || isKept(two) ? 1 : 0);
      }),
      { numRuns: 60 },
    );
  });
});

test("a log with a changed list says what to do, stays as it is, and goes on with the earlier list", async ({
  expect,
}) => {
  const [before, after] = [values("weur:2 enam:2"), values("weur:1 enam:3")];
  const log = `s1-${halfYear}`;
  const first = await ledgerWith(before, async () => positionOf(await shard(log).append([refusal()])));
  expect(await kept()).toEqual([{ layout: "weur:2 enam:2" }]);
  await ledgerWith(after, async () => {
    const why = differentLayout(log, "weur:2 enam:2", "weur:1 enam:3");
    expect(await failure(() => shard(log).append([refusal()]))).toContain(why);
    expect(await failure(() => shard(`s3-${halfYear}`).append([refusal()]))).toContain(earlier);
    expect(await shard(log).status()).toMatchObject({ health: "refusing", why, isLost: false, size: 3 });
    await runInDurableObject(shard(log), (instance) => instance.alarm()); // its copy goes on
    expect(await shard(log).status()).toMatchObject({ copied: 3 });
  });
  await ledgerWith(before, async () => {
    expect(positionOf(await shard(log).append([refusal()])).index).toBeGreaterThan(first.index);
    expect(await shard(log).status()).toMatchObject({ health: "good", why: null });
  });
  expect(await kept()).toEqual([{ layout: "weur:2 enam:2" }]);
});

test("a period that has not begun may be added, edited and removed at any time", async ({ expect }) => {
  const later = `${year}h2`;
  for (const list of [
    "weur:2 enam:2",
    `weur:2 enam:2; ${later} weur:3 enam:1`,
    `weur:2 enam:2; ${later} enam:4`,
    `weur:2 enam:2; 2098h1 weur:1 enam:3`,
    `2020h1 weur:2 enam:2`,
  ])
    await ledgerWith(values(list), async () => {
      positionOf(await gatewayWith(values(list))(newProof("enam")));
      positionOf(await gatewayWith(values("weur:2 enam:2"))(newProof("enam")));
      // A log that starts before its half-year begins keeps no layout for it.
      await shard(`s0-${later}`).status();
      expect(await kept(later)).toEqual([]);
    });
});

test("a half-year keeps the list that its first log is opened with, from the time when logs open", async ({
  expect,
}) => {
  const begins = Date.UTC(year, 6, 1);
  const [before, after] = [
    values("weur:2 enam:2"),
    values(`weur:2 enam:2; ${year}h2 weur:1 enam:3`),
  ] as const;
  await ledgerWith(before, async () => {
    positionOf(await gatewayWith(before)(newProof("weur")));
    await goOnAt(begins - SWITCH_SLACK_MS - 60_000);
  });
  await ledgerWith(after, async () => positionOf(await gatewayWith(after)(newProof("weur"))));
  vi.setSystemTime(begins + 1_000);
  await ledgerWith(after, async () => {
    halfYear = `${year}h2`;
    const proof = newProof("enam");
    positionOf(await gatewayWith(after)(proof));
    expect(await gatewayWith(after)(proof)).toBe("replayed");
    expect(await failure(() => gatewayWith(before)(proof))).toContain(differs);
  });
  expect(await kept(`${year}h2`)).toEqual([{ layout: "weur:1 enam:3" }]);
});

test("the number of shards changes with a half-year, and each proof is taken once all the time", async ({
  expect,
}) => {
  const next = `${year}h2`;
  const steps = [
    values(""),
    values(`enam:4; ${next} enam:8`, 8), // deployed in the half-year before
    values(`enam:4; ${next} enam:8`, 8),
    values("", 8), // a day after the switch
  ];
  const begins = Date.UTC(year, 6, 1);
  const times = [begins - 600_000, begins - 5_000, begins + 5_000, begins + 86_500_000];
  const used = new Set<string>();
  for (const [i, now] of times.entries()) {
    const [before = values(""), own = values("")] = [steps[i - 1] ?? steps[0], steps[i]];
    await ledgerWith(own, async () => {
      await goOnAt(now);
      halfYear = now < begins ? `${year}h1` : next;
      for (let k = 0; k < 14; k++) {
        const proof = newProof("enam");
        // while the gateway is deployed, both of its versions run
        const sent = [gatewayWith(before), gatewayWith(own)].map((send) => send(proof));
        const answers = await Promise.all(sent);
        const taken = answers.find((answer) => answer !== "replayed");
        expect(answers.filter((answer) => answer === "replayed")).toHaveLength(1);
        used.add(taken?.log ?? "");
      }
    });
  }
  expect(used.size).toBeGreaterThan(8);
  expect(await kept(`${year}h1`)).toEqual([{ layout: "4" }]);
  expect(await kept(next)).toEqual([{ layout: "8" }]);
});

test("a period that is over may be left out: its logs are read as before", async ({ expect }) => {
  const [before, after] = [
    values("weur:2 enam:2"),
    values(`weur:2 enam:2; ${year}h2 weur:1 enam:3`),
  ] as const;
  const log = `s1-${halfYear}`;
  await ledgerWith(before, async () => {
    positionOf(await shard(log).append([refusal()]));
    await goOnAt(Date.UTC(year, 6, 1) + 60_000);
  });
  const short = values(`${year}h2 weur:1 enam:3`);
  await ledgerWith(after, async () => positionOf(await gatewayWith(after)(newProof("weur"))));
  await ledgerWith(short, async () => {
    expect((await shard(log).status()).why, "it still decides about proofs").toContain(earlier);
    expect(await failure(() => gatewayWith(short)(newProof("weur")))).toContain(earlier);
    halfYear = `${year}h2`;
    await goOnAt(Date.UTC(year, 6, 2));
  });
  await ledgerWith(short, async () => {
    expect(await shard(log).status()).toMatchObject({ why: null });
    expect(await shard(log).checkpoint()).toBeDefined();
    positionOf(await gatewayWith(short)(newProof("weur")));
  });
});

test("a ledger that began before there was a record of the list keeps the list that it has then", async ({
  expect,
}) => {
  const own = values("weur:2 enam:2");
  const log = `s2-${halfYear}`;
  await ledgerWith(own, async () => positionOf(await shard(log).append([refusal()])));
  await runInDurableObject(root(), (_, { storage }) => {
    storage.sql.exec("DELETE FROM root_layouts WHERE half_year = ?", halfYear);
  });
  await ledgerWith(own, async () => {
    positionOf(await shard(log).append([refusal()]));
    // A gateway of an earlier version does not say how it chose.
    positionOf(await shard(log).append([disclosureOf(1)], "p".repeat(43)));
  });
  expect(await kept()).toEqual([{ layout: "weur:2 enam:2" }]);
});

test("T32: a log that stands in for a lost log has its layout, and takes no proof that the lost log took", async ({
  expect,
}) => {
  const own = values("weur:2 enam:2");
  const proof = newProof("weur");
  await ledgerWith(own, async () => {
    const { log } = positionOf(await gatewayWith(own)(proof));
    await runInDurableObject(shard(log), (instance) => instance.alarm());
    await lose(log);
    const desk = new RecoveryDesk(ledger);
    for (let isDone = false; !isDone;) {
      const restored = await desk.restore(log);
      isDone = !restored.ok || restored.value[0]?.isDone === true;
    }
    // The lost storage knew the proof, and its stand-in does not.
    expect(await failure(() => gatewayWith(own)(proof))).toContain("used proofs of this log were lost");
    vi.setSystemTime(Date.now() + SWITCH_SLACK_MS);
    expect(await gatewayWith(own)(proof)).toBe("replayed");
    const fresh = { ...proof, id: "fresh", made: instant(Date.now()) };
    expect(positionOf(await gatewayWith(own)(fresh)).log).toBe(standInsOf(log)[0]);
    expect(await gatewayWith(own)(fresh)).toBe("replayed");
    const chosenBy = "weur:1 enam:3";
    expect(await shard(log).append([disclosureOf(1)], "q".repeat(43), undefined, undefined, chosenBy)).toBe(
      "layout differs",
    );
  });
});
