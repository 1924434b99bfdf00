import { join } from "node:path";
import { driverOf, measureAppend, shortLedgerPace, type Driver, type LedgerPace } from "../ledger/measure.ts";
import type { Duration } from "../options.ts";
import { compare, type Comparison, type Turn } from "./compare.ts";
import { servePart } from "./part.ts";
import { inTurn, type Version, type VersionName } from "./version.ts";

/** The CPU of an append of the earlier commit and of this tree, by the number of callers. */
export async function compareLedger(
  folder: string,
  trees: readonly Version[],
  duration: Duration,
  rounds: number,
): Promise<readonly Comparison[]> {
  const drivers = new Map<VersionName, Driver>();
  for (const { name, tree } of trees) {
    const part = await servePart(tree, "ledger", { folder: join(folder, `ledger-${name}`) });
    drivers.set(name, driverOf({ process: part, driverUrl: part.facts.url ?? "", ledgerUrl: "" }));
  }
  const comparisons: Comparison[] = [];
  for (const callers of [1, 16, 256]) {
    console.error(`ledger: ${callers} callers …`);
    const turns: Turn[] = [];
    for (let turn = 0; turn < turnsPerRound[duration] * rounds; turn++)
      turns.push(
        await inTurn(turn, async (name) => {
          const driver = drivers.get(name);
          if (driver === undefined) throw new Error(`${name} has not been started`);
          const asked = {
            kind: "append",
            peer: "ledger",
            append: "read",
            log: driver.log(0),
            callers,
          } as const;
          return (await measureAppend(driver, asked, paces[duration])).cpuMicrosPerAppend;
        }),
      );
    comparisons.push(compare(`append-${callers}`, "µs", turns));
  }
  return comparisons;
}

const slice: LedgerPace = { warmMilliseconds: 100, milliseconds: 500 };
const paces: Readonly<Record<Duration, LedgerPace>> = { full: slice, quick: slice, short: shortLedgerPace };
const turnsPerRound: Readonly<Record<Duration, number>> = { full: 3, quick: 2, short: 1 };
