// The load generator: a process of its own, so that its CPU time counts for no peer. It takes one order at a
// time over IPC.
import { connect, type Answer, type Connection } from "./connection.ts";
import { requestText, slowMilliseconds, type Order, type Outcome } from "./order.ts";

const milliseconds = () => performance.now();

process.on("message", (order: Order) => {
  void carryOut(order).then((outcome) => process.send?.(outcome));
});
process.on("disconnect", () => process.exit(0));
console.log("ready");

async function carryOut(order: Order): Promise<Outcome> {
  const connections = await Promise.all(
    Array.from({ length: order.connections }, () => connect(order.target)),
  );
  const requests = new Requests(order);
  try {
    return await (order.perSecond === undefined
      ? closedLoop(order, requests, connections)
      : openLoop(order, order.perSecond, requests, connections));
  } finally {
    for (const connection of connections) connection.close();
  }
}

interface Asked {
  readonly bytes: Buffer;
  /** Length of the body that the answer must have. */
  readonly length: number;
}

/** The requests of an order in turn: the n-th takes the n-th path and the n-th token. */
class Requests {
  readonly #order: Order;
  readonly #made = new Map<number, Asked>();
  #next = 0;

  constructor(order: Order) {
    this.#order = order;
    this.#next = order.first ?? 0;
  }

  next(): Asked {
    const { paths, headers, target } = this.#order;
    const n = this.#next % (paths.length * headers.length);
    this.#next = n + 1;
    const known = this.#made.get(n);
    if (known !== undefined) return known;
    const [asked, lines] = [paths[n % paths.length], headers[n % headers.length]];
    if (asked === undefined || lines === undefined) throw new Error("an order without requests");
    const { path, bytes } = asked;
    const made = { bytes: Buffer.from(requestText(path, target.port, lines)), length: bytes };
    this.#made.set(n, made);
    return made;
  }
}

const busy: ReadonlySet<number> = new Set([429, 503, 504]);

/**
 * Counts answers. An answer with an unexpected status or length is wrong, so a refusal never passes for a
 * fast answer.
 */
class Tally {
  answers = 0;
  refused = 0;
  wrong = 0;
  #firstWrong: string | undefined;
  readonly #latencies: number[] = [];

  count(answer: Answer | undefined, { length }: Asked, since: number): void {
    if (answer?.status !== 200 || answer.body.length !== length) {
      if (answer !== undefined && busy.has(answer.status)) this.refused += 1;
      else this.wrong += 1;
      this.#firstWrong ??= answer === undefined ? "a broken connection" : textOf(answer);
    } else {
      this.answers += 1;
      this.#latencies.push(milliseconds() - since);
    }
  }

  outcome(since: number): Outcome {
    const sorted = Float64Array.from(this.#latencies).sort();
    const quantile = (q: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
    return {
      answers: this.answers,
      refused: this.refused,
      wrong: this.wrong,
      firstWrong: this.#firstWrong,
      seconds: (milliseconds() - since) / 1000,
      p50Milliseconds: quantile(0.5),
      p95Milliseconds: quantile(0.95),
      slowShare: sorted.filter((took) => took > slowMilliseconds).length / sorted.length,
    };
  }
}

const textOf = ({ status, body }: Answer) =>
  `${status}, ${body.length} bytes: ${body.toString("utf8", 0, 300)}`;

/** Each connection sends its next request as soon as it has an answer. */
async function closedLoop(
  order: Order,
  requests: Requests,
  connections: readonly Connection[],
): Promise<Outcome> {
  const tally = new Tally();
  const begun = milliseconds();
  const until = begun + order.seconds * 1000;
  await Promise.all(
    connections.map(
      (connection) =>
        new Promise<void>((done) => {
          const next = () => {
            const since = milliseconds();
            if (since >= until) return done();
            const asked = requests.next();
            connection.ask(asked.bytes, (answer) => {
              tally.count(answer, asked, since);
              if (answer === undefined) done();
              else next();
            });
          };
          next();
        }),
    ),
  );
  return tally.outcome(begun);
}

/**
 * Sends requests at a fixed rate, however slow the answers are. The wait for a free connection counts as
 * latency.
 */
async function openLoop(
  order: Order,
  perSecond: number,
  requests: Requests,
  connections: readonly Connection[],
): Promise<Outcome> {
  const tally = new Tally();
  const free = [...connections];
  const waiting: number[] = [];
  const send = (connection: Connection, since: number) => {
    const asked = requests.next();
    connection.ask(asked.bytes, (answer) => {
      tally.count(answer, asked, since);
      const next = waiting.shift();
      if (next === undefined) free.push(connection);
      else send(connection, next);
    });
  };
  const begun = milliseconds();
  const total = Math.floor(order.seconds * perSecond);
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((milliseconds() - begun) / 1000) * perSecond) + 1);
    for (; sent < due; sent++) {
      const connection = free.pop();
      if (connection === undefined) waiting.push(milliseconds());
      else send(connection, milliseconds());
    }
    await new Promise((later) => setTimeout(later, 1));
  }
  while (tally.answers + tally.refused + tally.wrong < total)
    await new Promise((later) => setTimeout(later, 1));
  return tally.outcome(begun);
}
