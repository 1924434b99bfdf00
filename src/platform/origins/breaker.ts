import { instant, type Instant } from "#kernel/clock";

/** A circuit: closed, open until a time, or half open with a single trial under way. */
interface Circuit {
  readonly failuresInARow: number;
  readonly openUntil: Instant;
  /** The trial of a half-open circuit counts until this time, whatever becomes of it. */
  readonly trialUntil: Instant;
  readonly failedAt: Instant;
}

/**
 * An isolate's memory of an origin's failures. Each client has a circuit of its own, and the origin one for
 * all clients, which failures of a single client never open: ten searches of one client that hang say nothing
 * about the searches of others. It is plain data, so requests can share it.
 */
export interface OriginHealth {
  readonly all: Circuit;
  /** The clients of the last five failures without a success between them. */
  readonly failing: readonly string[];
  /** Clients whose last call failed, within the last minute. */
  readonly clients: ReadonlyMap<string, Circuit>;
}

const closed: Circuit = {
  failuresInARow: 0,
  openUntil: instant(0),
  trialUntil: instant(0),
  failedAt: instant(0),
};
export const healthy: OriginHealth = { all: closed, failing: [], clients: new Map() };

const failuresMax = 5;
const clientsMin = 2;
const openMilliseconds = 5_000;
// A client that does not return says nothing more about the origin.
const rememberedMilliseconds = 60_000;

/** `admitted`: the call may go out; the health then counts its trial. */
export type Admission =
  | { readonly kind: "admitted"; readonly health: OriginHealth }
  | { readonly kind: "circuit_open"; readonly retryAfterSeconds: number };

/**
 * Admits a call while both circuits are closed. When an open circuit has rested, one trial passes; further
 * calls wait for its result, or for `trialMilliseconds`.
 */
export function admitCall(
  health: OriginHealth,
  client: string,
  at: Instant,
  trialMilliseconds: number,
): Admission {
  const ofClient = health.clients.get(client) ?? closed;
  const wait = Math.max(health.all.openUntil, ofClient.openUntil) - at;
  if (wait > 0) return { kind: "circuit_open", retryAfterSeconds: Math.ceil(wait / 1_000) };
  if (isTried(health.all, at) || isTried(ofClient, at)) return { kind: "circuit_open", retryAfterSeconds: 1 };
  const [all, ownNow] = [tried(health.all, at, trialMilliseconds), tried(ofClient, at, trialMilliseconds)];
  if (all === health.all && ownNow === ofClient) return { kind: "admitted", health };
  const clients = ownNow === ofClient ? health.clients : new Map([...health.clients, [client, ownNow]]);
  return { kind: "admitted", health: { ...health, all, clients } };
}

const hasOpened = ({ openUntil }: Circuit): boolean => openUntil > 0;
const isTried = (circuit: Circuit, at: Instant): boolean => hasOpened(circuit) && circuit.trialUntil > at;
const tried = (circuit: Circuit, at: Instant, milliseconds: number): Circuit =>
  hasOpened(circuit) ? { ...circuit, trialUntil: instant(at + milliseconds) } : circuit;

/** A success closes the circuit of the client and that of all. */
export function afterSuccess(health: OriginHealth, client: string): OriginHealth {
  if (health === healthy) return health;
  const clients = new Map(health.clients);
  clients.delete(client);
  return clients.size === 0 ? healthy : { all: closed, failing: [], clients };
}

/**
 * Five failures in a row open a circuit for five seconds, that of all only if they are of at least two
 * clients. After that, a failed trial opens it again at once, and failures of one client alone close that of all.
 */
export function afterFailure(health: OriginHealth, client: string, at: Instant): OriginHealth {
  const failing = [...health.failing, client].slice(-failuresMax);
  const all = failed(health.all, at, new Set(failing).size >= clientsMin);
  const ofClient = failed(health.clients.get(client) ?? closed, at, true);
  const clients = [...health.clients].filter(([, circuit]) => isRecent(circuit, at));
  return { all, failing, clients: new Map([...clients, [client, ofClient]]) };
}

const isRecent = ({ failedAt }: Circuit, at: Instant): boolean => at - failedAt < rememberedMilliseconds;

/** The reader left before the answer began or ended: a trial has no result, and the next call is the trial. */
export function afterAbandon(health: OriginHealth, client: string): OriginHealth {
  const ofClient = health.clients.get(client);
  const all = untried(health.all);
  const clients =
    ofClient === undefined ? health.clients : new Map([...health.clients, [client, untried(ofClient)]]);
  return { ...health, all, clients };
}

const untried = (circuit: Circuit): Circuit => ({ ...circuit, trialUntil: instant(0) });

function failed({ failuresInARow, openUntil }: Circuit, at: Instant, mayOpen: boolean): Circuit {
  const failures = failuresInARow + 1;
  return {
    failuresInARow: failures,
    openUntil: !mayOpen ? instant(0) : failures >= failuresMax ? instant(at + openMilliseconds) : openUntil,
    trialUntil: instant(0),
    failedAt: at,
  };
}

/** True if the origin answered the last call of each client, or the last failure is a minute old. */
export const isSteady = ({ clients }: OriginHealth, at: Instant): boolean =>
  clients.size === 0 || ![...clients.values()].some((circuit) => isRecent(circuit, at));
