import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Resource } from "@medplum/fhirtypes";
import { afterAll, expect, test, vi } from "vitest";
import { registryDocument } from "#registry/document";
import { probedOtherwise, type OriginProbe } from "#registry/origin-probe";
import type { OriginEntry } from "#registry/state";
import { createdId, writeName } from "#gateway/change/ways";
import { clientOfEntry } from "../../cli/origin/client-of-entry.ts";
import { FhirClient } from "../../cli/origin/fhir-client.ts";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { handlerOf } from "../support/in-process/memory-handler.ts";
import { serveAt, type Handler } from "../support/in-process/network.ts";
import { phylaxIn } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-probe-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rows: readonly Resource[] = [
  { resourceType: "Patient", id: "ann", name: [{ family: "Okafor" }] },
  { resourceType: "Observation", id: "o1", status: "final", code: { text: "pulse" } },
];
// The sandbox's server, cut to the types and parameters that these tests are about: all would take a minute.
const stated: Readonly<Record<string, readonly string[]>> = {
  Patient: ["_id", "name", "active", "identifier"],
  Observation: ["code", "subject", "date", "value-quantity"],
  Immunization: ["status"],
};

interface Entry {
  readonly type: string;
  readonly interaction: readonly { readonly code: string }[];
  readonly searchParam: readonly { readonly name: string }[];
}

let probes = 0;

/** Probes a server with these rows that differs from the sandbox's server as `change` says. */
async function probe(
  change: (request: Request, real: Handler) => Response | Promise<Response> = (request, real) =>
    real(request),
  args: readonly string[] = ["--allow-writes"],
) {
  probes += 1;
  const host = `probe-${probes}.example`;
  const base = `https://${host}/fhir`;
  const origin = memoryOrigin(base);
  origin.load(rows);
  const whole = handlerOf(origin);
  const asked: Request[] = [];
  const real: Handler = async (request) => {
    const answer = await whole(request);
    if (!request.url.endsWith("/metadata")) return answer;
    const { rest, ...statement }: { rest: { resource: Entry[] }[] } = await answer.json();
    const resource = (rest[0]?.resource ?? []).flatMap(({ type, interaction, searchParam }) => {
      const search = stated[type];
      return search === undefined
        ? []
        : { type, interaction, searchParam: searchParam.filter(({ name }) => search.includes(name)) };
    });
    return Response.json({ ...statement, rest: [{ resource }] });
  };
  const close = serveAt(host, (request) => {
    asked.push(request.clone());
    return change(request, real);
  });
  try {
    const ended = await phylaxIn(folder, "origin", "probe", base, ...args);
    const rest = await Promise.all(
      ["Patient", "Observation"].map(async (type) => {
        const { total }: { total: number } = await (await whole(new Request(`${base}/${type}`))).json();
        return total;
      }),
    );
    return { ...ended, asked, left: rest, members: ended.out === "" ? {} : JSON.parse(ended.out) };
  } finally {
    close();
  }
}

test("a server that does all of R4 is found out, and nothing of the probe is left there", async () => {
  const { code, members, left, error } = await probe();
  expect([code, error]).toEqual([0, ""]);
  expect(left).toEqual([1, 1]);
  expect(members).toMatchObject({
    transactions: "atomic",
    honoursIfMatchOnDelete: true,
    capabilities: {
      updateAsCreate: true,
      honoursIfMatchOnUpdate: true,
      honoursIfNoneExist: true,
      searchByPost: true,
      everything: "with-type",
      elements: true,
      chains: true,
      total: true,
      strict: true,
      types: {
        Patient: { search: ["_id", "active", "identifier", "name"] },
        Observation: { search: ["_id", "code", "date", "subject", "value-quantity"] },
      },
    },
  });
  expect(members.alsoKnownAs).toBeUndefined();
  const entry = {
    name: "main",
    url: "https://probe.example/fhir",
    credentials: { kind: "none" },
    ...members,
  };
  expect(registryDocument.safeParse({ origins: [entry] }).error?.issues).toBeUndefined();
});

test("the longest page of a server without paging links is measured, and no shorter page is taken for it later", async () => {
  const { members } = await probe(async (request, real) => {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.endsWith("/Observation") || searchParams.size !== 1) return real(request);
    const rows = Math.min(Number(searchParams.get("_count")), 7);
    const entry = Array.from({ length: rows }, (_, n) => ({
      resource: { resourceType: "Observation", id: `o${n}` },
    }));
    return Response.json({ resourceType: "Bundle", type: "searchset", entry });
  }, []);
  expect(members.capabilities).toMatchObject({ pageLinks: false, pageMax: 7 });
  const entry = (pageMax?: number) => ({ capabilities: { pageMax } }) as OriginEntry;
  const found = { members, missing: [] } as unknown as OriginProbe;
  const shorter = [8, 7, undefined].map((pageMax) =>
    probedOtherwise(entry(pageMax), found).includes("capabilities/pageMax"),
  );
  expect(shorter).toEqual([true, false, false]);
});

test("without --allow-writes no request changes the server, and nothing is said about writes", async () => {
  const { code, members, asked, error } = await probe(undefined, []);
  expect(code).toBe(0);
  expect(asked.filter(({ method, url }) => method !== "GET" && !url.endsWith("_search"))).toEqual([]);
  expect(Object.keys(members)).toEqual(["capabilities"]);
  expect(Object.keys(members.capabilities).toSorted()).toEqual(["searchByPost", "strict", "total", "types"]);
  expect(error).toContain("--allow-writes");
});

test("a parameter that the server states and ignores, or refuses, is left out, and a strict server proves parameters without rows", async () => {
  const { members, error } = await probe((request, real) => {
    const url = new URL(request.url);
    if (url.searchParams.has("phylax-probe")) return new Response("{}", { status: 400 });
    if (url.searchParams.has("subject")) return new Response("{}", { status: 400 });
    if (url.searchParams.has("name")) url.search = "";
    return real(new Request(url, request));
  }, []);
  expect(error).toContain(
    "2 stated search parameters are ignored or refused, and left out: Observation:subject, Patient:name",
  );
  const { types, strict } = members.capabilities;
  expect([strict, types.Patient.search, types.Observation.search, types.Immunization.search]).toEqual([
    true,
    ["_id", "active", "identifier"],
    ["_id", "code", "date", "value-quantity"],
    ["_id", "status"],
  ]);
});

test("a server that gives no link to the rows that it leaves out is found out by asking for one row and for two", async () => {
  const linking = (hasLinks: boolean) =>
    probe(async (request, real) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname !== "/fhir/Observation" || [...searchParams.keys()].join() !== "_count")
        return real(request);
      const count = Number(searchParams.get("_count"));
      const entry = ["o1", "o2"].slice(0, count).map((id) => ({ resource: { ...rows[1], id } }));
      const link = hasLinks && count < 2 ? [{ relation: "next", url: "https://probe.example/fhir?p=2" }] : [];
      return Response.json({ resourceType: "Bundle", type: "searchset", link, entry });
    }, []);
  for (const hasLinks of [true, false]) {
    const { members } = await linking(hasLinks);
    expect(members.capabilities.pageLinks).toBe(hasLinks);
  }
});

const withHeaders = (request: Request, names: readonly string[]) => {
  const headers = new Headers(request.headers);
  for (const name of names) headers.delete(name);
  return new Request(request, { headers });
};

test("a server that ignores If-Match and If-None-Exist, runs a transaction as a batch, and lacks POST _search and $everything is found out", async () => {
  const { members, left, error, code } = await probe(async (request, real) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("_search") || pathname.includes("$everything"))
      return new Response(null, { status: 404 });
    if (request.method === "PUT" && (await real(new Request(request.url))).status === 404)
      return new Response("{}", { status: 405 });
    if (request.method === "POST" && pathname === "/fhir/") {
      const bundle: object = await request.json();
      const body = JSON.stringify({ ...bundle, type: "batch" });
      return real(new Request(request.url, { method: "POST", headers: request.headers, body }));
    }
    const url = new URL(request.url);
    url.searchParams.delete("phylax-probe");
    return real(withHeaders(new Request(url, request), ["if-match", "if-none-exist"]));
  });
  expect(code).toBe(0);
  expect(left).toEqual([1, 1]);
  expect(members.transactions).toBeUndefined();
  expect(error).toContain('state "transactions": "partial" only if you accept that');
  expect(error).toContain(
    "1 search parameters are stated and not proven, since these types have no rows that could show anything: Immunization:status",
  );
  expect(members.capabilities.types.Immunization.search, "the statement stands").toEqual(["_id", "status"]);
  expect(members).toMatchObject({
    honoursIfMatchOnDelete: false,
    capabilities: {
      updateAsCreate: false,
      honoursIfMatchOnUpdate: false,
      honoursIfNoneExist: false,
      searchByPost: false,
      everything: "none",
      strict: false,
    },
  });
});

test("a server that takes no id of the gateway's form does not count as one that creates by PUT", async () => {
  const asked: string[] = [];
  const { members, left } = await probe((request, real) => {
    const id = new URL(request.url).pathname.split("/").at(-1) ?? "";
    if (request.method !== "PUT" || /^[0-9a-f]{8}-/u.test(id)) return real(request);
    asked.push(id);
    return new Response("{}", { status: 400 });
  });
  const name = writeName("0123456789abcdef".repeat(4));
  const form = (id: string) => id.replaceAll(/[0-9a-f]/gu, "x");
  expect(asked.map(form)).toContain(form(createdId(name)));
  expect([members.capabilities.updateAsCreate, left]).toEqual([false, [1, 1]]);
});

test("the bases by which a server names itself are listed, and a resource that cannot be deleted is named", async () => {
  const { members, error, code } = await probe(async (request, real) => {
    if (request.method === "DELETE") return new Response(null, { status: 405 });
    const answer = await real(request);
    const text = (await answer.text()).replaceAll(
      /https:\/\/probe-\d+\.example\/fhir/gu,
      "http://ehr.internal/R4",
    );
    return new Response(text === "" ? null : text, { status: answer.status, headers: answer.headers });
  });
  expect(members.alsoKnownAs).toEqual(["http://ehr.internal/R4"]);
  expect(error).toMatch(/not deleted: Patient\//u);
  expect(code).toBe(1);
});

test("an address without a CapabilityStatement, an unset secret, and an unknown name are refused with the next step", async () => {
  const nothing = await probe(() => new Response("<html>", { status: 200 }));
  expect([nothing.code, nothing.error]).toEqual([1, expect.stringContaining("no CapabilityStatement")]);
  const run = (...args: readonly string[]) => phylaxIn(folder, "origin", "probe", ...args);
  expect(await run("https://x.example/fhir", "--bearer-from", "NOT_SET_ANYWHERE")).toMatchObject({
    code: 2,
    error: "NOT_SET_ANYWHERE is not set\n",
  });
  expect(await run("main")).toMatchObject({ code: 2 });
  const file = join(folder, "registry.json");
  writeFileSync(file, JSON.stringify({ origins: [] }));
  expect(await run("main", "--registry", file)).toMatchObject({
    code: 2,
    error: `${file}: has no origin main\n`,
  });
});

test("an entry of a registry file is probed with the credentials that it names", async () => {
  const host = "named.example";
  const origin = memoryOrigin(`https://${host}/fhir`);
  origin.load(rows);
  const real = handlerOf(origin);
  const tokens = new Set<string | null>();
  const close = serveAt(host, (request) => {
    tokens.add(request.headers.get("authorization"));
    return request.url.endsWith("/metadata")
      ? Response.json({ resourceType: "CapabilityStatement", rest: [] })
      : real(request);
  });
  const file = join(folder, "named.json");
  const credentials = { kind: "bearer", secret: "PROBED_TOKEN" };
  writeFileSync(
    file,
    JSON.stringify({ origins: [{ name: "main", url: `https://${host}/fhir`, credentials }] }),
  );
  process.env["PROBED_TOKEN"] = "a-token";
  try {
    expect(await phylaxIn(folder, "origin", "probe", "main", "--registry", file)).toMatchObject({ code: 0 });
    expect([...tokens]).toEqual(["Bearer a-token"]);
  } finally {
    close();
    delete process.env["PROBED_TOKEN"];
  }
});

test("a secret of an entry goes to its server only from a variable that the operator named", () => {
  const entry = {
    name: "main",
    url: "https://fhir.example.org/r4",
    credentials: { kind: "bearer", secret: "SOME_TOKEN" },
  };
  const [read] = registryDocument.shape.origins.parse([entry]);
  if (read === undefined) throw new Error("no entry");
  vi.stubEnv("SOME_TOKEN", "t0ken");
  expect(clientOfEntry(read, undefined, ["OTHER_TOKEN"])).toContain("--secret-from SOME_TOKEN");
  expect(clientOfEntry(read, undefined, ["SOME_TOKEN"])).toBeInstanceOf(FhirClient);
  vi.unstubAllEnvs();
});
