import { allOk, badRequest } from "@medplum/core";
import { FhirRouter, type FhirRequest, type FhirResponse, type HttpMethod } from "@medplum/fhir-router";
import { resourceTypes } from "./search-parameters.ts";
import type { SandboxRepository } from "./repository.ts";
import { searchset } from "./searchset.ts";

type Route = ReturnType<FhirRouter["find"]>;

/** medplum's router for R4's own types, whose searches are strict: by GET, by POST `_search`, and inside a batch. */
export class OriginRouter extends FhirRouter {
  readonly #repository: SandboxRepository;
  readonly #base: string;

  constructor(repository: SandboxRepository, base: string) {
    super();
    this.#repository = repository;
    this.#base = base;
  }

  override find(method: HttpMethod, url: string): Route {
    const route = super.find(method, url);
    const type = route?.params["resourceType"];
    if (route === undefined || (type !== undefined && !resourceTypes.has(type))) return undefined;
    if (route.data?.interaction === "search-system") return undefined;
    return route.data?.interaction === "search-type" ? { ...route, handler: (request) => this.#search(request) } : route;
  }

  /** medplum's own parser forgets modifiers that it does not know and takes unknown parameters for ones that match nothing. */
  async #search(request: FhirRequest): Promise<FhirResponse> {
    const type = request.params["resourceType"] ?? "";
    const form = request.method === "POST" ? (request.body as FhirRequest["query"]) : {}; // made by the server from the form
    const pairs = [...Object.entries(request.query), ...Object.entries(form)].flatMap(([name, value]) =>
      [value ?? ""].flat().map((one): readonly [string, string] => [name, one]),
    );
    const query = this.#repository.readQuery(type, pairs);
    if (!query.ok) return [badRequest(query.error.text)];
    return [allOk, searchset(this.#repository.find(query.value), query.value.count, `${this.#base}/${type}`, pairs)];
  }
}
