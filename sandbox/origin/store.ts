import type { Resource } from "@medplum/fhirtypes";
import { notFound } from "./refusal.ts";
import type { Stored } from "./stored.ts";
import { ResourceIndex } from "./resource-index.ts";
import { checkStructure } from "./validate.ts";
import { gone, Versions } from "./versions.ts";

/** A resource to be stored. The server sets the version and time in its `meta`. */
export interface Submitted {
  readonly resourceType: string;
  readonly id: string;
  readonly meta?: object;
}

/**
 * All resources in memory, with all their versions. Every step ends before it returns, so no event falls
 * between two steps of a call.
 */
export class Store {
  readonly base: string;
  /** The current versions. */
  readonly index: ResourceIndex;
  readonly versions = new Versions();
  /** Functions that undo the writes since a transaction began; undefined outside a transaction. */
  #undo: (() => void)[] | undefined;

  /** `base`: the URL below which it is served. */
  constructor(base: string) {
    this.base = base;
    this.index = new ResourceIndex(base);
  }

  /**
   * Stores a resource of the sandbox's data unchanged, except for `meta.versionId` and a missing
   * `meta.lastUpdated`.
   */
  load(resource: Resource & { readonly id: string }): void {
    this.#keep(resource, "PUT", resource.meta?.lastUpdated);
  }

  /** Throws medplum's OperationOutcomeError for a resource that is not valid R4. */
  put(resource: Submitted, method: "POST" | "PUT"): Stored {
    checkStructure(resource as unknown as Resource); // the validation decides if it is a resource
    return this.#keep(resource, method);
  }

  remove(type: string, id: string): void {
    const before = this.index.get(type, id);
    if (before === undefined) return;
    this.index.remove(type, id);
    const versionId = this.versions.nextId(type, id);
    this.versions.add({ type, id, versionId, lastUpdated: new Date().toISOString(), method: "DELETE" });
    this.#undo?.push(() => {
      this.versions.takeBack();
      this.index.put(before);
    });
  }

  /** Throws a 404, or a 410 when the resource was deleted. */
  current(type: string, id: string): Stored {
    const stored = this.index.get(type, id);
    if (stored !== undefined) return stored;
    throw this.versions.of(type, id).length > 0 ? gone() : notFound();
  }

  /** Applies all of the writes or, when any step throws, none (R4 http.html#trules). */
  atomically<T>(steps: () => T): T {
    const undo: (() => void)[] = [];
    this.#undo = undo;
    try {
      return steps();
    } catch (fault) {
      for (const step of undo.toReversed()) step();
      throw fault;
    } finally {
      this.#undo = undefined;
    }
  }

  #keep(resource: Submitted, method: "POST" | "PUT", lastUpdated = new Date().toISOString()): Stored {
    const { resourceType: type, id } = resource;
    const before = this.index.get(type, id);
    const versionId = this.versions.nextId(type, id);
    const stored: Stored = { ...resource, meta: { ...resource.meta, versionId, lastUpdated } };
    this.versions.add({ type, id, versionId, lastUpdated, method, resource: stored });
    this.index.put(stored);
    this.#undo?.push(() => {
      this.versions.takeBack();
      if (before === undefined) this.index.remove(type, id);
      else this.index.put(before);
    });
    return stored;
  }
}
