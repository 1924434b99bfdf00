import { DurableObject } from "cloudflare:workers";
import { denialName, denialScope, type Denial } from "#identity/denial";
import type { MergeMode } from "#registry/merge";
import type { RegistryProblem } from "#registry/document";
import type { RevocationUpdate } from "#registry/revocation";
import { instant, type Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import { allowedPlaces, type PlaceVariables } from "#platform/config/allowed-places";
import { applyRegistry, type Applied } from "#platform/registry/apply-registry";
import type { Listener } from "#platform/guard/object/epoch";
import { RevocationStore } from "./store.ts";
import { within } from "#platform/within";

export interface RevocationsEnv extends PlaceVariables {
  readonly REVOCATIONS: DurableObjectNamespace<Revocations>;
  readonly REGISTRY: D1Database;
  readonly PUBLIC_URL: string;
}

/** The one object of its kind: a global one, off the path of requests, read by guards (DESIGN §11). */
export const revocationsOf = (env: RevocationsEnv): DurableObjectStub<Revocations> =>
  env.REVOCATIONS.getByName("registry");

// An apply takes a second or two. What is left after the first is of a write that failed, or of an object that ended meanwhile.
const redriveMilliseconds = 10_000;
const turnMilliseconds = 20_000;
// Of one client at a time, for the five minutes that its tokens live: a client has one or two.
const ownTokensMax = 50;

/**
 * Says what is revoked, and orders every write of the registry (DESIGN §5): a write is told as begun, durably, before D1
 * knows of it, and as done after, with D1's bookmark; one that was cut off between is done again by the alarm. A denial needs no D1.
 */
export class Revocations extends DurableObject<RevocationsEnv> {
  readonly #store: RevocationStore;
  #turn = Promise.resolve();

  constructor(state: DurableObjectState, env: RevocationsEnv) {
    super(state, env);
    this.#store = new RevocationStore(state.storage);
  }

  /** All after `since` that concerns the listener, or the whole where the past is not kept that long. */
  news(listener: Listener, since?: number): RevocationUpdate {
    return this.#store.news(listener, since, now());
  }

  /** In force when it returns: within seven seconds no lease is left that does not know it. */
  deny(denial: Denial): void {
    this.#store.deny(
      denialName(denial),
      denialScope(denial),
      denial.kind === "token" ? denial.until : null,
      now(),
    );
  }

  /**
   * The same for a token that its own client ends: told to that client's guard alone, since nobody else can use it. False when it has ended
   * so many lately that there is no room for more of its own: it must not use up what operators need in an emergency.
   */
  denyOwnToken(client: string, denial: Extract<Denial, { kind: "token" }>): boolean {
    if (this.#store.ending(client, now()) >= ownTokensMax) return false;
    this.#store.deny(denialName(denial), { client, issuer: null }, denial.until, now());
    return true;
  }

  /** False when nothing of that name was denied. */
  lift(denial: Denial): boolean {
    return this.#store.lift(denialName(denial), denialScope(denial));
  }

  /**
   * Merges a registry file (see `applyRegistry`), after those that came before. Throws when D1 fails: what had begun is tried again by the
   * alarm, until another write comes.
   */
  async apply(document: unknown, mode: MergeMode): Promise<Result<Applied, RegistryProblem>> {
    return await this.#inTurn(async () => {
      // Done after this write, one that was cut off would undo it: a grant that is being narrowed would be wide again, and nobody told.
      for (const { id, document: earlier, mode: its } of this.#store.pending()) {
        try {
          await this.#apply(JSON.parse(earlier), its, id);
        } catch {
          this.#store.finish(id, null); // given up, as its caller was told: a broken one must not hold up what narrows
        }
      }
      return await this.#apply(document, mode, undefined);
    });
  }

  override async alarm(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        for (const { id, document, mode } of this.#store.pending())
          await this.#apply(JSON.parse(document), mode, id);
      });
    } catch {
      // D1 does not answer: the write stays pending, with those after it, and the next alarm tries again.
    }
    if (this.#store.pending().length > 0) await this.ctx.storage.setAlarm(now() + redriveMilliseconds);
  }

  /** One write at a time. Within one Durable Object calls may wait for each other: to the runtime they are one. */
  async #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      await within(turnMilliseconds, before, "another write of the registry takes too long");
      return await write();
    } finally {
      resolve();
    }
  }

  async #apply(
    document: unknown,
    mode: MergeMode,
    again: number | undefined,
  ): Promise<Result<Applied, RegistryProblem>> {
    let id = again;
    let bookmark: string | null = null;
    const applied = await applyRegistry(this.env.REGISTRY, document, mode, {
      clock: now,
      publicUrl: this.env.PUBLIC_URL,
      allowed: this.env.ORIGIN_HOSTS === "" ? undefined : allowedPlaces(this.env),
      begin: async (records) => {
        id = this.#store.begin(id, JSON.stringify(document), mode, records, now());
        await this.ctx.storage.setAlarm(now() + redriveMilliseconds);
        await this.ctx.storage.sync(); // D1 must not know of it first
      },
      seen: (at) => {
        bookmark = at;
      },
    });
    if (id !== undefined) this.#store.finish(id, bookmark);
    return applied;
  }
}

const now = (): Instant => instant(Date.now());
