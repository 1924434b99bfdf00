import { asksForJson } from "./search/query.ts";
import type { Answer, OriginCall } from "./call.ts";
import { badRequest } from "./refusal.ts";
import { readShape, shaped, type Shape } from "./search/shape.ts";
import type { Stored } from "./stored.ts";
import type { Site } from "./site.ts";
import { binaryContent } from "./write/binary.ts";
import { versionsIn } from "./write/version-match.ts";

export function read(call: OriginCall, { store }: Site): Answer {
  const { type = "", id = "" } = call.params;
  return shown(store.current(type, id), call);
}

export function readVersion(call: OriginCall, { store }: Site): Answer {
  const { type = "", id = "", version = "" } = call.params;
  return shown(store.versions.read(type, id, version), call);
}

function shown(resource: Stored, call: OriginCall): Answer {
  const shape = shapeAsked(call);
  if (isKnown(resource, call)) return { status: 304, about: resource };
  const raw = resource.resourceType === "Binary" ? binaryContent(resource, call) : undefined;
  return {
    status: 200,
    about: resource,
    ...(raw === undefined ? { body: shaped(resource, shape) } : { raw }),
  };
}

/** Reads `_summary` and `_elements` of a read (R4 search.html#summary); it has no further parameters. */
function shapeAsked({ query }: OriginCall): Shape {
  let shape: Shape = { kind: "whole" };
  for (const [name, value] of query) {
    switch (name) {
      case "_pretty":
        break;
      case "_format":
        if (!asksForJson(value)) throw badRequest("Only JSON is spoken here.");
        break;
      case "_summary":
      case "_elements": {
        const asked = readShape(name, value);
        if (!asked.ok) throw badRequest(asked.error.text);
        shape = asked.value;
        break;
      }
      default:
        throw badRequest(`A read has no parameter ${name}.`);
    }
  }
  return shape;
}

/** R4 http.html#cread; with both headers the version counts (RFC 9110 §13.2.2). */
function isKnown({ meta }: Stored, { headers }: OriginCall): boolean {
  const versions = headers["if-none-match"];
  if (versions !== undefined)
    return versions.trim() === "*" || versionsIn(versions)?.has(meta.versionId) === true;
  const since = Date.parse(headers["if-modified-since"] ?? "");
  // the header has a precision of seconds
  return Math.floor(Date.parse(meta.lastUpdated) / 1_000) * 1_000 <= since;
}
