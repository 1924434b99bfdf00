import { test } from "vitest";
import { instant } from "#kernel/clock";
import { GrantWindows } from "#limits/grant-windows";
import { LeaseBook } from "#limits/lease";
import {
  beginAsk,
  demanded,
  emptyLease,
  mayAsk,
  renewalDue,
  settleAsk,
  spend,
  spendAnswered,
  type IsolateLease,
} from "#limits/isolate-lease";

// A discrete-event model: near and far isolates (4 to 124 ms), demand by Zipf's law, Poisson arrivals, a
// single guard.
interface Load {
  readonly requests: number;
  readonly isolates: number;
  /** As a share of the quota. */
  readonly load: number;
  readonly windows: number;
}

interface Found {
  /** The fullest window's admissions and the quota. */
  readonly most: number;
  /** Admitted requests as a share of the possible: the lesser of demand and quota, window by window. */
  readonly used: number;
  readonly callsPerRequest: number;
  /** The share of admitted requests that waited for no call. */
  readonly atOnce: number;
}

const windowMilliseconds = 60_000;

/** Reproducible: an LCG of Numerical Recipes. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

class Agenda {
  readonly #heap: { readonly at: number; readonly run: () => void }[] = [];
  now = 0;

  add(at: number, run: () => void): void {
    const heap = this.#heap;
    let child = heap.push({ at, run }) - 1;
    for (
      let parent = (child - 1) >> 1;
      child > 0 && at < at_(heap, parent);
      child = parent, parent = (child - 1) >> 1
    )
      swap(heap, child, parent);
  }

  runAll(): void {
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      this.now = next.at;
      next.run();
    }
  }

  #take() {
    const heap = this.#heap;
    swap(heap, 0, heap.length - 1);
    const first = heap.pop();
    for (let parent = 0; ;) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2];
      let least = at_(heap, left) < at_(heap, parent) ? left : parent;
      if (at_(heap, right) < at_(heap, least)) least = right;
      if (least === parent) return first;
      swap(heap, parent, least);
      parent = least;
    }
  }
}
const at_ = (heap: readonly { readonly at: number }[], i: number) => heap[i]?.at ?? Number.POSITIVE_INFINITY;
function swap(heap: unknown[], a: number, b: number): void {
  const [x, y] = [heap[a], heap[b]];
  if (x === undefined || y === undefined) return;
  heap[a] = y;
  heap[b] = x;
}

function simulate({ requests, isolates, load, windows }: Load): Found {
  const dice = random(7);
  const agenda = new Agenda();
  const quota = { requests, windowSeconds: windowMilliseconds / 1000, revision: 1 };
  const book = new LeaseBook("0", new GrantWindows([]));
  const clock = () => instant(agenda.now);
  const [admitted, offered] = [new Map<number, number>(), new Map<number, number>()];
  let [calls, arrivals, atOnce] = [0, 0, 0];
  const add = (to: Map<number, number>, key: number) => to.set(key, (to.get(key) ?? 0) + 1);

  const weights = Array.from({ length: isolates }, (_, n) => 1 / (n + 1) ** 0.8);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const weight of weights) {
    const trip = 2 + dice() * 60; // a single direction
    let lease: IsolateLease = emptyLease("default", clock());
    const ask = (least: 0 | 1, then: (answer: Parameters<typeof settleAsk>[2]) => void) => {
      calls += 1;
      const id = `${calls}`;
      const begun = beginAsk(lease, id, least, clock());
      ({ lease } = begun);
      agenda.add(agenda.now + trip, () => {
        const { answer } = book.lease(
          { id, holder: `${trip}`, key: "k", quota, ...begun.call },
          clock(),
          clock(),
        );
        agenda.add(agenda.now + trip, () => {
          lease = settleAsk(lease, id, answer, clock());
          then(answer);
        });
      });
    };
    const serve = (waited: boolean, spent = spend(lease, 1, clock())): void => {
      const window = spent.lease.latest?.answer.windowStart ?? 0;
      ({ lease } = spent);
      switch (spent.outcome.kind) {
        case "spent":
          add(admitted, window);
          if (!waited) atOnce += 1;
          if (renewalDue(lease, clock())) ask(0, () => {});
          return;
        case "exhausted":
          return;
        case "empty":
          if (mayAsk(lease, clock()))
            ask(1, (answer) => serve(true, spendAnswered(lease, 1, answer, clock())));
          else agenda.add(agenda.now + 5, () => serve(true));
      }
    };
    const perMillisecond = (requests * load * weight) / total / windowMilliseconds;
    const arrive = () => {
      arrivals += 1;
      add(offered, Math.floor(agenda.now / windowMilliseconds) * windowMilliseconds);
      lease = demanded(lease, 1, clock());
      serve(false);
      next();
    };
    const next = () => {
      const at = agenda.now - Math.log(1 - dice()) / perMillisecond;
      if (at < windows * windowMilliseconds) agenda.add(at, arrive);
    };
    next();
  }
  agenda.runAll();

  const could = [...offered].reduce((sum, [, count]) => sum + Math.min(count, requests), 0);
  const all = [...admitted.values()].reduce((sum, count) => sum + count, 0);
  return {
    most: Math.max(...admitted.values()),
    used: all / could,
    callsPerRequest: calls / arrivals,
    atOnce: atOnce / all,
  };
}

test("a tiny quota is used to the last request", ({ expect }) => {
  const found = simulate({ requests: 10, isolates: 5, load: 3, windows: 4 });
  expect(found.most).toBe(10);
  expect(found.used).toBe(1);
});

test("600 a minute from 20 isolates: never over, at least 98 % used, half of the requests wait for nothing", ({
  expect,
}) => {
  const found = simulate({ requests: 600, isolates: 20, load: 0.95, windows: 3 });
  expect(found.most).toBeLessThanOrEqual(600);
  expect(found.used).toBeGreaterThan(0.98);
  expect(found.callsPerRequest).toBeLessThan(0.55);
  expect(found.atOnce).toBeGreaterThan(0.5);
});

test("6,000 a minute from 50 isolates: never over, at least 99 % used, one call for five requests, nine in ten wait for nothing", ({
  expect,
}) => {
  const found = simulate({ requests: 6_000, isolates: 50, load: 0.95, windows: 2 });
  expect(found.most).toBeLessThanOrEqual(6_000);
  expect(found.used).toBeGreaterThan(0.99);
  expect(found.callsPerRequest).toBeLessThan(0.25);
  expect(found.atOnce).toBeGreaterThan(0.85);
});

test("a client that asks three times its quota gets exactly its quota, and refusing costs one call for three requests", ({
  expect,
}) => {
  const found = simulate({ requests: 6_000, isolates: 50, load: 3, windows: 2 });
  expect(found.most).toBe(6_000);
  expect(found.used).toBeGreaterThan(0.999);
  expect(found.callsPerRequest).toBeLessThan(0.4);
});
