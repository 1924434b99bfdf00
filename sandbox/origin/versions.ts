import { notFound, ServerRefusal } from "./refusal.ts";
import type { Stored } from "./stored.ts";

/** A step in the life of a resource. A deletion is a version too, without a resource (R4 §3.1.0.7.1). */
export interface Version {
  readonly type: string;
  readonly id: string;
  readonly versionId: string;
  readonly lastUpdated: string;
  readonly method: "POST" | "PUT" | "DELETE";
  readonly resource?: Stored;
}

/** Every version of every resource, counted from 1. */
export class Versions {
  readonly #byPlace = new Map<string, Version[]>();
  readonly #all: Version[] = [];

  /** Oldest first; empty for a resource that never existed. */
  of(type: string, id: string): readonly Version[] {
    return this.#byPlace.get(`${type}/${id}`) ?? [];
  }

  /** The versions of every resource, or of all of a type; in the order of storing. */
  all(type?: string): readonly Version[] {
    return type === undefined ? this.#all : this.#all.filter((version) => version.type === type);
  }

  nextId(type: string, id: string): string {
    return String(this.of(type, id).length + 1);
  }

  add(version: Version): void {
    const place = `${version.type}/${version.id}`;
    const versions = this.#byPlace.get(place);
    if (versions === undefined) this.#byPlace.set(place, [version]);
    else versions.push(version);
    this.#all.push(version);
  }

  /** Removes the latest version of all: a transaction is undone backwards. */
  takeBack(): void {
    const version = this.#all.pop();
    if (version === undefined) return;
    const place = `${version.type}/${version.id}`;
    const versions = this.#byPlace.get(place);
    versions?.pop();
    if (versions?.length === 0) this.#byPlace.delete(place);
  }

  /** Throws a 404 for a version that never existed, a 410 for a deletion. */
  read(type: string, id: string, versionId: string): Stored {
    const version = this.of(type, id).find((one) => one.versionId === versionId);
    if (version === undefined) throw notFound();
    if (version.resource === undefined) throw gone();
    return version.resource;
  }
}

export const gone = (): ServerRefusal => new ServerRefusal(410, "deleted", "Deleted.");
