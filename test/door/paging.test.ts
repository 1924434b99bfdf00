import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, test } from "vitest";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { pageLinks } from "#platform/origins/page-links";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { startPagingOrigin, type PagingOrigin, type Row } from "../support/paging-origin.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { restricted } from "../support/fhir-parts.ts";

let phylax: Door;
let origin: PagingOrigin;
beforeAll(async () => {
  origin = await startPagingOrigin();
  phylax = await startDoor({ origin: origin.url });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});

const observation = (id: string, isHidden: boolean, more: object = {}): Row => ({
  resourceType: "Observation",
  id,
  status: "final",
  ...(isHidden ? { meta: restricted } : {}),
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "718-7" }] },
  subject: { reference: "Patient/amara" },
  ...more,
});
// A payer sees neither every third row nor a long run in the middle.
const hidden = (n: number) => n % 3 === 1 || (n > 20 && n < 33);
const list = Array.from({ length: 50 }, (_, n) => observation(`o${n}`, hidden(n)));
const visible = list.filter((_, n) => !hidden(n)).map(({ id }) => id);

beforeEach(() => {
  Object.assign(origin, {
    rows: list,
    pageMax: 1_000,
    breaksAt: Infinity,
    hasLinks: true,
    misleads: (link: string) => link,
  });
});

interface Searchset {
  readonly total?: number;
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry?: readonly { readonly resource: { readonly id: string } }[];
}
const searchset = ({ text }: Reply): Searchset => JSON.parse(text);
const ids = (reply: Reply) => (searchset(reply).entry ?? []).map(({ resource }) => resource.id);
const nextOf = (reply: Reply) => searchset(reply).link.find(({ relation }) => relation === "next")?.url;
const recordOf = async (reply: Reply) => (await eventsOf(phylax.dev, reply.headers["x-request-id"]))[0];

async function pages(first: string): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let url: string | undefined = first; url !== undefined;) {
    const reply: Reply = await phylax.ask("payer", url);
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
    replies.push(reply);
    url = nextOf(reply);
  }
  return replies;
}

test("a list on one page has its total; pages of any length join to the list, each full except the last", async ({
  expect,
}) => {
  const whole = await phylax.ask("payer", "Observation?patient=amara");
  expect(ids(whole)).toEqual(visible);
  expect(searchset(whole)).toMatchObject({ total: visible.length, link: [{ relation: "self" }] });
  for (const [count, pageMax] of [
    [1, 1_000],
    [2, 7],
    [5, 10],
    [7, 50],
    [visible.length, 11],
    [100, 20],
  ] as const) {
    origin.pageMax = pageMax;
    const replies = await pages(`Observation?patient=amara&_count=${count}`);
    expect(replies.flatMap(ids), `${count} of ${pageMax}`).toEqual(visible);
    for (const [index, reply] of replies.entries()) {
      // never longer than a page of the origin
      if (index < replies.length - 1) expect(ids(reply)).toHaveLength(Math.min(count, pageMax));
      expect(searchset(reply).link[0]).toEqual({
        relation: "self",
        url: `${phylax.dev.fhir}/Observation?patient=amara&_count=${count}`,
      });
      if (replies.length > 1) expect(searchset(reply)).not.toHaveProperty("total");
      expect(reply.text).not.toContain("from=");
    }
  }
});

test("each page is its own disclosure on record, with its question and its patients", async ({ expect }) => {
  const [, second] = await pages("Observation?patient=amara&_count=9");
  if (second === undefined) throw new Error("one page");
  expect(await recordOf(second)).toMatchObject({
    kind: "disclosure",
    what: { interaction: "search-type", type: "Observation", parameters: [["patient", "amara"]] },
    counts: { Observation: 9 },
    patients: [{ patient: "main/Patient/amara", counts: { Observation: 9 } }],
  });
});

test("the origin pages as many rows as the client, and five hundred hidden rows make a page short", async ({
  expect,
}) => {
  origin.rows = [
    ...Array.from({ length: 900 }, (_, n) => observation(`h${n}`, true)),
    observation("last", false),
  ];
  origin.requests.length = 0;
  const first = await phylax.ask("payer", "Observation?patient=amara&_count=5");
  expect({ status: first.status, ids: ids(first) }).toEqual({ status: 200, ids: [] });
  expect(origin.requests).toHaveLength(50);
  expect(origin.requests[0]).toMatch(/_count=10$/u);
  expect(ids(await phylax.ask("payer", nextOf(first) ?? ""))).toEqual(["last"]);
});

test("a negation by a frequent value ends, page by page, with exactly the visible rows without the value", async ({
  expect,
}) => {
  const isOther = (n: number) => n % 119 === 7;
  origin.rows = Array.from({ length: 1_300 }, (_, n) =>
    observation(`n${n}`, n % 3 === 1, isOther(n) ? { status: "preliminary" } : {}),
  );
  const expected = origin.rows.filter((_, n) => isOther(n) && n % 3 !== 1).map(({ id }) => id);
  origin.pageMax = 50;
  for (const count of [2, 50]) {
    const replies = await pages(`Observation?patient=amara&status:not=final&_count=${count}`);
    expect(replies.flatMap(ids), `${count}`).toEqual(expected);
    // at least five hundred rows of the origin for a short page
    expect(replies.length).toBeLessThanOrEqual(expected.length / count + 3);
  }
});

test("a chain by a negation alone is answered, over however many pages its rows are", async ({ expect }) => {
  const patients = Array.from({ length: 210 }, (_, n) => ({
    resourceType: "Patient",
    id: n === 0 ? "amara" : `p${n}`,
    gender: n === 0 ? "other" : "male",
  }));
  origin.rows = [...patients, observation("other", false)];
  origin.pageMax = 10;
  const reply = await phylax.ask("payer", "Observation?subject:Patient.gender:not=male");
  expect([reply.status, ids(reply)]).toEqual([200, ["other"]]);
});

test("two questions fill a page, over the pages of a list, if less than half of its rows are hidden", async ({
  expect,
}) => {
  for (const hides of [() => false, (n: number) => n % 5 === 0, (n: number) => n % 20 < 9]) {
    origin.rows = Array.from({ length: 400 }, (_, n) => observation(`q${n}`, hides(n)));
    for (const count of [10, 20, 50]) {
      origin.requests.length = 0;
      const replies = await pages(`Observation?patient=amara&_count=${count}`);
      expect(replies.flatMap(ids)).toEqual(origin.rows.filter((_, n) => !hides(n)).map(({ id }) => id));
      expect(origin.requests.length, `${count}`).toBeLessThanOrEqual(2 * replies.length);
    }
  }
});

test("L8: a full page has a next link only if a visible row follows, however many hidden rows follow; the origin is asked for a fifth first", async ({
  expect,
}) => {
  const shown = Array.from({ length: 10 }, (_, n) => observation(`s${n}`, false));
  const after = (count: number) => Array.from({ length: count }, (_, n) => observation(`h${n}`, true));
  const last = observation("last", false);
  for (const [more, hasNext, counts] of [
    [[], false, [10]],
    [after(1), false, [10, 2, 10]],
    [after(25), false, [10, 2, 10, 10, 10]],
    [[last], true, [10, 2]],
    [[...after(1), last], true, [10, 2]],
    [[...after(4), last], true, [10, 2, 10]],
  ] as const) {
    origin.rows = [...shown, ...more];
    origin.requests.length = 0;
    const page = await phylax.ask("payer", "Observation?patient=amara&_count=10");
    expect([ids(page).length, nextOf(page) !== undefined, searchset(page).total]).toEqual([
      10,
      hasNext,
      hasNext ? undefined : 10,
    ]);
    expect(origin.requests.map((asked) => Number(/_count=(\d+)/u.exec(asked)?.[1]))).toEqual(counts);
    if (hasNext) expect(ids(await phylax.ask("payer", nextOf(page) ?? ""))).toEqual(["last"]);
  }
});

test("a link opens for no further client, not after its time, not altered, and with no parameter of the question added", async ({
  expect,
}) => {
  const link = nextOf(await phylax.ask("payer", "Observation?patient=amara&_count=3")) ?? "";
  const sealed = link.replace(/^.*_page=/u, "");
  const altered = link.slice(0, -8) + (link.at(-8) === "A" ? "B" : "A") + link.slice(-7);
  const key = readFileSync(phylax.dev.ca.replace(/pki\/.*$/u, "secrets/paging"), "utf8").trim();
  const links = pageLinks([new Secret(Uint8Array.from(Buffer.from(key, "base64url")))]);
  const policyDigest = (await recordOf(await phylax.ask("payer", "Patient/x")))?.why?.policy ?? "";
  const binding = {
    client: "payer",
    origin: "main",
    path: "Observation",
    purpose: "HPAYMT",
    policyDigest,
    patient: undefined,
    user: undefined,
  };
  const place = { question: "patient=amara&_count=3", posted: false, link: undefined, after: "o3", seen: 0 };
  const own = async (changes: object, minutes = 0) =>
    `Observation?_page=${await links.seal({ ...place, ...changes }, { ...binding, ...changes }, instant(Date.now() - minutes * 60_000))}`;
  expect(ids(await phylax.ask("payer", await own({}))), "the test's own key is the gateway's").toEqual(
    ids(await phylax.ask("payer", link)),
  );

  const refused = [
    ["page_link_mismatch", await phylax.ask("public-health", link)],
    ["page_link_mismatch", await phylax.ask("payer", altered)],
    ["page_link_mismatch", await phylax.ask("payer", `Condition?_page=${sealed}`)],
    ["page_link_mismatch", await phylax.ask("payer", await own({ purpose: "TREAT" }))],
    ["page_link_mismatch", await phylax.ask("payer", await own({ policyDigest: "sha256:x" }))],
    ["page_link_mismatch", await phylax.ask("payer", await own({ patient: "amara" }))],
    ["page_link_malformed", await phylax.ask("payer", "Observation?_page=x")],
    ["page_link_expired", await phylax.ask("payer", await own({}, 16))],
  ] as const;
  for (const [reason, reply] of refused) {
    expect(reply.status, reply.text).toBe(410);
    expect(JSON.parse(reply.text)).toMatchObject({
      issue: [{ code: "expired", details: { text: JSON.parse(refused[0][1].text).issue[0].details.text } }],
    });
    expect(await recordOf(reply)).toMatchObject({ kind: "refusal", outcome: { status: 410, reason } });
  }
  expect((await phylax.ask("payer", `${link}&_format=json&_pretty=true`)).status).toBe(200);
  // the client of Medplum adds the most rows that it takes, and sorts the parameters
  for (const count of ["&_count=3", "&_count=1000"])
    expect(ids(await phylax.ask("payer", link + count)), count).toEqual(ids(await phylax.ask("payer", link)));
  expect((await phylax.ask("payer", link.replace("?", "?_count=1000&"))).status).toBe(200);
  for (const beside of ["&patient=amara", "&_count=2", "&_count=", "&_page=x"])
    expect((await phylax.ask("payer", link + beside)).status, beside).toBe(400);
});

test("the question in a link is judged anew: a parameter that its client may no longer use is refused", async ({
  expect,
}) => {
  const key = readFileSync(phylax.dev.ca.replace(/pki\/.*$/u, "secrets/paging"), "utf8").trim();
  const policyDigest = (await recordOf(await phylax.ask("payer", "Patient/x")))?.why?.policy ?? "";
  const place = { question: "phone=555", posted: false, link: undefined, after: undefined, seen: 0 };
  const sealed = await pageLinks([new Secret(Uint8Array.from(Buffer.from(key, "base64url")))]).seal(
    place,
    {
      client: "payer",
      origin: "main",
      path: "Patient",
      purpose: "HPAYMT",
      policyDigest,
      patient: undefined,
      user: undefined,
    },
    instant(Date.now()),
  );
  expect((await phylax.ask("payer", `Patient?_page=${sealed}`)).status).toBe(403);
});

test("a posted search answers as the same search by GET, on every page, and reaches the origin as a form", async ({
  expect,
}) => {
  const form = (body: string, path = "Observation/_search", type = "application/x-www-form-urlencoded") =>
    phylax.ask("payer", path, { method: "POST", headers: { "content-type": type }, body });
  const got = await phylax.ask("payer", "Observation?patient=amara&_count=4");
  origin.requests.length = 0;
  for (const posted of [
    await form("patient=amara&_count=4"),
    await form("patient=amara", "Observation/_search?_count=4"),
  ]) {
    const { link, ...rest } = searchset(posted);
    const { link: gotLink, ...gotRest } = searchset(got);
    expect({ ...rest, self: link[0] }).toEqual({ ...gotRest, self: gotLink[0] });
    expect(ids(await phylax.ask("payer", nextOf(posted) ?? ""))).toEqual(visible.slice(4, 8));
  }
  const own = origin.requests.filter((request) => !request.includes("from=")); // the rest are its own links
  expect(own.length).toBeGreaterThan(1);
  for (const request of own) expect(request).toMatch(/^POST \/fhir\/Observation\/_search patient=amara/u);

  expect((await form("{}", undefined, "application/json")).status).toBe(415);
  expect((await form(`patient=amara&code=${"a".repeat(70_000)}`)).status).toBe(413);
  expect((await form("favourite-colour=blue")).status).toBe(400);
  expect((await form("", "_search")).status).toBe(400);
});

test("a posted search may be longer than a URL and still have further pages", async ({ expect }) => {
  const codes = [
    "http://loinc.org|718-7",
    ...Array.from({ length: 90 }, (_, n) => `http://loinc.org|${String(n).repeat(50).slice(0, 50)}-${n}`),
  ].join(",");
  const body = `patient=amara&code=${encodeURIComponent(codes)}&_count=2`;
  const first = await phylax.ask("payer", "Observation/_search", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `${body}&code=${encodeURIComponent(codes.slice(0, 2_000))}`,
  });
  expect(first.status, first.text).toBe(200);
  expect(ids(await phylax.ask("payer", nextOf(first) ?? ""))).toEqual(visible.slice(2, 4));
});

test("a search too long for its own link is refused by that reason when it has a second page", async ({
  expect,
}) => {
  const codes = [
    "http://loinc.org|718-7",
    ...Array.from({ length: 90 }, (_, n) => `http://loinc.org|${String(n).repeat(60).slice(0, 60)}`),
  ].join(",");
  const body = `patient=amara&code=${encodeURIComponent(codes)}&code=${encodeURIComponent(codes)}&_count=2`;
  const reply = await phylax.ask("payer", "Observation/_search", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body,
  });
  expect({ status: reply.status, text: reply.text }).toMatchObject({
    status: 400,
    text: expect.stringContaining("narrow"),
  });
});

test("the gateway does not follow an origin's link to another place", async ({ expect }) => {
  for (const away of ["http://evil.example/fhir?from=10", `${origin.url}x?from=10`, "//evil.example/fhir"]) {
    Object.assign(origin, { pageMax: 10, misleads: () => away });
    origin.requests.length = 0;
    const reply = await phylax.ask("payer", "Observation?patient=amara");
    expect(reply.status, away).toBe(502);
    expect(reply.text).not.toMatch(/evil|from=/u);
    expect(origin.requests).toHaveLength(1);
  }
});

test("an origin's answer that breaks off in the middle is the origin's failure, and no byte of it leaves", async ({
  expect,
}) => {
  origin.breaksAt = 900;
  for (const path of ["Observation?patient=amara", "Observation/o0/_history/1"]) {
    origin.rows = [
      observation("o0", false, { meta: { versionId: "1" }, note: [{ text: "n".repeat(2_000) }] }),
    ];
    const reply = await phylax.ask("payer", path);
    expect(reply.status, reply.text).toBe(502);
    expect(JSON.parse(reply.text)).toMatchObject({ issue: [{ code: "exception" }] });
    expect(await recordOf(reply)).toMatchObject({
      kind: "refusal",
      outcome: { reason: "origin_unreachable" },
      counts: {},
    });
  }
});

test("a version is read like the current resource; a later label hides earlier versions", async ({
  expect,
}) => {
  const versions = (...labels: readonly boolean[]): readonly Row[] =>
    labels.map((isHidden, n) =>
      observation("v", isHidden, {
        meta: { versionId: String(n + 1), ...(isHidden ? restricted : {}) },
        valueQuantity: { value: n + 1 },
      }),
    );
  origin.rows = versions(false, false);
  const old = await phylax.ask("payer", "Observation/v/_history/1");
  expect(old.status, old.text).toBe(200);
  expect(JSON.parse(old.text)).toMatchObject({ resourceType: "Observation", id: "v" });
  expect(await recordOf(old)).toMatchObject({
    kind: "disclosure",
    what: { interaction: "vread", id: "v" },
    counts: { Observation: 1 },
  });

  origin.rows = versions(false, true);
  const absent = await phylax.ask("payer", "Observation/w/_history/1");
  for (const reply of [
    await phylax.ask("payer", "Observation/v/_history/1"),
    await phylax.ask("payer", "Observation/v/_history/2"),
    absent,
  ]) {
    expect(reply.status).toBe(404);
    expect(JSON.parse(reply.text).issue[0].details).toEqual(JSON.parse(absent.text).issue[0].details);
  }
  origin.rows = versions(true, false);
  expect((await phylax.ask("payer", "Observation/v/_history/1")).status).toBe(404);
  expect((await phylax.ask("payer", "Observation/v/_history/2")).status).toBe(200);
});

test("a patient who was asked for in vain is named on the record of the refusal", async ({ expect }) => {
  for (const path of ["Patient/nobody", "Patient/nobody/_history/3"])
    expect(await recordOf(await phylax.ask("payer", path))).toMatchObject({
      kind: "refusal",
      outcome: { status: 404 },
      patients: [{ patient: "main/Patient/nobody", counts: {} }],
    });
});

test("metadata answers a client with its token by either media type of JSON, the SMART configuration as application/json", async ({
  expect,
}) => {
  for (const accept of ["application/json", "application/fhir+json"]) {
    const typeOf = async (path: string) =>
      (await phylax.ask("payer", path, { headers: { accept } })).headers["content-type"];
    expect(await typeOf("metadata")).toBe(`${accept}; charset=utf-8`);
    expect(await typeOf(".well-known/smart-configuration")).toBe("application/json; charset=utf-8");
  }
});

test("a page goes on after its last row though new rows moved that row to a later origin page; a row that is gone ends it", async ({
  expect,
}) => {
  const first = await phylax.ask("payer", "Observation?patient=amara&_count=3");
  expect(ids(first)).toEqual(visible.slice(0, 3));
  const more = Array.from({ length: 25 }, (_, n) => observation(`new${n}`, false));
  Object.assign(origin, { rows: [...more, ...list] });
  const second = await phylax.ask("payer", nextOf(first) ?? "");
  expect(second.status, second.text).toBe(200);
  expect(ids(second)).toEqual(visible.slice(3, 6));

  Object.assign(origin, { rows: list.filter(({ id }) => id !== visible[2]) });
  expect((await phylax.ask("payer", nextOf(first) ?? "")).status).toBe(410);
});
