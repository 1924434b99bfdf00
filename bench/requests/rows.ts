import { differenceOf, ratioOf, valueOf, type Measure, type MeasureId, type Pair } from "../measures.ts";
import type { Figure } from "./measure.ts";
import type { Contestant, PlanName } from "./plans.ts";

type Quantity =
  | "cpuMicrosPerRequest"
  | "requestsPerSecond"
  | "p50Milliseconds"
  | "p95Milliseconds"
  | "slowPercent";

/** A figure of the benchmark: a quantity of one contestant of a plan with that of another one in the same turn. */
interface Row {
  readonly id: MeasureId;
  readonly plan: PlanName;
  readonly quantity: Quantity;
  readonly of: Partial<Contestant>;
  readonly to?: Partial<Contestant>;
  readonly as: (id: MeasureId, pairs: readonly Pair[]) => Measure;
}

const phylax = { peer: "phylax" } as const;
const alone = (id: MeasureId, pairs: readonly Pair[]) =>
  valueOf(
    id,
    pairs.map(({ a }) => a),
  );

const cpu = (id: MeasureId, plan: PlanName, of: Partial<Contestant>, to: Partial<Contestant>): Row => ({
  id,
  plan,
  quantity: "cpuMicrosPerRequest",
  of,
  to,
  as: ratioOf,
});
const rate = (id: MeasureId, plan: PlanName): Row => ({
  id,
  plan,
  quantity: "requestsPerSecond",
  of: phylax,
  to: { peer: "fastify-stock" },
  as: ratioOf,
});
const added = (id: MeasureId, plan: PlanName, quantity: Quantity): Row => ({
  id,
  plan,
  quantity,
  of: phylax,
  to: { peer: "proxy" },
  as: differenceOf,
});
const slow = (id: MeasureId, plan: PlanName): Row => ({
  id,
  plan,
  quantity: "slowPercent",
  of: phylax,
  as: alone,
});

const rows: readonly Row[] = [
  cpu("cpu-2k-vs-floor", "2k", phylax, { peer: "floor" }),
  cpu("cpu-60k-vs-floor", "60k", phylax, { peer: "floor" }),
  cpu("cpu-2k-vs-bare", "2k", phylax, { peer: "proxy" }),
  cpu("cpu-60k-vs-bare", "60k", phylax, { peer: "proxy" }),
  cpu("cpu-half-vs-bare", "half", phylax, { peer: "proxy" }),
  rate("rps-2k-vs-stock", "2k"),
  rate("rps-60k-vs-stock", "60k"),
  rate("rps-half-vs-stock", "half"),
  rate("rps-2k-c4-vs-stock", "2k-c4"),
  cpu("cpu-2k-vs-tuned", "2k", phylax, { peer: "fastify-tuned" }),
  cpu("cpu-2k-vs-tuned-cache", "2k", phylax, { peer: "fastify-tuned-cache" }),
  cpu("cpu-60k-vs-tuned", "60k", phylax, { peer: "fastify-tuned" }),
  cpu("cpu-60k-vs-tuned-cache", "60k", phylax, { peer: "fastify-tuned-cache" }),
  ...(["patients-2", "patients-20", "patients-100"] as const).flatMap((plan) => [
    cpu(`cpu-${plan}-vs-bare`, plan, phylax, { peer: "proxy" }),
    cpu(`cpu-${plan}-vs-floor`, plan, phylax, { peer: "floor" }),
  ]),
  cpu("cpu-consents-1-vs-0", "consents", { payload: "consents-1" }, { payload: "consents-0" }),
  cpu("cpu-consents-50-vs-0", "consents", { payload: "consents-50" }, { payload: "consents-0" }),
  cpu("cpu-cold-vs-hot", "clients", { crowd: "cold" }, { crowd: "hot" }),
  added("open-loop-p50-added-ms", "open-50", "p50Milliseconds"),
  added("open-loop-p95-added-ms", "open-50", "p95Milliseconds"),
  slow("open-loop-slow-percent", "open-50"),
  added("open-loop-400-p50-added-ms", "open-400", "p50Milliseconds"),
  added("open-loop-400-p95-added-ms", "open-400", "p95Milliseconds"),
  slow("open-loop-400-slow-percent", "open-400"),
];

/** The measures of the group, from the figures of all plans. */
export const requestMeasures = (figures: readonly Figure[]): readonly Measure[] =>
  rows.map(({ id, plan, quantity, of, to, as }) => {
    const found = figures.filter((figure) => figure.plan === plan);
    const others = found.filter(isOf(to ?? of));
    const pairs = found.filter(isOf(of)).flatMap((figure) => {
      const other = others.find(({ turn }) => turn === figure.turn);
      return other === undefined ? [] : [{ a: figure[quantity], b: other[quantity] }];
    });
    return as(id, pairs);
  });

const isOf =
  ({ peer, payload, crowd }: Partial<Contestant>) =>
  (figure: Contestant) =>
    (peer ?? figure.peer) === figure.peer &&
    (payload ?? figure.payload) === figure.payload &&
    (crowd ?? figure.crowd) === figure.crowd;
