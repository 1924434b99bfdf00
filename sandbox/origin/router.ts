import { allOk, badRequest, gone } from "@medplum/core";
import { FhirRouter, type FhirRequest, type FhirResponse, type FhirRouteHandler, type HttpMethod } from "@medplum/fhir-router";
import type { OperationOutcome } from "@medplum/fhirtypes";
import { everythingAbout, readEverything } from "./everything.ts";
import { historyOf, readHistoryQuery } from "./history.ts";
import { dateSpan } from "./match/date.ts";
import { pageSizes, readPageSize } from "./page-size.ts";
import type { Pages } from "./pages.ts";
import { pairsOf, type Pairs } from "./request-pairs.ts";
import type { SandboxRepository } from "./repository.ts";
import { resourceTypes } from "./search-parameters.ts";
import { searchset } from "./searchset.ts";

type Route = ReturnType<FhirRouter["find"]>;

/** medplum's router for R4's own types, whose searches are strict and paged: by GET, by POST `_search`, and inside a batch. */
export class OriginRouter extends FhirRouter {
  readonly #repository: SandboxRepository;
  readonly #base: string;
  readonly #pages: Pages;

  constructor(repository: SandboxRepository, base: string, pages: Pages) {
    super();
    this.#repository = repository;
    this.#base = base;
    this.#pages = pages;
    for (const method of ["GET", "POST"] as const) {
      this.add(method, ":resourceType/:id/$everything", (request) => this.#everything(request));
      this.add(method, ":resourceType/$everything", () => Promise.resolve([everybody]));
    }
  }

  override find(method: HttpMethod, url: string): Route {
    const route = super.find(method, url);
    const type = route?.params["resourceType"];
    if (route === undefined || (type !== undefined && !resourceTypes.has(type))) return undefined;
    if (route.path.endsWith("/$everything") && type !== "Patient") return undefined;
    const to = (handler: (request: FhirRequest) => Promise<FhirResponse>): Route => ({
      ...route,
      handler: handler satisfies FhirRouteHandler,
    });
    const interaction = route.data?.interaction;
    if (interaction === "search-system") return route.query?.["_getpages"] === undefined ? undefined : to((request) => this.#page(request));
    if (interaction === "search-type") return to((request) => this.#search(request));
    if (interaction === "history-instance") return to((request) => this.#history(request));
    return route; // medplum answers the others as they are
  }

  /** medplum's own parser forgets modifiers that it does not know and takes unknown parameters for ones that match nothing. */
  async #search(request: FhirRequest): Promise<FhirResponse> {
    const type = request.params["resourceType"] ?? "";
    const pairs = pairsOf(request);
    const query = this.#repository.readQuery(type, pairs);
    if (!query.ok) return [badRequest(query.error.text)];
    const { shelf } = this.#repository;
    const listing = searchset(shelf.find(query.value), this.#self(type, pairs), shelf, this.#base);
    return [allOk, this.#pages.first(listing, query.value.count)];
  }

  async #everything(request: FhirRequest): Promise<FhirResponse> {
    const { id = "" } = request.params;
    const pairs = pairsOf(request);
    const query = readEverything(pairs);
    if (!query.ok) return [badRequest(query.error.text)];
    const { shelf } = this.#repository;
    const found = everythingAbout(shelf, this.#base, this.#repository.current("Patient", id), query.value);
    return [allOk, this.#pages.first(searchset(found, this.#self(request.pathname, pairs), shelf, this.#base), query.value.count)];
  }

  async #history(request: FhirRequest): Promise<FhirResponse> {
    const { resourceType = "", id = "" } = request.params;
    const pairs = pairsOf(request);
    const query = readHistoryQuery(pairs);
    if (!query.ok) return [badRequest(query.error.text)];
    const { count, since } = query.value;
    const versions = this.#repository.lifeOf(resourceType, id).filter(({ lastUpdated }) => (dateSpan(lastUpdated)?.high ?? since) > since);
    return [
      allOk,
      this.#pages.first(historyOf(versions, this.#self(request.pathname, pairs), `${this.#base}/${resourceType}/${id}`), count),
    ];
  }

  async #page(request: FhirRequest): Promise<FhirResponse> {
    const asked = new Map(pairsOf(request));
    const offset = Number(/^\d{1,9}$/u.exec(asked.get("_getpagesoffset") ?? "0")?.[0]);
    const count = readPageSize(asked.get("_count") ?? String(pageSizes.default));
    if (Number.isNaN(offset) || count === undefined) return [badRequest("The page's place or size is no number.")];
    const page = this.#pages.turn(asked.get("_getpages") ?? "", offset, count);
    return page === undefined ? [expired] : [allOk, page];
  }

  #self(path: string, pairs: Pairs): string {
    const query = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
    return query === "" ? `${this.#base}/${path}` : `${this.#base}/${path}?${query}`;
  }
}

// medplum makes the status of an answer from these ids.
const expired: OperationOutcome = {
  ...gone,
  issue: [{ severity: "error", code: "not-found", details: { text: "This search is not known here, or no longer." } }],
};
const everybody: OperationOutcome = {
  ...badRequest(""),
  issue: [{ severity: "error", code: "not-supported", details: { text: "$everything is answered for one patient." } }],
};
