import * as fc from "fast-check";
import { test } from "vitest";
import { isReading, readInteraction } from "#fhir/interaction";
import type { OriginBody, OriginQuestion, PagePlace } from "#fhir/ports";
import { r4Owners, r4Participants } from "#fhir/r4/compartment-tables";
import { elementsOf } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { gather } from "#gateway/read/gather";
import { parseScopes } from "#identity/scopes";
import { ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { policy, rule } from "../../policy/granting.ts";
import { inLane } from "../../support/lane.ts";
import { sessionOf } from "../../support/origin-session.ts";
import { restricted } from "../../support/fhir-parts.ts";

const base = "https://api.example/v1/fhir/main";
const internal = "https://origin.internal/fhir";
const types = Object.keys(r4Participants);

interface Row {
  readonly resourceType: string;
  readonly id: string;
  readonly [name: string]: unknown;
}

/** Puts references at a path of a type; a single element takes the first of them. */
function placed(parent: string, path: string, references: readonly string[]): object {
  const [first = "", ...below] = path.split(".");
  const repeats = elementsOf(parent).get(first)?.repeats === true;
  const [one = {}, ...more] = references.map((reference) =>
    below.length === 0 ? { reference } : placed(`${parent}.${first}`, below.join("."), [reference]),
  );
  return { [first]: repeats ? [one, ...more] : one };
}

// The patient is ann. No text of a reference is the beginning of another.
const named = fc.constantFrom("Patient/ann", "Patient/ben", "Practitioner/p", "Group/ann", "urn:uuid:1");
const references = fc.oneof(fc.constant([]), fc.constant(["Patient/ann"]), fc.array(named, { maxLength: 3 }));

const rowOf = (type: string, n: number) =>
  fc
    .record({
      owners: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: references }),
      taking: fc.array(references, { minLength: 3, maxLength: 3 }),
      hidden: fc.integer({ min: 0, max: 5 }),
    })
    .map(({ owners, taking, hidden }): Row => {
      const row = { resourceType: type, id: `r${n}` };
      if (hidden === 0) Object.assign(row, { meta: restricted });
      if (owners.length > 0) Object.assign(row, placed(type, r4Owners[type] ?? "", owners));
      for (const [index, path] of (r4Participants[type] ?? "").split(" ").entries()) {
        const chosen = taking[index] ?? [];
        if (chosen.length > 0) Object.assign(row, placed(type, path, chosen));
      }
      return row;
    });

/** An independent reading of R4: what stands at a path of a row. */
function standing(row: unknown, path: string): string[] {
  const [first = "", ...below] = path.split(".");
  if (path === "") return [(row as { reference: string }).reference];
  const value = (row as Record<string, unknown>)[first];
  return (Array.isArray(value) ? value : value === undefined ? [] : [value]).flatMap((item) =>
    standing(item, below.join(".")),
  );
}

/** The readable rule: the owner first; a participant counts only without an owner, as the only patient. */
function readable(row: Row): "owned" | "took part" | undefined {
  if ("meta" in row) return undefined;
  const owners = standing(row, r4Owners[row.resourceType] ?? "");
  const taking = (r4Participants[row.resourceType] ?? "").split(" ").flatMap((path) => standing(row, path));
  const isProven = (text: string) => text === "Patient/ann" || text === "Practitioner/p";
  if (owners.length > 0)
    return owners.includes("Patient/ann") && owners.every(isProven) ? "owned" : undefined;
  return taking.includes("Patient/ann") && taking.every(isProven) ? "took part" : undefined;
}

/** An origin that searches by every reference parameter, or ignores them all, with pages of its own. */
function originOf(
  rows: readonly Row[],
  { ignores, size }: { readonly ignores: boolean; readonly size: number },
) {
  const asked: OriginQuestion[] = [];
  const answer = (text: string, from: number) => {
    const [type = "", query = ""] = text.split("?");
    const found = rows.filter(
      (row) =>
        row.resourceType === type &&
        (ignores ||
          [...new URLSearchParams(query)].every(([name, value]) => {
            const paths = searchParametersOf(type).get(name)?.paths;
            return (
              name.startsWith("_") ||
              paths?.some((path) =>
                standing(row, path.join(".")).some((one) => value.split(",").includes(one)),
              )
            );
          })),
    );
    const link =
      from + size < found.length
        ? [{ relation: "next", url: `${internal}/${text}&from=${from + size}` }]
        : [];
    return {
      resourceType: "Bundle",
      type: "searchset",
      link,
      entry: found.slice(from, from + size).map((resource) => ({
        fullUrl: `${internal}/${type}/${resource.id}`,
        resource,
        search: { mode: "match" },
      })),
    };
  };
  return {
    asked,
    session: sessionOf(async (question) => {
      asked.push(question);
      const text =
        "link" in question
          ? question.link.replace(/^\//u, "")
          : `${question.path}?${decodeURIComponent(question.query)}`;
      const [, rest = text, from = "0"] = /^(.*?)&from=(\d+)$/u.exec(text) ?? [];
      const bundle = answer(rest, Number(from));
      async function* body(): OriginBody {
        yield ok(new TextEncoder().encode(JSON.stringify(bundle)));
      }
      return ok({ kind: "answered", body: body(), base: internal });
    }),
  };
}

const entriesOf = (text: string): readonly Row[] => {
  const bundle: { readonly entry?: readonly { readonly resource: Row }[] } = JSON.parse(text);
  return (bundle.entry ?? []).map(({ resource }) => resource);
};

/** Pages a search to its end, as a client under `patient/` does. */
async function paged(
  request: string,
  origin: ReturnType<typeof originOf>,
  show: "everything" | string[] = "everything",
) {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", [path], query, base);
  const scopes = parseScopes("patient/*.rs");
  if (!interaction.ok || !scopes.ok || !isReading(interaction.value)) throw new Error("a test's own mistake");
  const compiled = compilePolicy(policy(rule([path as "Observation"], show)), "sha256:test");
  const grant = evaluate(compiled, { scopes: scopes.value, patient: "ann" }, interaction.value);
  if (!grant.ok) throw new Error(grant.error.reason);
  const pages: string[][] = [];
  let place: PagePlace | undefined;
  do {
    let next: PagePlace | undefined;
    const disclosed = await gather(grant.value, place, origin.session, {
      to: async (_path, following) => {
        next = following;
        return ok(following && `${base}/${path}?_page=sealed`);
      },
    });
    if (!disclosed.ok) return disclosed.error.reason;
    pages.push(
      disclosed.value.windows.flatMap(({ body }) =>
        entriesOf(new TextDecoder().decode(body)).map(({ id }) => id),
      ),
    );
    place = next;
    if (pages.length > 60) throw new Error("the pages never end");
  } while (place !== undefined);
  return pages;
}

/** The total of the first page of a search, and the number of its entries. */
async function totalOf(request: string, origin: ReturnType<typeof originOf>): Promise<unknown> {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", [path], query, base);
  const scopes = parseScopes("patient/*.rs");
  if (!interaction.ok || !scopes.ok || !isReading(interaction.value)) throw new Error("a test's own mistake");
  const compiled = compilePolicy(policy(rule([path as "Observation"], "everything")), "sha256:test");
  const grant = evaluate(compiled, { scopes: scopes.value, patient: "ann" }, interaction.value);
  if (!grant.ok) return grant.error.reason;
  const disclosed = await gather(grant.value, undefined, origin.session, {
    to: async (path, following) => ok(following && `${base}/${path}?_page=sealed`),
  });
  if (!disclosed.ok) return disclosed.error.reason;
  const text = disclosed.value.windows.map(({ body }) => new TextDecoder().decode(body)).join("");
  const { total } = JSON.parse(text) as { readonly total?: number };
  return [total, entriesOf(text).length];
}

const worlds = fc.constantFrom(...types).chain((type) =>
  fc.record({
    type: fc.constant(type),
    rows: fc
      .integer({ min: 1, max: 9 })
      .chain((count) => fc.tuple(...Array.from({ length: count }, (_, n) => rowOf(type, n)))),
    count: fc.integer({ min: 1, max: 5 }),
    size: fc.integer({ min: 3, max: 9 }),
    ignores: fc.boolean(),
  }),
);

test("a search under patient/ finds each row that a read permits once: first the owner's, then those in which the patient took part", async ({
  expect,
}) => {
  let participants = 0;
  await fc.assert(
    fc.asyncProperty(worlds, async ({ type, rows, count, size, ignores }) => {
      const found = await paged(`${type}?_count=${count}`, originOf(rows, { ignores, size }));
      if (typeof found === "string") throw new Error(found);
      const readableRows = rows.filter((row) => readable(row) !== undefined);
      const ids = found.flat();
      const kinds = ids.map((id) =>
        readable(rows.find((row) => row.id === id) ?? { resourceType: "", id: "" }),
      );
      expect(ids.toSorted()).toEqual(readableRows.map(({ id }) => id).toSorted());
      const parts = kinds.map((kind) => (kind === "owned" ? 0 : 1));
      expect(parts, "the owner's rows come first").toEqual(parts.toSorted((a, b) => a - b));
      if (size >= rows.length)
        for (const page of found.slice(0, -1))
          expect(page, "a page with a successor is full").toHaveLength(count);
      participants += kinds.filter((kind) => kind === "took part").length;
    }),
    { numRuns: inLane({ fast: 150, slow: 2_000, long: 10_000 }) },
  );
  expect(participants).toBeGreaterThan(50);
});

test("the number of matches is the number of rows that a read permits, of each type and at each origin", async ({
  expect,
}) => {
  await fc.assert(
    fc.asyncProperty(worlds, async ({ type, rows, count, size, ignores }) => {
      const readableRows = rows.filter((row) => readable(row) !== undefined);
      const origin = () => originOf(rows, { ignores, size });
      expect(await totalOf(`${type}?_summary=count`, origin())).toEqual([readableRows.length, 0]);
      const first = [readableRows.length, Math.min(count, readableRows.length)];
      if (size >= rows.length)
        expect(await totalOf(`${type}?_total=accurate&_count=${count}`, origin())).toEqual(first);
    }),
    { numRuns: inLane({ fast: 60, slow: 1_000, long: 5_000 }) },
  );
});

test.for(types)(
  "%s: a search finds the rows in which the patient took part, and no question names a second patient",
  async (type, { expect }) => {
    for (const path of (r4Participants[type] ?? "").split(" ")) {
      const rows: Row[] = [
        { resourceType: type, id: "took-part", ...placed(type, path, ["Patient/ann"]) },
        {
          resourceType: type,
          id: "of-ben",
          ...placed(type, path, ["Patient/ann"]),
          ...placed(type, r4Owners[type] ?? "", ["Patient/ben"]),
        },
        ...(elementsOf(type).get(path.replace(/\..*/u, ""))?.repeats === true
          ? [{ resourceType: type, id: "with-ben", ...placed(type, path, ["Patient/ann", "Patient/ben"]) }]
          : []),
      ];
      const origin = originOf(rows, { ignores: false, size: 10 });
      expect(await paged(type, origin)).toEqual([["took-part"]]);
      expect(JSON.stringify(origin.asked)).not.toContain("ben");
    }
  },
);

test("a search that names an owner asks the origin once, since a row without an owner cannot match", async ({
  expect,
}) => {
  for (const request of ["Observation?patient=ann", "Observation?subject=Patient/ann&code=a"]) {
    const origin = originOf([], { ignores: false, size: 10 });
    await paged(request, origin);
    expect(origin.asked).toHaveLength(1);
  }
});

test("a policy that hides the participant or the owner lets no search find a row by its participant: the place in the answer would reveal the element", async ({
  expect,
}) => {
  const rows: Row[] = [
    { resourceType: "Observation", id: "own", subject: { reference: "Patient/ann" } },
    { resourceType: "Observation", id: "took-part", performer: [{ reference: "Patient/ann" }] },
  ];
  const found = (...show: string[]) =>
    paged("Observation", originOf(rows, { ignores: true, size: 10 }), ["status", ...show]);
  expect(await found("subject", "performer")).toEqual([["own", "took-part"]]);
  expect(
    await found("subject"),
    "by the owner's part alone, as an origin that ignores the question answers",
  ).toEqual([["own", "took-part"]]);
  expect(await found("performer")).toEqual([["own", "took-part"]]);
});

/** What a list is sorted by: the day of `effectiveDateTime`, as the origin sorts. */
const day = (n: number | undefined) =>
  n === undefined ? {} : { effectiveDateTime: `2020-01-${String(n).padStart(2, "0")}` };

test("a sorted search has one order over the owner's rows and the rows in which the patient took part, on pages of any length", async ({
  expect,
}) => {
  const dated = fc.record({
    owned: fc.array(fc.option(fc.integer({ min: 1, max: 28 }), { nil: undefined }), { maxLength: 6 }),
    performed: fc.array(fc.integer({ min: 1, max: 28 }), { maxLength: 6 }),
    count: fc.integer({ min: 1, max: 5 }),
    descending: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(dated, async ({ owned, performed, count, descending }) => {
      const before = (a: number | undefined, b: number | undefined) =>
        a === b ? 0 : a === undefined ? 1 : b === undefined ? -1 : descending ? b - a : a - b;
      const list = (days: readonly (number | undefined)[], prefix: string, more: object) =>
        days.toSorted(before).map((n, index) => ({
          n,
          row: { resourceType: "Observation", id: `${prefix}${index}`, ...day(n), ...more },
        }));
      // `toSorted` puts undefined last, whatever the order
      const all = [
        ...list(owned, "o", { subject: { reference: "Patient/ann" } }),
        ...list(performed, "p", { performer: [{ reference: "Patient/ann" }] }),
      ];
      const found = await paged(
        `Observation?_sort=${descending ? "-" : ""}date&_count=${count}`,
        originOf(
          all.map(({ row }) => row),
          { ignores: false, size: 100 },
        ),
      );
      if (typeof found === "string") throw new Error(found);
      const days = found.flat().map((id) => all.find(({ row }) => row.id === id)?.n);
      expect(days).toEqual(days.toSorted(before));
      expect(new Set(found.flat())).toEqual(new Set(all.map(({ row }) => row.id)));
      for (const page of found.slice(0, -1)) expect(page).toHaveLength(count);
    }),
    { numRuns: inLane({ fast: 60, slow: 500, long: 2_000 }) },
  );
});

test("a sorted search whose parts are too many to merge is refused by the name of _sort, and a search without such rows never is", async ({
  expect,
}) => {
  const owned = Array.from({ length: 1_200 }, (_, n) => ({
    resourceType: "Observation",
    id: `o${n}`,
    ...day(1),
    subject: { reference: "Patient/ann" },
  }));
  const performed = {
    resourceType: "Observation",
    id: "p",
    ...day(2),
    performer: [{ reference: "Patient/ann" }],
  };
  const hidden = { ...performed, id: "h", meta: restricted };
  const first = async (rows: readonly Row[]) => {
    const found = await paged(
      "Observation?_sort=date&_count=1000",
      originOf(rows, { ignores: false, size: 1_000 }),
    );
    return typeof found === "string" ? found : found.flat().length;
  };
  expect(await first([...owned, performed])).toBe("sort_needs_owner");
  expect(await first(owned)).toBe(1_200);
  expect(await first([...owned, hidden]), "a hidden row decides nothing").toBe(1_200);
});
