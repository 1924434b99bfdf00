import { resourceOf, type Answer, type OriginCall } from "../call.ts";
import { readPreference } from "../prefer.ts";
import { badRequest, notFound, ServerRefusal } from "../refusal.ts";
import type { Stored } from "../stored.ts";
import type { Site } from "../site.ts";
import { submittedBinary } from "./binary.ts";
import { conditionIn, onlyMatch } from "./conditional.ts";
import { patched } from "./patch.ts";
import { requireVersion } from "./version-match.ts";

/** R4 http.html#create: the server gives the id. With `If-None-Exist` it creates only without a match. */
export function create(call: OriginCall, { store }: Site): Answer {
  const type = call.params["type"] ?? "";
  const { id: _given, ...resource } = resourceFor(call, type);
  const condition = call.headers["if-none-exist"];
  const match = condition === undefined ? undefined : onlyMatch(store, type, conditionIn(condition));
  if (match !== undefined) return written(200, match, call.headers);
  return written(
    201,
    store.put({ ...resource, id: call.assignedId ?? crypto.randomUUID() }, "POST"),
    call.headers,
  );
}

/** R4 http.html#update: the next version, or the first version under an id of the client's choice. */
export function update(call: OriginCall, site: Site): Answer {
  const { type = "", id = "" } = call.params;
  const resource = resourceFor(call, type);
  if (resource["id"] !== id) throw badRequest("The resource does not name the id that it is put to.");
  return putAt(resource, id, call, site);
}

/** R4 http.html#cond-update: without a match, a creation, under the id in the resource if that id is free. */
export function conditionalUpdate(call: OriginCall, site: Site): Answer {
  const type = call.params["type"] ?? "";
  const resource = resourceFor(call, type);
  const named = typeof resource["id"] === "string" ? resource["id"] : undefined;
  const match = onlyMatch(site.store, type, call.query);
  if (match !== undefined && named !== undefined && named !== match.id)
    throw badRequest("What matches has another id.");
  if (match === undefined && named !== undefined && site.store.index.get(type, named) !== undefined)
    throw new ServerRefusal(409, "conflict", "Nothing matches, and the id is in use.");
  return putAt(resource, match?.id ?? named ?? call.assignedId ?? crypto.randomUUID(), call, site);
}

function putAt(
  resource: Record<string, unknown> & { readonly resourceType: string },
  id: string,
  call: OriginCall,
  { store, staleVersion }: Site,
): Answer {
  if (!/^[A-Za-z0-9.-]{1,64}$/u.test(id)) throw badRequest("This is no FHIR id.");
  const before = store.index.get(resource.resourceType, id);
  requireVersion(call.headers["if-match"], before, staleVersion);
  // 201 also for a resource that was deleted before
  return written(before === undefined ? 201 : 200, store.put({ ...resource, id }, "PUT"), call.headers);
}

export function patch(call: OriginCall, site: Site): Answer {
  const { type = "", id = "" } = call.params;
  return patchOf(site.store.current(type, id), call, site);
}

export function conditionalPatch(call: OriginCall, site: Site): Answer {
  const match = onlyMatch(site.store, call.params["type"] ?? "", call.query);
  if (match === undefined) throw notFound();
  return patchOf(match, call, site);
}

function patchOf(before: Stored, call: OriginCall, { store, staleVersion }: Site): Answer {
  requireVersion(call.headers["if-match"], before, staleVersion);
  return written(200, store.put(patched(before, call.body), "PUT"), call.headers);
}

/** R4 http.html#delete: an absent resource is also deleted successfully, because the result is right. */
export function remove(call: OriginCall, { store, staleVersion }: Site): Answer {
  const { type = "", id = "" } = call.params;
  requireVersion(call.headers["if-match"], store.index.get(type, id), staleVersion);
  store.remove(type, id);
  return deleted(call);
}

export function conditionalRemove(call: OriginCall, { store, staleVersion }: Site): Answer {
  const match = onlyMatch(store, call.params["type"] ?? "", call.query);
  requireVersion(call.headers["if-match"], match, staleVersion);
  if (match !== undefined) store.remove(match.resourceType, match.id);
  return deleted(call);
}

const done = {
  resourceType: "OperationOutcome",
  issue: [{ severity: "information", code: "informational", details: { text: "Done." } }],
};

const deleted = ({ headers }: OriginCall): Answer =>
  readPreference(headers["prefer"]).returns === "OperationOutcome"
    ? { status: 200, body: done }
    : { status: 204 };

/** The answer to a write, in the form that its client prefers. */
export function written(status: number, stored: Stored, headers: OriginCall["headers"]): Answer {
  switch (readPreference(headers["prefer"]).returns) {
    case "minimal":
      return { status, about: stored };
    case "representation":
      return { status, about: stored, body: stored };
    case "OperationOutcome":
      return { status, about: stored, body: done };
  }
}

function resourceFor(
  call: OriginCall,
  type: string,
): Record<string, unknown> & { readonly resourceType: string } {
  const resource = (type === "Binary" ? submittedBinary(call) : undefined) ?? resourceOf(call);
  if (resource.resourceType !== type) throw badRequest(`The resource is no ${type}.`);
  return resource;
}
