import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import type { PolicyDocument } from "#policy/schema";
import { fhirSending } from "../support/fhir-parts.ts";
import { starterPolicy } from "../support/outside.ts";
import { beyond, type Asking, type Question, type Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { restricted } from "../support/fhir-parts.ts";

// What stock clients ask under `patient/` and what a hidden row must not change in the answers: neither
// bytes nor headers, neither questions to the origin nor the public ledger.

const body: PolicyDocument = starterPolicy("patrqt").body;
const policy = {
  ...body,
  // As by `treat`: a search finds the resources that a read finds by reference.
  rules: body.rules.map((rule) =>
    rule.referredBy === undefined
      ? rule
      : Object.assign({}, rule, {
          interactions: ["read", "search"],
          examples: rule.examples.filter((example) => !("is" in example && example.is === "refused")),
        }),
  ),
};
const worlds = worldsUnder(policy);

const to = (reference: string) => ({ reference });
const patient = (id: string): Resource => ({ resourceType: "Patient", id });
const observation = (id: string, day: number, more: object): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "a" },
  effectiveDateTime: `2026-01-${String(day).padStart(2, "0")}`,
  ...more,
});
const nextPage = (before: readonly Seen[], by: Question["by"]): Question => {
  const { link } = JSON.parse(before.at(-1)?.body.toString("utf8") ?? "") as {
    link: { relation: string; url: string }[];
  };
  return { by, path: link.find(({ relation }) => relation === "next")?.url ?? "Observation?code=none" };
};
/** The number of withheld rows stands in the sealed record alone. */
const openly = { records: /\/event\/withheld\/resources$/u };
/** The first request also records the configuration, under a random id. */
const first = (asker: Question["by"]) =>
  worlds.compare({ origin: [] }, { origin: [] }, [{ by: asker, path: "Patient" }]);
const idsOf = ({ body }: Seen): readonly string[] => {
  const { entry = [] } = JSON.parse(body.toString("utf8")) as { entry?: { resource: { id: string } }[] };
  return entry.map(({ resource }) => resource.id);
};

test("rows in which the patient took part and that are hidden from her change no search: labelled rows, another patient's rows, rows with a second patient", async ({
  expect,
}) => {
  const shown = [
    patient("ann"),
    patient("ben"),
    ...[1, 3, 5].map((day) => observation(`own${day}`, day, { subject: to("Patient/ann") })),
    ...[2, 4].map((day) => observation(`part${day}`, day, { performer: [to("Patient/ann")] })),
  ];
  const took = [to("Patient/ann")];
  const hidden = [
    observation("labelled", 6, { performer: took, meta: restricted }),
    observation("bens", 7, { performer: took, subject: to("Patient/ben") }),
    observation("with-ben", 8, { performer: [...took, to("Patient/ben")] }),
  ];
  const asker = await worlds.by("patient");
  await first(asker);
  const ask = (path: string) => ({ by: asker, path });
  const following = (before: readonly Seen[]) => nextPage(before, asker);
  const questions: Asking[] = [
    ask("Observation"),
    ask("Observation?_count=2"),
    following,
    following,
    ask("Observation?_sort=-date&_count=2"),
    following,
    following,
    ask("Observation?performer=Patient/ann"),
    ask("Observation?_id=bens,with-ben,labelled"),
    ask("Observation?_summary=count"),
    ask("Observation?_total=accurate&_count=2"),
    ask("Observation?_summary=true"),
    ask("Observation?_summary=text&_count=2"),
  ];
  const { one, differences } = await worlds.compare(
    { origin: shown },
    { origin: [...shown, ...hidden] },
    questions,
  );
  expect(beyond(differences, openly)).toEqual([]);
  expect(one.map(idsOf)).toEqual([
    ["own1", "own3", "own5", "part2", "part4"],
    ["own1", "own3"],
    ["own5", "part2"],
    ["part4"],
    ["own5", "part4"],
    ["own3", "part2"],
    ["own1"],
    ["part2", "part4"],
    [],
    [],
    ["own1", "own3"],
    ["own1", "own3", "own5", "part2", "part4"],
    ["own1", "own3"],
  ]);
  const totals = one
    .slice(9, 11)
    .map(({ body }) => (JSON.parse(body.toString("utf8")) as { total?: number }).total);
  expect(totals).toEqual([5, 5]);
});

test("practitioners to whom no visible row refers change no search under patient/, nor a chain through them", async ({
  expect,
}) => {
  const practitioner = (id: string): Resource => ({
    resourceType: "Practitioner",
    id,
    name: [{ family: "Zed" }],
  });
  const by = (id: string) => ({ subject: to("Patient/ann"), performer: [to(`Practitioner/${id}`)] });
  const shown = [patient("ann"), patient("ben"), practitioner("vera"), observation("own", 1, by("vera"))];
  const hidden = [
    practitioner("labelled"),
    practitioner("bens"),
    practitioner("free"),
    observation("labelled", 2, { ...by("labelled"), meta: restricted }),
    observation("bens", 3, { ...by("bens"), subject: to("Patient/ben") }),
  ];
  const asker = await worlds.by("patient");
  await first(asker);
  const questions = [
    "Practitioner",
    "Practitioner?name=Zed&_sort=name",
    "Practitioner?_id=vera,labelled,free",
    "Practitioner?_summary=count",
    "Practitioner?_revinclude=Observation:performer",
    "Observation?performer:Practitioner.name=Zed",
    "Practitioner/labelled",
    "Observation?performer.name=Zed",
  ].map((path) => ({ by: asker, path }));
  const { one, differences } = await worlds.compare(
    { origin: shown },
    { origin: [...shown, ...hidden] },
    questions,
  );
  expect(beyond(differences, openly)).toEqual([]);
  expect(one.map(idsOf)).toEqual([["vera"], ["vera"], ["vera"], [], ["vera", "own"], ["own"], [], ["own"]]);
});

test("hidden rows change no search of several types, no ignored name, no Task and no operation in a batch", async ({
  expect,
}) => {
  const task = (id: string, more: object): Resource => ({
    resourceType: "Task",
    id,
    status: "requested",
    intent: "order",
    ...more,
  });
  const shown = [
    patient("ann"),
    patient("ben"),
    observation("own", 1, { subject: to("Patient/ann") }),
    task("own-task", { for: to("Patient/ann"), focus: to("Observation/own") }),
  ];
  const hidden = [
    observation("labelled", 2, { subject: to("Patient/ann"), meta: restricted }),
    observation("bens", 3, { subject: to("Patient/ben") }),
    task("labelled-task", { for: to("Patient/ann"), meta: restricted }),
    task("bens-task", { for: to("Patient/ben"), owner: to("Patient/ann") }),
    task("nobodys-task", { requester: to("Patient/ann"), focus: to("Observation/own") }),
  ];
  const asker = await worlds.by("patient");
  await first(asker);
  const ask = (path: string, more: object = {}) => ({ by: asker, path, ...more });
  const batch = (...urls: readonly string[]) =>
    fhirSending("POST", {
      resourceType: "Bundle",
      type: "batch",
      entry: urls.map((url) => ({ request: { method: "GET", url } })),
    });
  const { one, differences } = await worlds.compare({ origin: shown }, { origin: [...shown, ...hidden] }, [
    ask("?_type=Observation,Task&patient=ann"),
    ask("?_type=Observation,Task&_id=own,labelled,bens,own-task,labelled-task,bens-task,nobodys-task"),
    ask("Observation?favourite=1", { headers: { prefer: "handling=lenient" } }),
    ask("Task"),
    ask("Task?owner=Patient/ann"),
    ask("Task/labelled-task"),
    ask("Task/bens-task"),
    ask("Task/nobodys-task"),
    ask("", batch("Patient/ann/$everything", "Observation/$lastn?patient=ann", "Patient/ann/*")),
    ask("", batch("Patient/ben/$everything", "Patient/nobody/$everything")),
  ]);
  // why a row is not shown stands in the sealed record alone
  const sealed = { records: /\/event\/(?:withheld\/resources|outcome\/reason|decision)$/u };
  expect(beyond(differences, sealed)).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 404, 404, 404, 200, 200]);
  expect([0, 1, 3, 4].map((at) => one[at] && idsOf(one[at]))).toEqual([
    ["own", "own-task"],
    ["own", "own-task"],
    ["own-task"],
    [],
  ]);
});

test("a hidden row on a page does not change the length of the link to the next page", async ({ expect }) => {
  const shown = Array.from({ length: 25 }, (_, i) =>
    observation(`own${i}`, i + 2, { subject: to("Patient/ann") }),
  );
  const hidden = observation("labelled", 1, { subject: to("Patient/ann"), meta: restricted });
  const asker = await worlds.by("patient");
  await first(asker);
  // as many rows as an origin page: without the hidden row the next page begins with an origin page
  const questions: Asking[] = ["Observation?_count=10&_sort=date", "Observation?_count=10"].map((path) => ({
    by: asker,
    path,
  }));
  const { one, differences } = await worlds.compare(
    { origin: [patient("ann"), ...shown] },
    { origin: [patient("ann"), hidden, ...shown] },
    [...questions, (before) => nextPage(before, asker)],
  );
  // ADR 89: the origin sees how many rows the gateway looks ahead
  expect(beyond(differences, { ...openly, questions: /\/path$/u })).toEqual([]);
  expect(one.map((seen) => idsOf(seen).length)).toEqual([10, 10, 10]);
});

test("a hidden row on a page does not change the length of the link of a long search, at an origin whose links repeat the search", async ({
  expect,
}) => {
  const row = (id: string, more: object = {}) =>
    observation(id, 1, {
      subject: to("Patient/ann"),
      code: { coding: [{ system: "urn:c", code: "a" }] },
      ...more,
    });
  const shown = Array.from({ length: 25 }, (_, i) => row(`own${i}`));
  const asker = await worlds.by("patient");
  await first(asker);
  const codes = (length: number) => Array.from({ length: 60 }, (_, n) => `urn:c|${n}`.padEnd(length, "x"));
  // the questions have 1,700, 5,100 and 7,500 characters
  const questions: Asking[] = [23, 80, 120].flatMap((length) => [
    {
      by: asker,
      path: `Observation?code=${["urn:c|a", ...codes(length)].map(encodeURIComponent).join(",")}&_count=10`,
    },
    (before) => nextPage(before, asker),
  ]);
  const { one, differences } = await worlds.compare(
    { origin: repeatingOrigin(shown) },
    { origin: repeatingOrigin([row("labelled", { meta: restricted }), ...shown]) },
    questions,
  );
  // ADR 89: the origin sees how many rows the gateway looks ahead
  expect(beyond(differences, { ...openly, questions: /\/path$/u })).toEqual([]);
  expect(one.map((seen) => idsOf(seen).length)).toEqual([10, 10, 10, 10, 10, 10]);
});

/** An origin that finds all rows, and whose links repeat the query or the form in its own encoding. */
function repeatingOrigin(rows: readonly Resource[]): (request: Request) => Promise<Response> {
  return async (request) => {
    const { origin, pathname, search } = new URL(request.url);
    const path = pathname.replace(/\/_search$/u, "");
    if (!path.endsWith("/Observation")) return new Response("{}", { status: 404 });
    const asked = new URLSearchParams([search.slice(1), await request.text()].join("&"));
    const from = Number(asked.get("from") ?? 0);
    const end = from + Number(asked.get("_count") ?? rows.length);
    asked.set("from", String(end));
    const next = { relation: "next", url: `${origin}${path}?${asked.toString()}` };
    return Response.json(
      {
        resourceType: "Bundle",
        type: "searchset",
        link: end < rows.length ? [next] : [],
        entry: rows.slice(from, end).map((resource) => ({ resource })),
      },
      { headers: { "content-type": "application/fhir+json" } },
    );
  };
}

test("hidden rows that fill a page of the origin do not hide the visible row through which a practitioner is read", async ({
  expect,
}) => {
  const row = (id: string, more: object = {}) =>
    observation(id, 1, { subject: to("Patient/ann"), performer: [to("Practitioner/vera")], ...more });
  const vera: Resource = { resourceType: "Practitioner", id: "vera", name: [{ family: "Zed" }] };
  const hidden = Array.from({ length: 120 }, (_, i) => row(`labelled${i}`, { meta: restricted }));
  const asker = await worlds.by("patient");
  await first(asker);
  const questions = ["Practitioner/vera", "Practitioner?_id=vera"].map((path) => ({ by: asker, path }));
  const shown = [patient("ann"), vera];
  const { one, differences } = await worlds.compare(
    { origin: [...shown, row("own")] },
    { origin: [...shown, ...hidden, row("own")] },
    questions,
  );
  // the origin alone sees that the gateway asks for a further page of it
  expect(beyond(differences, { ...openly, questions: /^/u, waits: /^/u })).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([200, 200]);
});
