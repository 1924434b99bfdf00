import { gone, notFound, OperationOutcomeError } from "@medplum/core";
import type { Stored } from "./shelf.ts";

/** One step in the life of a resource; a deletion is a version too, without a resource (R4 §3.1.0.7.1). */
export interface Version {
  readonly versionId: string;
  readonly lastUpdated: string;
  readonly method: "POST" | "PUT" | "DELETE";
  readonly resource?: Stored;
}

/** Every version of every resource, counted from 1. */
export class Versions {
  readonly #byPlace = new Map<string, Version[]>();

  /** Oldest first; empty for a resource that never was. */
  of(type: string, id: string): readonly Version[] {
    return this.#byPlace.get(`${type}/${id}`) ?? [];
  }

  nextId(type: string, id: string): string {
    return String(this.of(type, id).length + 1);
  }

  add(type: string, id: string, version: Version): void {
    const versions = this.#byPlace.get(`${type}/${id}`);
    if (versions === undefined) this.#byPlace.set(`${type}/${id}`, [version]);
    else versions.push(version);
  }

  /** Throws medplum's 404 when there was no such version, its 410 when it was the deletion. */
  read(type: string, id: string, versionId: string): Stored {
    const version = this.of(type, id).find((one) => one.versionId === versionId);
    if (version === undefined) throw new OperationOutcomeError(notFound);
    if (version.resource === undefined) throw new OperationOutcomeError(gone);
    return version.resource;
  }
}
