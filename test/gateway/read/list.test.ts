import * as fc from "fast-check";
import { test } from "vitest";
import { isListing, readInteraction } from "#fhir/interaction";
import type { OriginBody, OriginQuestion, PagePlace } from "#fhir/ports";
import { demandsOwner, isCompartmentType } from "#fhir/r4/compartment-tables";
import { isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import { listEverything } from "#gateway/read/list-everything";
import { listHistory } from "#gateway/read/list-history";
import { parseScopes } from "#identity/scopes";
import { err, ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { evaluateListing, type EverythingGrant, type HistoryGrant } from "#policy/evaluate-listing";
import type { PolicyDocument } from "#policy/schema";
import type { Disclosure } from "#phi/disclosure";
import { policy, rule } from "../../policy/granting.ts";
import { sessionOf } from "../../support/origin-session.ts";

const base = "https://origin.internal/fhir";
const labs: PolicyDocument = {
  ...policy(
    rule(["Patient"], "everything"),
    rule(["Observation"], "everything", { where: [{ path: "category", in: ["urn:c|lab"] }] }),
    rule(["Practitioner"], "everything", { interactions: ["read"], referredBy: ["Observation:performer"] }),
    rule(["Location"], "everything"),
  ),
  operations: ["everything"],
};
type Resource = { readonly resourceType: string; readonly id: string };

function grantOf(request: string): HistoryGrant | EverythingGrant {
  const [path = "", query = ""] = request.split("?", 2);
  const [interaction, scopes] = [
    readInteraction("GET", path.split("/"), query),
    parseScopes(path.startsWith("Location") ? "system/*.rs" : "patient/*.rs"),
  ];
  if (!interaction.ok || !scopes.ok || !isListing(interaction.value)) throw new Error("no listing");
  const grant = evaluateListing(
    compilePolicy(labs, "sha256:test"),
    { scopes: scopes.value, patient: "amara" },
    interaction.value,
  );
  if (!grant.ok || grant.value.kind === "lastn") throw new Error("refused");
  return grant.value;
}

async function* chunks(value: unknown): OriginBody {
  yield ok(new TextEncoder().encode(JSON.stringify(value)));
}

/**
 * An origin with current resources, and with lists (a history, an operation's answer) in pages of `size`
 * entries.
 */
function originOf(
  current: readonly Resource[],
  lists: Readonly<Record<string, { readonly type: string; readonly entry: readonly object[] }>>,
  size: number,
) {
  const asked: string[] = [];
  const ask: Parameters<typeof sessionOf>[0] = (question: OriginQuestion) => {
    asked.push("link" in question ? question.link : question.path);
    const [path = "", from = "0"] =
      "link" in question ? question.link.slice(1).split("?from=") : [question.path];
    const list = lists[path];
    const answered = (value: unknown) =>
      Promise.resolve(ok({ kind: "answered" as const, body: chunks(value), base }));
    if (list !== undefined) {
      const at = Number(from);
      const next =
        at + size < list.entry.length ? [{ relation: "next", url: `${base}/${path}?from=${at + size}` }] : [];
      return answered({
        resourceType: "Bundle",
        type: list.type,
        total: list.entry.length,
        link: next,
        entry: list.entry.slice(at, at + size),
      });
    }
    const [type, id] = path.split("/");
    const found = current.filter((one) => one.resourceType === type && (id === undefined || one.id === id));
    if (id === undefined)
      return answered({
        resourceType: "Bundle",
        type: "searchset",
        entry: found.map((resource) => ({ resource })),
      });
    return found.length === 0 ? Promise.resolve(err({ reason: "absent" } as const)) : answered(found[0]);
  };
  return { asked, ask };
}

interface Page {
  readonly entry?: readonly {
    readonly resource?: Resource & { readonly meta?: { readonly versionId: string } };
    readonly search?: { readonly mode: string };
    readonly request?: { readonly method: string; readonly url: string };
  }[];
  readonly total?: number;
}
/** All pages of a listing, along the gateway's next links. */
async function pagesOf(
  request: string,
  { ask }: ReturnType<typeof originOf>,
): Promise<readonly Page[] | string> {
  const origin = sessionOf(ask);
  const grant = grantOf(request);
  const pages: Page[] = [];
  let place: PagePlace | undefined = {
    question: grant.question,
    posted: false,
    link: undefined,
    after: undefined,
    seen: 0,
  };
  while (place !== undefined) {
    const filled: Awaited<ReturnType<typeof listEverything | typeof listHistory>> =
      grant.kind === "history"
        ? await listHistory(grant, place, origin)
        : await listEverything(grant, place, origin);
    if (!filled.ok) return filled.error.reason;
    const {
      page,
      next,
    }: {
      readonly page: { finish(next: string | undefined, isFirst: boolean): Disclosure };
      readonly next: PagePlace | undefined;
    } = filled.value;
    const { windows } = page.finish(next && "https://next", pages.length === 0);
    pages.push(JSON.parse(windows.map(({ body }) => new TextDecoder().decode(body)).join("")) as Page);
    place = next;
  }
  return pages;
}

const firstPlace = { posted: false, link: undefined, after: undefined, seen: 0 };
const patient = { resourceType: "Patient", id: "amara" };
const category = (isVisible: boolean) => [
  { coding: [{ system: "urn:c", code: isVisible ? "lab" : "note" }] },
];
const observation = (id: string, isVisible: boolean, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: category(isVisible),
  subject: { reference: "Patient/amara" },
  ...more,
});
const version = (n: number, isVisible: boolean) => ({
  resource: observation("o", isVisible, { meta: { versionId: String(n) } }),
  request: { method: "PUT", url: "Observation/o" },
  response: { status: "200" },
});

test("the pages of a history join to the versions that may be seen, in order, whatever is hidden between and however the origin pages", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      async (visible, size, count) => {
        const entry = visible.map((isVisible, n) => version(n, isVisible));
        const origin = originOf(
          [observation("o", true)],
          { "Observation/o/_history": { type: "history", entry } },
          size,
        );
        const pages = await pagesOf(`Observation/o/_history?_count=${count}`, origin);
        if (typeof pages === "string") throw new Error(pages);
        const seen = pages.flatMap((page) =>
          (page.entry ?? []).map(({ resource }) => Number(resource?.meta?.versionId)),
        );
        const wanted = visible.flatMap((isVisible, n) => (isVisible ? [n] : []));
        if (JSON.stringify(seen) !== JSON.stringify(wanted))
          throw new Error(`${seen.join()} for ${wanted.join()}`);
        for (const { total, entry: some = [] } of pages)
          if (total !== undefined || some.length > count) throw new Error("a total, or too many");
      },
    ),
  ));

test("everything joins to the patient's own rows that may be seen, and no page tells of others", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("own", "hidden", "another's"), { maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      async (rows, size, count) => {
        const all = rows.map((row, n) =>
          observation(
            `o${n}`,
            row !== "hidden",
            row === "another's" ? { subject: { reference: "Patient/bela" } } : {},
          ),
        );
        const entry = [patient, ...all].map((resource) => ({ resource }));
        const origin = originOf(
          [patient],
          { "Patient/amara/$everything": { type: "searchset", entry } },
          size,
        );
        const pages = await pagesOf(`Patient/amara/$everything?_count=${count}`, origin);
        if (typeof pages === "string") throw new Error(pages);
        const seen = pages.flatMap((page) => (page.entry ?? []).map(({ resource }) => resource?.id));
        const wanted = ["amara", ...rows.flatMap((row, n) => (row === "own" ? [`o${n}`] : []))];
        if (JSON.stringify(seen) !== JSON.stringify(wanted))
          throw new Error(`${seen.join()} for ${wanted.join()}`);
        if (pages.length === 1 && pages[0]?.total !== wanted.length)
          throw new Error("not the total of what is seen");
      },
    ),
  ));

test("who is referred to comes along by a reference on the same page that the policy lists, and by no other", async ({
  expect,
}) => {
  const practitioners = ["performer", "hidden", "other"].map((id) => ({ resourceType: "Practitioner", id }));
  const rows = [
    observation("a", true, { performer: [{ reference: "Practitioner/performer" }] }),
    observation("b", false, { performer: [{ reference: "Practitioner/hidden" }] }),
  ];
  const entry = [patient, ...rows, ...practitioners].map((resource) => ({ resource }));
  const origin = originOf(
    [patient, ...practitioners],
    { "Patient/amara/$everything": { type: "searchset", entry } },
    9,
  );
  const pages = await pagesOf("Patient/amara/$everything", origin);
  expect(pages).toMatchObject([{ total: 2 }]);
  const entries = typeof pages === "string" ? [] : pages.flatMap((page) => page.entry ?? []);
  expect(entries.map(({ resource, search }) => `${search?.mode} ${resource?.id}`)).toEqual([
    "match amara",
    "match a",
    "include performer",
  ]);
  expect(origin.asked).toEqual(["Patient/amara", "Patient/amara/$everything", "Practitioner"]);
});

test("each page includes what its own rows refer to, wherever the origin lists it: a hidden row may have put it first", async ({
  expect,
}) => {
  const vera = { resourceType: "Practitioner", id: "vera" };
  const byVera = { performer: [{ reference: "Practitioner/vera" }] };
  const [hiddenRow, ...shown] = [
    observation("h", false, byVera),
    observation("a", true, byVera),
    observation("b", true, byVera),
  ];
  for (const rows of [
    [patient, ...shown, vera],
    [hiddenRow, vera, patient, ...shown],
  ]) {
    const entry = rows.map((resource) => ({ resource }));
    const origin = originOf(
      [patient, vera],
      { "Patient/amara/$everything": { type: "searchset", entry } },
      9,
    );
    const pages = await pagesOf("Patient/amara/$everything?_count=1", origin);
    if (typeof pages === "string") throw new Error(pages);
    expect(pages.map(({ entry = [] }) => entry.map(({ resource }) => resource?.id))).toEqual([
      ["amara"],
      ["a", "vera"],
      ["b", "vera"],
    ]);
  }
});

test("a page of several types asks the origin ten questions, its link names the type, and it refuses if the origin refuses a type; types that it lacks leave pages empty", async ({
  expect,
}) => {
  const types = r4ResourceTypes.filter(isResourceType).filter(isCompartmentType).slice(0, 25);
  const fill = (
    question: EverythingGrant,
    start: PagePlace,
    statusOf: (type: string) => number = () => 200,
  ) => {
    const asked: OriginQuestion[] = [];
    const origin = sessionOf((one) => {
      asked.push(one);
      const status = "path" in one ? statusOf(one.path) : 200;
      const bundle = chunks({ resourceType: "Bundle", type: "searchset", entry: [] });
      return Promise.resolve(
        status !== 200
          ? err(status === 404 ? { reason: "absent" } : { reason: "origin_refused", status })
          : ok({ kind: "answered" as const, body: bundle, base }),
      );
    });
    return { asked, filled: listEverything(question, start, origin) };
  };
  const usersPatients = new Set(Array.from({ length: 200 }, (_, n) => `patient-${n}-of-the-panel`));
  const [interaction, scopes] = [
    readInteraction("GET", [], `_type=${types.join()}`),
    parseScopes("user/*.rs"),
  ];
  if (!interaction.ok || !scopes.ok || !isListing(interaction.value)) throw new Error("no listing");
  const all = compilePolicy(policy(rule(types, "everything")), "sha256:test");
  const grant = evaluateListing(
    all,
    { scopes: scopes.value, patient: undefined, usersPatients },
    interaction.value,
  );
  if (!grant.ok || grant.value.kind !== "everything") throw new Error("refused");
  const whole = grant.value;
  // a type, then the parameters by which the patients took part in its rows
  const parts = [...whole.rows].flatMap(([type, { search }]) =>
    [search, ...(demandsOwner(type) ? [] : search.expects.further)].map((_part, index) =>
      index === 0 ? type : `${type}:${index}`,
    ),
  );
  expect(parts.length).toBeGreaterThan(whole.rows.size);
  for (const lacking of [[], types.slice(2), types.slice(0, 12)]) {
    const asks: number[] = [];
    let place: PagePlace | undefined = { ...firstPlace, question: grant.value.question };
    while (place !== undefined) {
      const { asked, filled } = fill(grant.value, place, (type) =>
        lacking.some((each) => each === type) ? 404 : 200,
      );
      const page = await filled;
      if (!page.ok) throw new Error(page.error.reason);
      expect(asked.every((one) => "path" in one && one.posted === true)).toBe(true); // names stay out of URLs
      asks.push(asked.length);
      place = page.value.next;
    }
    expect([Math.max(...asks), asks.reduce((sum, one) => sum + one)]).toEqual([10, parts.length]);
  }
  const begun = { ...firstPlace, question: grant.value.question };
  const eleventh = await fill(grant.value, begun).filled;
  expect(eleventh).toMatchObject(ok({ next: { part: parts[10], link: undefined } }));
  // The origin's entry lost two types before the second page, and the third page's type.
  const without = (...lost: readonly (string | undefined)[]): EverythingGrant => ({
    ...whole,
    rows: new Map([...whole.rows].filter(([type]) => !lost.includes(type))),
  });
  const { asked, filled: second } = fill(without(types[0], types[3]), { ...begun, part: parts[10] ?? "" });
  expect(await second).toMatchObject(ok({ next: { part: parts[20] } }));
  expect(asked[0]).toMatchObject({ path: parts[10]?.replace(/:.*/u, "") });
  const lost = fill(without(types[20]), { ...begun, part: types[20] ?? "" });
  expect([await lost.filled, lost.asked]).toEqual([err({ reason: "page_link_target_absent" }), []]);
  const { filled } = fill(grant.value, begun, (type) => (type === types[1] ? 400 : 200));
  expect(await filled).toEqual(err({ reason: "origin_rejected_search", status: 400 }));
});

test("a hidden patient and an absent patient cause the same questions and the same answer", async ({
  expect,
}) => {
  const lists = {
    "Patient/bela/$everything": { type: "searchset", entry: [{ resource: observation("x", true) }] },
    "Observation/h/_history": { type: "history", entry: [version(1, true)] },
  };
  const origin = originOf([{ resourceType: "Patient", id: "bela" }, observation("h", false)], lists, 9);
  for (const [request, absent] of [
    ["Patient/bela/$everything", "Patient/nobody/$everything"],
    ["Observation/h/_history", "Observation/nothing/_history"],
  ] as const) {
    const before = origin.asked.length;
    expect(await pagesOf(request, origin)).toBe("row_outside_access");
    const questions = origin.asked.length - before;
    expect(await pagesOf(absent, origin)).toBe("absent"); // both have the same face: entrypoint/gateway-face
    expect(origin.asked.length - before).toBe(2 * questions);
  }
});

test("in the history of a type each version is judged by the current resource, and a deleted resource shows only its deletion", async ({
  expect,
}) => {
  const place = (id: string, more: object = {}) => ({
    resourceType: "Location",
    id,
    name: "canary",
    ...more,
  });
  const step = (resource: Resource, n: number) => ({
    resource: { ...resource, meta: { versionId: String(n) } },
    request: { method: "PUT", url: "x" },
    response: { status: "200" },
  });
  const entry = [
    step(place("kept"), 2),
    { request: { method: "DELETE", url: "Location/gone" }, response: { status: "204", etag: 'W/"3"' } },
    step(place("gone"), 2),
    step(place("labelled"), 1),
    step(place("kept"), 1),
    { request: { method: "DELETE", url: "Observation/other" }, response: { status: "204" } },
  ];
  const labelled = place("labelled", {
    meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] },
  });
  const origin = originOf([place("kept"), labelled], { "Location/_history": { type: "history", entry } }, 2);
  const pages = await pagesOf("Location/_history?_count=2", origin);
  const entries = typeof pages === "string" ? [] : pages.flatMap((page) => page.entry ?? []);
  expect(entries.map(({ resource, request }) => resource?.meta?.versionId ?? request)).toEqual([
    "2",
    { method: "DELETE", url: "Location/gone" },
    "1",
  ]);
});
