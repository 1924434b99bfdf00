import {
  allOk,
  badRequest,
  created,
  gone,
  multipleMatches,
  notFound,
  OperationOutcomeError,
  preconditionFailed,
  type SearchRequest,
  type WithId,
} from "@medplum/core";
import { MemoryRepository, type CreateResourceOptions, type DeleteResourceOptions } from "@medplum/fhir-router";
import type { Bundle, OperationOutcome, Resource } from "@medplum/fhirtypes";
import type { Result } from "#kernel/result";
import type { SearchRefusal } from "./criterion.ts";
import { parseExact } from "./exact-json.ts";
import { pairsOf } from "./medplum-query.ts";
import { readQuery, type Query } from "./query.ts";
import { Shelf, type Stored } from "./shelf.ts";
import { validate } from "./validate.ts";
import { Versions, type Version } from "./versions.ts";

/**
 * medplum's in-memory repository with what a real FHIR server has besides: search that understands every value and refuses what it
 * does not, numbers kept as they were written, counted versions, ids that only the server gives, 410 for what was deleted.
 */
export class SandboxRepository extends MemoryRepository {
  readonly #base: string;
  readonly #versions = new Versions();
  /** The current versions. */
  readonly shelf: Shelf;

  /** `base`: the URL below which this repository is served. */
  constructor(base: string) {
    super();
    this.#base = base;
    this.shelf = new Shelf(base);
  }

  /** Stores a resource of the sandbox's data as it is, but for `meta.versionId` and a missing `meta.lastUpdated`. */
  load(resource: Resource & { readonly id: string }): Promise<WithId<Resource>> {
    return this.#store(resource, resource.meta?.lastUpdated ?? new Date().toISOString(), { assignedId: true }, true);
  }

  readQuery(type: string, pairs: Iterable<readonly [string, string]>): Result<Query, SearchRefusal> {
    return readQuery(type, pairs, this.#base);
  }

  override async createResource<T extends Resource>(resource: T, options?: CreateResourceOptions, update = false): Promise<WithId<T>> {
    validate(resource);
    const { id: _given, ...rest } = resource;
    const named = update || options?.assignedId === true ? resource : ({ ...rest } as T); // a T without its optional id
    return this.#store(named, new Date().toISOString(), options, update);
  }

  async #store<T extends Resource>(
    resource: T,
    lastUpdated: string,
    options: CreateResourceOptions | undefined,
    update: boolean,
  ): Promise<WithId<T>> {
    const id = resource.id ?? this.generateId();
    const { resourceType } = resource;
    const versionId = this.#versions.nextId(resourceType, id);
    const exact = { ...resource, id, meta: { ...resource.meta, versionId, lastUpdated } };
    await this.withSeeding(() => super.createResource(exact, options, update)); // seeding: meta is taken as given
    this.#versions.add(resourceType, id, { versionId, lastUpdated, method: update ? "PUT" : "POST", resource: exact });
    this.shelf.put(exact);
    return copy<T>(exact);
  }

  override async readResource<T extends Resource>(resourceType: string, id: string): Promise<WithId<T>> {
    return copy<T>(this.current(resourceType, id));
  }

  /** Throws medplum's 404, or its 410 when the resource was deleted. */
  current(resourceType: string, id: string): Stored {
    const stored = this.shelf.get(resourceType, id);
    if (stored !== undefined) return stored;
    throw new OperationOutcomeError(this.#versions.of(resourceType, id).length > 0 ? gone : notFound);
  }

  override async readVersion<T extends Resource>(resourceType: string, id: string, versionId: string): Promise<WithId<T>> {
    return copy<T>(this.#versions.read(resourceType, id, versionId));
  }

  /** The life of a resource, the newest step first; a deleted one has one too (R4 §3.1.0.9). Throws medplum's 404 when it never was. */
  lifeOf(resourceType: string, id: string): Version[] {
    const versions = this.#versions.of(resourceType, id);
    if (versions.length === 0) throw new OperationOutcomeError(notFound);
    return versions.toReversed();
  }

  override async deleteResource(resourceType: string, id: string, options?: DeleteResourceOptions): Promise<void> {
    const { meta } = this.current(resourceType, id);
    if (options?.ifMatch !== undefined && options.ifMatch !== meta.versionId) throw new OperationOutcomeError(preconditionFailed);
    await super.deleteResource(resourceType, id);
    this.shelf.remove(resourceType, id);
    const versionId = this.#versions.nextId(resourceType, id);
    this.#versions.add(resourceType, id, { versionId, lastUpdated: new Date().toISOString(), method: "DELETE" });
  }

  /** medplum's own form of a search, behind the conditional interactions. */
  override async search<T extends Resource>(searchRequest: SearchRequest<T>): Promise<Bundle<WithId<T>>> {
    const query = this.readQuery(searchRequest.resourceType, pairsOf(searchRequest));
    if (!query.ok) throw new OperationOutcomeError(badRequest(query.error.text));
    const found = this.shelf.find(query.value);
    const entry = found.slice(0, searchRequest.count).map((resource) => ({ resource: copy<T>(resource) }));
    return { resourceType: "Bundle", type: "searchset", total: found.length, entry };
  }

  /** As R4 §3.1.0.8.1 says; overridden because MemoryRepository's own looks past `search`. */
  override async conditionalCreate<T extends Resource>(
    resource: T,
    search: SearchRequest<T>,
    options?: CreateResourceOptions,
  ): Promise<{ resource: WithId<T>; outcome: OperationOutcome }> {
    const [match, ...more] = await this.searchResources(search);
    if (more.length > 0) throw new OperationOutcomeError(multipleMatches);
    if (match !== undefined) return { resource: match, outcome: allOk };
    return { resource: await this.createResource(resource, options), outcome: created };
  }
}

/** A copy that may be changed, under the type that it was stored as. */
const copy = <T extends Resource>(stored: Stored) => parseExact(JSON.stringify(stored)) as WithId<T>; // stored with an id
