import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { handlerOf } from "../support/in-process/memory-handler.ts";
import type { Handler } from "../support/in-process/network.ts";
import type { Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { policy, rule } from "../policy/granting.ts";
import type { PolicyDocument } from "#policy/schema";

// Origins that lack a part of R4: whatever they ignore or refuse, no answer has a row that does not match.

const whole: PolicyDocument = {
  ...policy(
    rule(["Patient", "Observation", "Procedure"], "everything", {
      interactions: ["read", "search", "create", "update", "delete"],
    }),
  ),
  purposes: ["PATRQT"],
  users: ["practitioner"],
  operations: ["everything"],
};
const worlds = worldsUnder(whole);

const rows: readonly Resource[] = [
  { resourceType: "Patient", id: "ann", name: [{ family: "Okafor" }], active: true },
  { resourceType: "Patient", id: "ben", name: [{ family: "Nagy" }], active: false },
  ...(["a", "b"] as const).flatMap((code): Resource[] =>
    ["ann", "ben"].map((who) => ({
      resourceType: "Observation",
      id: `${code}-${who}`,
      status: "final",
      code: { coding: [{ system: "urn:s", code }] },
      subject: { reference: `Patient/${who}` },
      effectiveDateTime: code === "a" ? "2026-01-01" : "2026-02-01",
    })),
  ),
];

/** The sandbox's server, without these parameters: it ignores them. It takes no posted search if told so. */
function lacking(parameters: readonly string[], posts = true): Handler {
  const server = memoryOrigin(worlds.originBase);
  server.load(rows);
  const real = handlerOf(server);
  return async (request) => {
    const url = new URL(request.url);
    if (url.pathname.endsWith("/_search") && !posts) return new Response(null, { status: 404 });
    const less = (all: URLSearchParams) =>
      new URLSearchParams([...all].filter(([name]) => !parameters.includes(name.split(":")[0] ?? "")));
    url.search = less(url.searchParams).toString();
    const form =
      request.method === "POST"
        ? less(new URLSearchParams(await request.clone().text())).toString()
        : undefined;
    const { method, headers } = request;
    return real(new Request(url, form === undefined ? { method, headers } : { method, headers, body: form }));
  };
}

async function ask(origin: Handler, path: string, members: object = {}, sending: object = {}): Promise<Seen> {
  const registry = {
    origins: [{ name: "main", url: worlds.originBase, credentials: { kind: "none" }, ...members }],
  };
  const world = { origin, registry };
  const { one } = await worlds.compare(world, world, [{ by: await worlds.by("system"), path, ...sending }]);
  const [seen] = one;
  if (seen === undefined) throw new Error("there was a question");
  return seen;
}

/** The questions that reached the origin, decoded. */
const asked = ({ questions }: Seen): readonly string[] =>
  questions.map(({ method, path, body }) => decodeURIComponent(`${method} ${path} ${body}`.trim()));

const idsOf = ({ body }: Seen): readonly string[] => {
  const { entry = [] } = JSON.parse(body.toString("utf8")) as { entry?: { resource: { id: string } }[] };
  return entry.map(({ resource }) => resource.id);
};

const reasonOf = ({ records }: Seen) =>
  records.map(({ event }) => event.outcome?.reason).find((reason) => reason !== undefined);

test("a server that ignores a parameter gets no row that does not match through, whatever the kind of the parameter", async ({
  expect,
}) => {
  const ignoring = lacking(["code", "date", "name", "active", "status"]);
  const found = async (path: string) => idsOf(await ask(ignoring, path));
  expect(await found("Observation?code=urn:s%7Ca")).toEqual(["a-ann", "a-ben"]);
  expect(await found("Observation?code:not=a&subject=Patient/ann")).toEqual(["b-ann"]);
  expect(await found("Observation?date=ge2026-01-20")).toEqual(["b-ann", "b-ben"]);
  expect(await found("Patient?name=nagy")).toEqual(["ben"]);
  expect(await found("Patient?active=true")).toEqual(["ann"]);
  expect(await found("Observation?status=amended")).toEqual([]);
});

const interactions = ["read", "search-type"];
const types = {
  Patient: { interactions, search: ["_id", "name"] },
  Observation: { interactions, search: ["_id", "subject", "patient"] },
  Procedure: { interactions, search: ["patient"] },
};

test("a parameter that the registry says is missing at the origin is not sent, and the rows decide", async ({
  expect,
}) => {
  const seen = await ask(
    lacking(["code"]),
    "Observation?code=urn:s%7Ca&date=2026-01-01&subject=Patient/ann",
    { capabilities: { types } },
  );
  expect(idsOf(seen)).toEqual(["a-ann"]);
  expect(asked(seen).map((question) => question.replace(/&_count=\d+$/u, ""))).toEqual([
    "GET /fhir/Observation?subject=Patient/ann",
  ]);
  const chained = await ask(lacking(["code"]), "Observation?patient.name=nagy&code=b", {
    capabilities: { types },
  });
  expect(idsOf(chained)).toEqual(["b-ben"]);
});

test("a server that states subject alone is asked for a patient's rows by subject, once for a page; without either the question is refused by name", async ({
  expect,
}) => {
  const stating = (search: readonly string[]) => ({
    capabilities: { types: { ...types, Observation: { interactions, search } } },
  });
  const seen = await ask(
    lacking(["patient"]),
    "Observation?patient=ann&code=a",
    stating(["subject", "code"]),
  );
  expect([idsOf(seen), asked(seen)]).toEqual([
    ["a-ann"],
    ["GET /fhir/Observation?subject=Patient/ann&code=a&_count=100"],
  ]);
  const lost = await ask(lacking(["patient", "subject"]), "Observation?patient=ann", stating(["code"]));
  expect([lost.status, reasonOf(lost), asked(lost)]).toEqual([400, "parameter_not_at_origin", []]);
  expect(lost.body.toString("utf8")).toContain("(patient)");
});

test("a type that the origin lacks is never asked for, whatever would meet it, and a write to it is refused by name", async ({
  expect,
}) => {
  const { Procedure: _lacking, ...less } = types;
  const members = { capabilities: { everything: "with-type", types: less } };
  const procedure = {
    resourceType: "Procedure",
    status: "completed",
    subject: { reference: "Patient/ann" },
  };
  const headers = { "content-type": "application/fhir+json" };
  const post = { method: "POST", headers, body: JSON.stringify(procedure) };
  const put = { method: "PUT", headers, body: JSON.stringify({ ...procedure, id: "p1" }) };
  for (const [path, sending] of [
    ["Procedure?patient=ann", {}],
    ["Procedure/p1", {}],
    ["Procedure/p1/_history", {}],
    ["Patient/ann/$everything?_type=Procedure", {}],
    ["Procedure", post],
    ["Procedure/p1", put],
    ["Procedure/p1", { method: "DELETE" }],
  ] as const) {
    const seen = await ask(lacking([]), path, members, sending);
    expect([seen.status, reasonOf(seen), asked(seen)], path).toEqual([404, "type_not_at_origin", []]);
  }
  const ungranted = { ...post, body: JSON.stringify({ ...procedure, resourceType: "Goal" }) };
  const seen = await ask(lacking([]), "Goal", members, ungranted);
  expect([seen.status, asked(seen)], "a client without a rule for a type learns nothing").toEqual([403, []]);
  const whole = await ask(lacking([]), "Patient/ann/$everything", members);
  expect(idsOf(whole).toSorted()).toEqual(["a-ann", "ann", "b-ann"]);
  expect(asked(whole).join(" ")).not.toContain("Procedure");
  const included = await ask(lacking([]), "Patient?name=okafor&_revinclude=Procedure:patient", members);
  expect([idsOf(included), asked(included)]).toEqual([["ann"], ["GET /fhir/Patient?name=okafor&_count=100"]]);
  const joined = await ask(lacking([]), "Patient?_has:Procedure:patient:status=completed", members);
  expect([idsOf(joined), asked(joined)]).toEqual([[], []]);
});

test("a criterion that no row can decide, an order and an include that the origin lacks are refused by name", async ({
  expect,
}) => {
  const refused = async (path: string) => {
    const seen = await ask(lacking([]), path, { capabilities: { types } });
    return [seen.status, seen.body.toString("utf8"), reasonOf(seen), asked(seen)];
  };
  for (const [path, name] of [
    ["Procedure?date=2026", "date"],
    ["Observation?date=ap2026-01-01", "date"],
    ["Observation?_sort=-date", "date"],
    ["Observation?_include=Observation:performer", "_include"],
  ] as const)
    expect(await refused(path), path).toEqual([
      400,
      expect.stringContaining(`(${name})`),
      "parameter_not_at_origin",
      [],
    ]);
});

test("an origin without posted searches is asked by GET if its operator accepts that, and else not at all", async ({
  expect,
}) => {
  const posts = lacking([], false);
  const chain = "Observation?patient.name=nagy";
  const capabilities = { searchByPost: false };
  const refused = await ask(posts, chain, { capabilities });
  expect([refused.status, asked(refused), reasonOf(refused)]).toEqual([
    400,
    [],
    "posted_search_not_at_origin",
  ]);
  const answered = await ask(posts, chain, { capabilities, acceptsSearchInUrl: true });
  expect(idsOf(answered)).toEqual(["a-ben", "b-ben"]);
  expect(asked(answered).filter((one) => !one.startsWith("GET"))).toEqual([]);
});

test("$everything of an origin without _type, or without the operation, has the same rows", async ({
  expect,
}) => {
  const server = memoryOrigin(worlds.originBase);
  server.load(rows);
  const real = handlerOf(server);
  const asking = async (everything: string, path: string) => {
    const origin: Handler = (request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname.endsWith("/Procedure")) return new Response(null, { status: 404 });
      const isEverything = pathname.endsWith("$everything");
      if (isEverything && (everything === "none" || searchParams.has("_type")))
        return new Response(null, { status: 400 });
      return real(request);
    };
    return ask(origin, path, { capabilities: { everything } });
  };
  const all = ["a-ann", "ann", "b-ann"];
  for (const everything of ["without-type", "none"]) {
    const seen = await asking(everything, "Patient/ann/$everything");
    expect(idsOf(seen).toSorted(), everything).toEqual(all);
  }
  const first = await asking("none", "Patient/ann/$everything?_count=2");
  expect(idsOf(first)).toHaveLength(2);
  const { link } = JSON.parse(first.body.toString("utf8")) as { link: { relation: string; url: string }[] };
  const next = link.find(({ relation }) => relation === "next")?.url ?? "";
  const second = await asking("none", next.slice(next.indexOf("Patient/")));
  expect([...idsOf(first), ...idsOf(second)].toSorted()).toEqual(all);
  const timed = await asking("none", "Patient/ann/$everything?_since=2020-01-01");
  expect([timed.status, reasonOf(timed)]).toEqual([400, "origin_rejected_search"]);
});
