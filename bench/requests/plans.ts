import type { PayloadName } from "../data/payloads.ts";
import type { Duration } from "../options.ts";
import type { CrowdName, PeerName } from "../peers/peer.ts";

/**
 * The load on a peer. Closed loop: each connection sends its next request after the answer. Open loop: a fixed
 * number of requests a second, whatever the answers take.
 */
export interface Load {
  readonly connections: number;
  readonly perSecond?: number;
}

/** One of the things that a plan measures in turn: a peer that answers a payload to some clients. */
export interface Contestant {
  readonly peer: PeerName;
  readonly payload: PayloadName;
  readonly crowd: CrowdName;
}

/** How often and for how long a plan is measured, in seconds. */
export interface Extent {
  readonly turns: number;
  readonly slice: number;
  /** Before the first turn, for each contestant: V8 goes on compiling a peer's code for some thousand requests. */
  readonly begin: number;
}

type Weight = "headline" | "reported" | "steady" | "rushed" | "clients";

// The short run has one slice, long enough for one answer of each peer and far too short for a figure.
const short: Extent = { turns: 1, slice: 0.2, begin: 0 };
export const extents: Readonly<Record<Weight, Readonly<Record<Duration, Extent>>>> = {
  headline: {
    full: { turns: 12, slice: 0.5, begin: 3 },
    quick: { turns: 5, slice: 0.5, begin: 1.5 },
    short,
  },
  reported: {
    full: { turns: 5, slice: 0.5, begin: 1.5 },
    quick: { turns: 2, slice: 0.5, begin: 0.5 },
    short,
  },
  steady: { full: { turns: 3, slice: 3, begin: 1 }, quick: { turns: 1, slice: 2, begin: 0.5 }, short },
  rushed: { full: { turns: 4, slice: 1.5, begin: 0.5 }, quick: { turns: 1, slice: 1, begin: 0.5 }, short },
  clients: { full: { turns: 4, slice: 3, begin: 1 }, quick: { turns: 1, slice: 3, begin: 1 }, short },
};

/** What is asked of whom under which load. The contestants are measured in turn, slice by slice. */
export interface Plan {
  readonly name: string;
  readonly says: string;
  readonly load: Load;
  readonly weight: Weight;
  readonly contestants: readonly Contestant[];
}

const all = ["proxy", "floor", "phylax", "fastify-stock", "fastify-tuned", "fastify-tuned-cache"] as const;
const core = ["proxy", "phylax", "fastify-stock"] as const;
const floors = ["proxy", "floor", "phylax"] as const;
const openPeers = ["proxy", "floor", "phylax", "fastify-stock"] as const;

const by = (peers: readonly PeerName[], payload: PayloadName, crowd: CrowdName = "hot") =>
  peers.map((peer) => ({ peer, payload, crowd }));
const closed: Load = { connections: 32 };

/** A client with one request in six seconds is the usual one: 256 of them. */
const coldPerSecond = 256 / 6;

// 50 a second is below half of the slowest peer's maximum on one core, so that no queue grows. The
// connections suffice: no request waits for a free connection.
export const plans = [
  {
    name: "2k",
    says: "read of a Patient of 2 KB",
    load: closed,
    weight: "headline",
    contestants: by(all, "2k"),
  },
  {
    name: "60k",
    says: "page of 60 KB, each row cut",
    load: closed,
    weight: "headline",
    contestants: by(all, "60k"),
  },
  {
    name: "half",
    says: "page of 60 KB, half of the rows hidden",
    load: closed,
    weight: "reported",
    contestants: by(core, "half"),
  },
  {
    name: "2k-c4",
    says: "read of a Patient of 2 KB",
    load: { connections: 4 },
    weight: "reported",
    contestants: by(core, "2k"),
  },
  {
    name: "open-50",
    says: "page of 60 KB",
    load: { connections: 64, perSecond: 50 },
    weight: "steady",
    contestants: by(openPeers, "60k"),
  },
  {
    name: "open-400",
    says: "page of 60 KB",
    load: { connections: 64, perSecond: 400 },
    weight: "rushed",
    contestants: by(openPeers, "60k"),
  },
  {
    name: "clients",
    says: "read of a Patient of 2 KB by 256 cold or 16 hot clients",
    load: { connections: 64, perSecond: coldPerSecond },
    weight: "clients",
    contestants: [...by(["phylax"], "2k"), ...by(["phylax"], "2k", "cold")],
  },
  {
    name: "consents",
    says: "page of 20 rows, under Consents that ask for author, date and code",
    load: closed,
    weight: "reported",
    contestants: (["consents-0", "consents-1", "consents-50"] as const).flatMap((payload) =>
      by(["phylax"], payload, "consents"),
    ),
  },
  ...(["patients-2", "patients-20", "patients-100"] as const).map((name) => ({
    name,
    says: "page of Patients of 2 KB",
    load: closed,
    weight: "reported" as const,
    contestants: by(floors, name),
  })),
] as const satisfies readonly Plan[];

export type PlanName = (typeof plans)[number]["name"];
