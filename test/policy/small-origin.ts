import type { Resource } from "@medplum/fhirtypes";
import type { OriginAnswer, OriginBody, OriginQuestion, Origins } from "#fhir/ports";
import { ok } from "#kernel/result";
import { Pages } from "../../sandbox/origin/pages.ts";
import { refusalOf } from "../../sandbox/origin/refusal.ts";
import { OriginRouter } from "../../sandbox/origin/router.ts";
import { Store } from "../../sandbox/origin/store.ts";
import type { Kept } from "./small-world.ts";

export const base = "https://origin.internal/fhir";

/** The world behind a FHIR server without a network: what it was asked, in order, and how it answers. */
export interface SmallOrigin {
  readonly asked: readonly string[];
  readonly ask: Origins["ask"];
}

/** The sandbox's own repository: it answers chains, `_has` and includes for real. */
export function realOrigin(world: readonly Kept[]): SmallOrigin {
  const store = new Store(base);
  for (const { now, before } of world)
    for (const row of before === undefined ? [now] : [before, now]) store.load(row as unknown as Resource & { id: string });
  const router = new OriginRouter({ store, pages: new Pages(base), staleVersion: 412 });
  return answering((path, query) => {
    try {
      return router.carry({ method: "GET", path, query: [...new URLSearchParams(query)], headers: {}, body: { kind: "none" } });
    } catch (fault) {
      return { status: refusalOf(fault).status };
    }
  });
}

/** Ignores every parameter: a search is answered with all there is, of every type, and a version with whichever there is. */
export function carelessOrigin(world: readonly Kept[]): SmallOrigin {
  const versioned = (row: object, versionId: string) => ({ ...row, meta: { ...("meta" in row ? (row.meta as object) : {}), versionId } });
  const all = world.map(({ now, before }) => versioned(now, before === undefined ? "1" : "2"));
  return answering((path) => {
    const [type = "", id, , version] = path.split("/");
    const kept = world.find(({ now }) => now.resourceType === type && now.id === id);
    if (id !== undefined && kept === undefined) return { status: 404 };
    if (kept !== undefined) {
      const { now, before } = kept;
      if (before === undefined) return { status: 200, body: versioned(now, "1") };
      return { status: 200, body: version === "1" ? versioned(before, "1") : versioned(now, "2") };
    }
    const entry = all.map((resource) => ({
      resource,
      search: { mode: (resource as unknown as Kept["now"]).resourceType === type ? "match" : "include" },
    }));
    return { status: 200, body: { resourceType: "Bundle", type: "searchset", entry } };
  });
}

function answering(answer: (path: string, query: string) => { readonly status: number; readonly body?: object | undefined }): SmallOrigin {
  const asked: string[] = [];
  return {
    asked,
    ask: async (_origin, question): Promise<OriginAnswer> => {
      const { path, query } = partsOf(question);
      asked.push(`${path}?${query}`);
      const { status, body } = answer(path, query);
      if (status === 404 || status === 410) return { kind: "absent" };
      if (status !== 200 || body === undefined) return { kind: "refused", status };
      return { kind: "answered", base, body: bytes(JSON.stringify(body)) };
    },
  };
}

function partsOf(question: OriginQuestion): { readonly path: string; readonly query: string } {
  if ("link" in question) throw new Error("a small world has one page");
  return question;
}

async function* bytes(text: string): OriginBody {
  yield ok(new TextEncoder().encode(text));
}
