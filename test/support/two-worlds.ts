import type { Resource } from "@medplum/fhirtypes";
import type { AuditRecord } from "#audit/record";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { FixedChance } from "./fixed-chance.ts";
import { workDone } from "./in-process/cloudflare-workers.ts";
import { startDoor, type Door } from "./in-process/door.ts";
import { handlerOf } from "./in-process/memory-handler.ts";
import { requestOf } from "./in-process/mutual-tls.ts";
import type { Handler } from "./in-process/network.ts";
import { LedgerReader } from "./ledger-reader.ts";

/** The origin and the registry behind a door. */
export interface World {
  /** The resources of the sandbox's FHIR server, or a handler in place of that server. */
  readonly origin: Iterable<Resource> | Handler;
  /**
   * Consents that stand at the sandbox's FHIR server, beside `origin`. The registry entry of the origin says how often
   * they are read ({@link readsConsents}).
   */
  readonly consents?: readonly Resource[];
  /**
   * Registry entries that replace the entries of the same names. They stay until later entries replace them.
   */
  readonly registry?: object;
}

export interface Question extends Sending {
  /** A client of the demonstration, with its certificate and its token; or a caller with these two. */
  readonly by: string | { readonly certificate: string | undefined; readonly token: string };
  /** A path below the FHIR base, or a whole URL. */
  readonly path: string;
}

/** A question without its asker; the body is written as JSON. */
export type PlainQuestion = Omit<Question, "by" | "body"> & { readonly body?: object };

/**
 * A question, or a function that derives it from the earlier answers of the same world: the next page, the
 * version that was read.
 */
export type Asking = Question | ((before: readonly Seen[]) => Question);

/** Everything that a question revealed to the client, to the origin, to an auditor and to the public. */
export interface Seen {
  readonly status: number;
  /**
   * Receipts, and signatures (which cover receipts), appear as `present`: their values differ in each
   * ledger.
   */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The requests that reached the origin, in order. */
  readonly questions: readonly { readonly method: string; readonly path: string; readonly body: string }[];
  /** The questions to the origin and the calls of `control`, each when it began and when it ended, in order. */
  readonly waits: readonly string[];
  /** In the order of ids and steps, without the random seed of each record. */
  readonly records: readonly Omit<AuditRecord, "seed">[];
  /** In the order of the logs. */
  readonly leaves: readonly { readonly kind: number; readonly length: number }[];
}

export const aspects = ["status", "headers", "body", "questions", "waits", "records", "leaves"] as const;
export type Aspect = (typeof aspects)[number];

/** A place at which two worlds differ. Sealed page links are compared by their length. */
export interface Difference {
  /** The number of the question, from 0. */
  readonly question: number;
  readonly aspect: Aspect;
  /** A JSON pointer into the aspect. For a body: the number of the first byte that differs. */
  readonly at: string;
  readonly one: unknown;
  readonly other: unknown;
}

export interface Comparison {
  readonly one: readonly Seen[];
  readonly other: readonly Seen[];
  /**
   * An empty list: no client, origin, auditor or reader of the public ledger can tell the two worlds apart
   * by these questions.
   */
  readonly differences: readonly Difference[];
}

/** Registry entries by which the gateway reads the Consents that stand at the origin. */
export const readsConsents = (originBase: string, verified?: "origin") => ({
  origins: [
    {
      name: "main",
      url: originBase,
      credentials: { kind: "none" },
      transactions: "atomic",
      honoursIfMatchOnDelete: true,
      consents: { readEverySeconds: 86_400, ...(verified && { verified }) },
    },
  ],
});

/** The differences that no exception covers. An exception lists, by aspect, the pointers that may differ. */
export const beyond = (
  differences: readonly Difference[],
  allowed: Readonly<Partial<Record<Aspect, RegExp>>>,
): readonly Difference[] => differences.filter(({ aspect, at }) => allowed[aspect]?.test(at) !== true);

const hosts = {
  gateway: "two-worlds.phylax.example",
  ops: "ops-of-two-worlds.phylax.example",
  origin: "127.0.0.1:99",
  ledger: "127.0.0.1:98",
};
const SECOND_MS = 1_000;
const TOKEN_MS = 200_000; // a token is good for 300 s
const NEWS_MS = 10_000; // after this no part of a gateway uses an earlier state of the registry

/**
 * The two-worlds harness. It finds the facts that differ between two worlds for a client, the origin, an
 * auditor or a reader of the public ledger. It has two doors with the same names, keys, clients, clock and
 * random values, and with the same earlier questions. `compare` sets the worlds behind them.
 */
export class TwoWorlds {
  readonly #one: Side;
  readonly #other: Side;
  readonly #chance: FixedChance;
  readonly #tokens = new Map<string, { readonly token: string; readonly until: number }>();
  #now: number;
  #asked = 0;

  private constructor(one: Side, other: Side, chance: FixedChance, now: number) {
    this.#one = one;
    this.#other = other;
    this.#chance = chance;
    this.#now = now;
  }

  /**
   * @param registry entries for both worlds, in addition to the demonstration's. Their grants need room for
   * one question in a second.
   */
  static async open({ registry }: { readonly registry?: object } = {}): Promise<TwoWorlds> {
    const now = Math.floor(Date.now() / SECOND_MS) * SECOND_MS;
    const chance = new FixedChance(now);
    const sides = [];
    for (let side = 0; side < 2; side++) {
      chance.set(now, "open");
      sides.push(await Side.open(registry));
    }
    const [one, other] = sides as [Side, Side]; // the loop made two
    return new TwoWorlds(one, other, chance, now);
  }

  /** FHIR base, as clients call it. */
  get base(): string {
    return this.#one.door.dev.fhir;
  }

  get door(): Door {
    return this.#one.door;
  }

  /** FHIR base of the origin, as the gateway calls it. */
  get originBase(): string {
    return this.#one.door.dev.origin;
  }

  /** Asks both worlds the same questions. */
  async compare(one: World, other: World, questions: readonly Asking[]): Promise<Comparison> {
    if (one.registry !== undefined || other.registry !== undefined) {
      for (const [side, { registry }] of [[this.#one, one] as const, [this.#other, other] as const]) {
        this.#chance.set(this.#now, "registry");
        await side.apply(registry);
      }
      this.#now += NEWS_MS;
    }
    await this.#ringAlarms();
    for (const asking of questions)
      if (typeof asking !== "function" && typeof asking.by === "string") await this.#token(asking.by);
    const [here, there] = [
      await this.#ask(this.#one, one, questions),
      await this.#ask(this.#other, other, questions),
    ];
    this.#now += (questions.length + 1) * SECOND_MS;
    this.#asked += questions.length;
    return {
      one: here,
      other: there,
      differences: here.flatMap((seen, i) => differencesOf(seen, there[i] ?? seen, i)),
    };
  }

  async close(): Promise<void> {
    this.#chance.end();
    await this.#one.door.close();
    await this.#other.door.close();
  }

  /**
   * Rings the alarms by the set clock, for both sides at the same point. A ledger that is not copied to R2
   * for half an hour accepts no more records.
   */
  async #ringAlarms(): Promise<void> {
    for (const side of [this.#one, this.#other]) {
      this.#chance.set(this.#now, "alarms");
      if ((await side.door.ringAlarms()) > 0) await side.skip();
    }
  }

  async #ask(side: Side, world: World, questions: readonly Asking[]): Promise<readonly Seen[]> {
    this.#chance.set(this.#now, "world");
    side.settle(world);
    const seen: Seen[] = [];
    for (const [i, asking] of questions.entries()) {
      const question = typeof asking === "function" ? asking(seen) : asking;
      const { certificate, token } =
        typeof question.by === "string"
          ? { certificate: this.#one.door.client(question.by).cert, token: await this.#token(question.by) }
          : question.by;
      this.#chance.set(this.#now + i * SECOND_MS, `question ${this.#asked + i}`);
      seen.push(await side.ask(question, certificate, token));
    }
    return seen;
  }

  /**
   * A token of the first world's issuer. The second issuer issues a token too, so that both have the same
   * state.
   */
  async #token(client: string): Promise<string> {
    const known = this.#tokens.get(client);
    if (known !== undefined && this.#now < known.until) return known.token;
    const tokens = [];
    for (const { door } of [this.#one, this.#other]) {
      this.#chance.set(this.#now, `token ${client} ${this.#asked}`);
      tokens.push(await door.token(client));
    }
    const [token = ""] = tokens;
    this.#tokens.set(client, { token, until: this.#now + TOKEN_MS });
    for (const side of [this.#one, this.#other]) await side.skip();
    return token;
  }
}

/** A door, and the observation of its answers, its origin and its ledger. */
class Side {
  readonly door: Door;
  readonly #reader: LedgerReader;
  readonly #behind: { answer: Handler };
  #reached: { readonly method: string; readonly path: string; readonly body: string }[] = [];
  #waits: string[] = [];

  private constructor(door: Door, behind: { answer: Handler }) {
    this.door = door;
    this.#reader = new LedgerReader(door.dev);
    this.#behind = behind;
  }

  static async open(registry: object | undefined): Promise<Side> {
    const behind: { answer: Handler } = { answer: () => new Response(null, { status: 503 }) };
    const side: { opened?: Side } = {};
    const door = await startDoor({
      hosts,
      resources: [],
      alarms: "asked",
      remote: (to, act, method = "") => side.opened?.note(to, method, act) ?? act(),
      answer: (request) => side.opened?.hear(request) ?? behind.answer(request),
    });
    side.opened = new Side(door, behind);
    if (registry !== undefined) await door.applyRegistry(registry);
    return side.opened;
  }

  /** Notes a question to the origin or a call of `control`. Other parts get no call that a row decides. */
  async note<T>(to: string, method: string, act: () => Promise<T>): Promise<T> {
    if (to !== "origin" && to !== "consents") return act();
    this.#waits.push(`${to} ${method}`);
    try {
      return await act();
    } finally {
      this.#waits.push(`${to} ${method} ended`);
    }
  }

  async hear(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    this.#reached.push({
      method: request.method,
      path: pathname + search,
      body: await request.clone().text(),
    });
    return this.#behind.answer(request);
  }

  async apply(registry: object | undefined): Promise<void> {
    if (registry !== undefined) await this.door.applyRegistry(registry);
  }

  settle({ origin, consents = [] }: World): void {
    if (typeof origin === "function") {
      if (consents.length > 0) throw new Error("a handler serves its own Consents");
      this.#behind.answer = origin;
      return;
    }
    const server = memoryOrigin(this.door.dev.origin);
    server.load([...origin, ...consents]);
    this.#behind.answer = handlerOf(server);
  }

  async ask({ path, ...sending }: Question, certificate: string | undefined, token: string): Promise<Seen> {
    const { dev } = this.door;
    const url = path.startsWith("https:") ? path : `${dev.fhir}/${path}`;
    const headers = { authorization: `Bearer ${token}`, ...sending.headers };
    this.#reached = [];
    this.#waits = [];
    const request = requestOf(dev.clientCa.cert, certificate, url, { ...sending, headers });
    const response = await this.door.within(() => this.door.fetch(request));
    const body = Buffer.from(await response.bytes());
    await workDone();
    const { leaves, records } = await this.door.within(() => this.#reader.read());
    // Two worlds that both refuse everything have no differences.
    if (response.status === 503 && leaves.length === 0)
      throw new Error(`the gateway is out of order: ${path} is not recorded`);
    // A server draws the ids of new rows and of held searches. Parts that work side by side may draw before it or after it.
    const assigned = assignedId.exec(response.headers.get("location") ?? "")?.[0];
    const masked = (text: string) =>
      assigned === undefined ? text : text.replaceAll(assigned, "-".repeat(assigned.length));
    const isMasked = (name: string) => ofOneLedger.test(name) || (assigned !== undefined && name === "etag"); // the tag of a body with the id
    return {
      status: response.status,
      headers: Object.fromEntries(
        [...response.headers].map(([name, value]) => [
          name,
          isMasked(name) ? "present" : masked(withoutSeals(value)),
        ]),
      ),
      body: Buffer.from(masked(body.toString("latin1")), "latin1"),
      questions: this.#reached.map(({ path, ...sent }) => ({
        ...sent,
        path: masked(path).replace(heldSearch, "-"),
      })),
      waits: this.#waits,
      records: (assigned === undefined
        ? records
        : (JSON.parse(masked(JSON.stringify(records))) as AuditRecord[])
      )
        .map(({ seed: _seed, ...record }) => record)
        .toSorted(byPlace),
      leaves: leaves.map(({ kind, length }) => ({ kind, length })),
    };
  }

  /** Skips the additions to the ledger so far. */
  async skip(): Promise<void> {
    await workDone();
    await this.door.within(() => this.#reader.read());
  }
}

const assignedId = /(?<=\/)[0-9a-f-]{36}(?=\/_history\/|$)/u;
/** The name of a search whose further pages the sandbox holds, as HAPI does. */
const heldSearch = /(?<=[?&]_getpages=)[0-9a-f-]{36}/u;
const ofOneLedger = /^(?:phylax-receipt|signature)$/u;

const byPlace = (a: Omit<AuditRecord, "seed">, b: Omit<AuditRecord, "seed">): number =>
  a.event.id.localeCompare(b.event.id) || (a.event.step ?? 0) - (b.event.step ?? 0) || a.part - b.part;

function differencesOf(here: Seen, there: Seen, question: number): Difference[] {
  return aspects.flatMap((aspect) => {
    const found =
      aspect === "body"
        ? bodyDifference(here.body, there.body)
        : [...differing("", here[aspect], there[aspect])];
    return found.map(({ at, one, other }) => ({ question, aspect, at, one, other }));
  });
}

type Place = Pick<Difference, "at" | "one" | "other">;

/**
 * Links to further pages are sealed under a random nonce. Only the gateway can read them, so they are
 * compared by their length.
 */
const withoutSeals = (text: string): string =>
  text.replaceAll(/(?<=[?&]_page=)[\w-]+/gu, (link) => "-".repeat(link.length));

function bodyDifference(...bodies: readonly [Buffer, Buffer]): Place[] {
  const [one, other] = bodies.map((body) => Buffer.from(withoutSeals(body.toString("latin1")), "latin1")) as [
    Buffer,
    Buffer,
  ]; // `bodies` has two members
  if (one.equals(other)) return [];
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const near = (body: Buffer) => body.subarray(Math.max(0, at - 60), at + 60).toString("utf8");
  return [{ at: String(at), one: near(one), other: near(other) }];
}

/** The places at which two values differ, by the deepest member. */
function* differing(at: string, one: unknown, other: unknown): Generator<Place> {
  if (Object.is(one, other)) return;
  const [here, there] = [membersOf(one), membersOf(other)];
  if (here === undefined || there === undefined) {
    yield { at, one, other };
    return;
  }
  for (const name of new Set([...here.keys(), ...there.keys()]))
    yield* differing(
      `${at}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`,
      here.get(name),
      there.get(name),
    );
}

/** `undefined`: the value has no parts. A member with the value `undefined` counts as absent. */
function membersOf(value: unknown): ReadonlyMap<unknown, unknown> | undefined {
  if (value instanceof Map) return value;
  if (value instanceof Uint8Array) return new Map([["hex", Buffer.from(value).toString("hex")]]);
  if (typeof value !== "object" || value === null) return undefined;
  return new Map(Object.entries(value).filter(([, member]) => member !== undefined));
}
