import { Router, type HttpMethod } from "@medplum/fhir-router";
import { batch } from "./bundle/batch.ts";
import { transaction } from "./bundle/transaction.ts";
import { resourceOf, type Answer, type OriginCall } from "./call.ts";
import { originCapability } from "./capability.ts";
import { validateOperation } from "./operation/validate.ts";
import { read, readVersion } from "./read.ts";
import { badRequest, notFound } from "./refusal.ts";
import { servedTypes } from "./search-parameters.ts";
import {
  everything,
  everythingOfAll,
  history,
  lastN,
  page,
  searchCompartment,
  searchSystem,
  searchType,
} from "./search/search.ts";
import type { Site } from "./site.ts";
import {
  conditionalPatch,
  conditionalRemove,
  conditionalUpdate,
  create,
  patch,
  remove,
  update,
} from "./write/write.ts";

type Handler = (call: OriginCall, site: Site) => Answer;

/** The interactions of R4 http.html by method and path. If two match, the path with fewer variables wins. */
const routes: readonly (readonly [HttpMethod, string, Handler])[] = [
  [
    "GET",
    "",
    (call, site) => (call.query.some(([name]) => name === "_getpages") ? page : searchSystem)(call, site),
  ],
  ["POST", "_search", searchSystem],
  [
    "GET",
    "metadata",
    (_call, { store }) => ({ status: 200, body: originCapability(store.base, new Date().toISOString()) }),
  ],
  ["GET", "_history", history],
  ["GET", ":type/_history", history],
  ["GET", ":type/:id/_history", history],
  ["GET", ":type/:id/_history/:version", readVersion],
  ["GET", ":type", searchType],
  ["POST", ":type/_search", searchType],
  ["GET", ":type/:id/:inner", searchCompartment],
  ["POST", ":type/:id/:inner/_search", searchCompartment],
  ["GET", ":type/:id/$everything", everything],
  ["POST", ":type/:id/$everything", everything],
  ["GET", ":type/$everything", everythingOfAll],
  ["POST", ":type/$everything", everythingOfAll],
  ["GET", ":type/$lastn", lastN],
  ["POST", ":type/$lastn", lastN],
  ["POST", ":type/$validate", validateOperation],
  ["GET", ":type/:id/$validate", validateOperation],
  ["POST", ":type/:id/$validate", validateOperation],
  ["GET", ":type/:id", read],
  ["POST", ":type", create],
  ["PUT", ":type/:id", update],
  ["PUT", ":type", conditionalUpdate],
  ["PATCH", ":type/:id", patch],
  ["PATCH", ":type", conditionalPatch],
  ["DELETE", ":type/:id", remove],
  ["DELETE", ":type", conditionalRemove],
];

/** Runs requests, each to its end before the next. */
export class OriginRouter {
  readonly #site: Site;
  readonly #router = new Router<Handler, undefined>();

  constructor(site: Site) {
    this.#site = site;
    for (const [method, path, handler] of routes) this.#router.add(method, path, handler);
    this.#router.add("POST", "", (call) => this.#bundle(call));
  }

  /** Throws a refusal. A HEAD is a GET without the body in its answer. */
  carry(call: Omit<OriginCall, "params">): Answer {
    const route = this.#router.find(call.method === "HEAD" ? "GET" : call.method, call.path);
    const type = route?.params["type"];
    if (route === undefined || (type !== undefined && !servedTypes.has(type))) throw notFound();
    return route.handler({ ...call, params: route.params }, this.#site);
  }

  #bundle(call: OriginCall): Answer {
    const bundle = resourceOf(call);
    const carry = (one: Omit<OriginCall, "params">) => this.carry(one);
    const { store } = this.#site;
    if (bundle.resourceType === "Bundle" && bundle["type"] === "batch")
      return batch(bundle, call, store.base, carry);
    if (bundle.resourceType === "Bundle" && bundle["type"] === "transaction")
      return transaction(bundle, call, store, carry);
    throw badRequest("The body is no batch or transaction.");
  }
}
