import { join } from "node:path";
import { filedConsents } from "../data/payloads.ts";
import type { Duration } from "../options.ts";
import type { Peer } from "../peers/peer.ts";
import { fieldOf, measurePlans, startOrigin } from "../requests/group.ts";
import type { Figure } from "../requests/measure.ts";
import { plans, type Plan } from "../requests/plans.ts";
import { contestantName } from "../requests/table.ts";
import { compare, type Comparison } from "./compare.ts";
import { serve } from "./served.ts";
import type { Version, VersionName } from "./version.ts";

const peerOf = { old: "phylax-old", again: "phylax-old-again", new: "phylax" } as const;

/** A plan of the requests, with the three processes in place of all peers. */
const comparedPlan = ({ contestants, ...plan }: Plan): Plan => ({
  ...plan,
  contestants: contestants
    .filter(({ peer }) => peer === "phylax")
    .flatMap((one) => Object.values(peerOf).map((peer) => Object.assign({}, one, { peer }))),
});

/** The CPU of a request of the old and of the new version, plan by plan. */
export async function compareRequests(
  folder: string,
  trees: readonly Version[],
  duration: Duration,
  rounds: number,
  among: readonly Plan[] = plans,
): Promise<readonly Comparison[]> {
  const comparedPlans = among.map(comparedPlan);
  const { data, origin } = await startOrigin(folder);
  const peers: Peer[] = [];
  for (const version of trees) peers.push(await startVersion(folder, version, origin));
  // A later version may answer otherwise, so each has to answer whole, and not as the others do.
  const field = await fieldOf(peers, comparedPlans, data, origin, duration, "each by itself");
  const figures = await measurePlans(comparedPlans, field, duration, 2 * rounds);
  return comparedPlans.flatMap(({ name }) => comparisonsOf(name, figures));
}

async function startVersion(folder: string, { name, tree, traced }: Version, origin: string): Promise<Peer> {
  console.error(`starting ${name} …`);
  const served = await serve(tree, {
    folder: join(folder, `phylax-${name}`),
    origin,
    consents: filedConsents,
    traced,
  });
  return {
    name: peerOf[name],
    describe: `Phylax of ${tree.commit ?? "this tree"}`,
    target: { host: "127.0.0.1", port: served.port },
    isFull: true,
    headers: (crowd) => served.ask({ headers: crowd }),
    process: served,
    ledger: { records: () => served.ask({ records: true }) },
  };
}

function comparisonsOf(plan: string, figures: readonly Figure[]): readonly Comparison[] {
  const rows = Map.groupBy(
    figures.filter((figure) => figure.plan === plan),
    (figure) =>
      [
        plan,
        contestantName({ ...figure, peer: "phylax" })
          .slice("phylax".length)
          .trim(),
      ].join(" "),
  );
  return Array.from(rows, ([id, slices]) => {
    const cost = (name: VersionName, turn: number) =>
      slices.find((slice) => slice.peer === peerOf[name] && slice.turn === turn)?.cpuMicrosPerRequest ?? 0;
    const turns = [...new Set(slices.map(({ turn }) => turn))];
    return compare(
      `cpu ${id.trim()}`,
      "µs",
      turns.map((turn) => ({ old: cost("old", turn), again: cost("again", turn), new: cost("new", turn) })),
    );
  });
}
