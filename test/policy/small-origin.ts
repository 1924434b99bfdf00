import type { Resource } from "@medplum/fhirtypes";
import type { OriginAnswer, OriginBody, OriginQuestion, Origins } from "#fhir/ports";
import { ok } from "#kernel/result";
import { Pages } from "../../sandbox/origin/search/pages.ts";
import { serverRefusalOf } from "../../sandbox/origin/refusal.ts";
import { OriginRouter } from "../../sandbox/origin/router.ts";
import { Store } from "../../sandbox/origin/store.ts";
import type { Kept, Row } from "./small-world.ts";

export const base = "https://origin.internal/fhir";

/** The world behind a FHIR server without a network, with the questions it got, in order, and its answers. */
export interface SmallOrigin {
  readonly asked: readonly string[];
  readonly ask: Origins["ask"];
}

/** The sandbox's own repository: it really answers chains, `_has` and includes. */
export function realOrigin(world: readonly Kept[]): SmallOrigin {
  const store = new Store(base);
  for (const { now, before } of world)
    for (const row of before === undefined ? [now] : [before, now])
      store.load(row as unknown as Resource & { id: string });
  const router = new OriginRouter({ store, pages: new Pages(base), staleVersion: 412 });
  return answering((path, query) => {
    try {
      return router.carry({
        method: "GET",
        path,
        query: [...new URLSearchParams(query)],
        headers: {},
        body: { kind: "none" },
      });
    } catch (fault) {
      return { status: serverRefusalOf(fault).status };
    }
  });
}

/** Ignores every parameter: it answers a list with all rows of every type, and a version with any version. */
export function carelessOrigin(world: readonly Kept[]): SmallOrigin {
  const versions = world.map(({ now, before }) =>
    before === undefined ? [ofVersion(now, "1")] : [ofVersion(now, "2"), ofVersion(before, "1")],
  );
  const bundle = (type: string, entry: readonly object[]) => ({
    status: 200,
    body: { resourceType: "Bundle", type, entry },
  });
  return answering((path) => {
    const [type = "", id = "_", below, version] = path.split("/");
    if (path.endsWith("_history")) {
      const request = { method: "PUT", url: "Patient/1" };
      return bundle(
        "history",
        versions.flat().map((resource) => ({ resource, request })),
      );
    }
    if (/^[_$]/u.test(id) || below === "$everything") {
      const modeOf = ({ resourceType }: Row) =>
        resourceType === type || below === "$everything" ? "match" : "include";
      return bundle(
        "searchset",
        versions.flatMap(([now]) =>
          now === undefined ? [] : [{ resource: now, search: { mode: modeOf(now) } }],
        ),
      );
    }
    const kept = versions.find(([now]) => now?.resourceType === type && now.id === id);
    return kept === undefined
      ? { status: 404 }
      : { status: 200, body: kept[version === "1" ? kept.length - 1 : 0] };
  });
}

const ofVersion = (row: Row, versionId: string): Row => ({
  ...row,
  meta: { ...(row["meta"] as object | undefined), versionId },
});

function answering(
  answer: (path: string, query: string) => { readonly status: number; readonly body?: object | undefined },
): SmallOrigin {
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
