import { afterAll, beforeAll, beforeEach, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { startPagingOrigin, type PagingOrigin } from "../support/paging-origin.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { restricted } from "../support/fhir-parts.ts";
import { registerMain } from "../support/outside-apps.ts";

// A page of this server was seen to have so many rows, and it gives no paging links.
const pageMax = 1_000;
let phylax: Door;
let unmeasured: Door;
let origin: PagingOrigin;
beforeAll(async () => {
  origin = await startPagingOrigin();
  phylax = await startDoor({ origin: origin.url });
  await registerMain(phylax, { capabilities: { pageLinks: false, pageMax } });
  unmeasured = await startDoor({ origin: origin.url });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  await unmeasured.close();
  await origin.close();
});

const observation = (id: string, isHidden: boolean) => ({
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
});
const observations = (count: number, hides: (n: number) => boolean) =>
  Array.from({ length: count }, (_, n) => observation(`o${n}`, hides(n)));
// A payer sees neither every third row nor a long run in the middle.
const hidden = (n: number) => n % 3 === 1 || (n > 20 && n < 33);
const list = observations(50, hidden);
const visible = list.filter((_, n) => !hidden(n)).map(({ id }) => id);

beforeEach(() => {
  Object.assign(origin, { rows: list, pageMax, hasLinks: false });
});

interface Searchset {
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry?: readonly { readonly resource: { readonly id: string } }[];
}
const searchset = ({ text }: Reply): Searchset => JSON.parse(text);
const ids = (reply: Reply) => (searchset(reply).entry ?? []).map(({ resource }) => resource.id);

async function pages(first: string): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let url: string | undefined = first; url !== undefined;) {
    const reply = await phylax.ask("payer", url);
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
    replies.push(reply);
    url = searchset(reply).link.find(({ relation }) => relation === "next")?.url;
  }
  return replies;
}

test("an origin without paging links gives every row: an answer of as many rows as were asked for is asked again for twice as many", async ({
  expect,
}) => {
  for (const count of [1, 7, 10, 20, 34, 50]) {
    const replies = await pages(`Observation?patient=amara&_count=${count}`);
    expect(replies.flatMap(ids), `${count}`).toEqual(visible);
    for (const reply of replies.slice(0, -1)) expect(ids(reply)).toHaveLength(count);
  }
  origin.requests.length = 0;
  const [whole] = await pages("Observation?patient=amara&_count=25");
  expect(whole && ids(whole)).toEqual(visible);
  const counts = () => origin.requests.map((asked) => Number(/_count=(\d+)/u.exec(asked)?.[1]));
  expect(counts()).toEqual([25, 50, 100]);
  // a posted search stays a posted search
  origin.requests.length = 0;
  const posted = await phylax.ask("payer", "Observation/_search", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "patient=amara&_count=25",
  });
  expect(ids(posted)).toEqual(visible);
  expect(origin.requests.filter((asked) => !asked.startsWith("POST"))).toEqual([]);
});

test("a list as long as the longest page, or as fifty rows of a page that nobody measured, is refused: it may be cut", async ({
  expect,
}) => {
  const status = async (door: Door) =>
    (await door.ask("payer", "Observation?patient=amara&_count=1000")).status;
  for (const [count, measured, other] of [
    [49, 200, 200],
    [50, 200, 502],
    [999, 200, 502],
    [1_000, 502, 502],
  ]) {
    origin.rows = observations(count ?? 0, (n) => n % 2 === 0);
    expect([await status(phylax), await status(unmeasured)], `${count}`).toEqual([measured, other]);
  }
});

test("a chain over an origin without paging links is asked by the page if its rows may be more than were read", async ({
  expect,
}) => {
  const patients = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ resourceType: "Patient", id: `p${n}`, gender: "female" }));
  for (const count of [999, 1_000]) {
    const male = { resourceType: "Patient", id: "amara", gender: "male" };
    origin.rows = [male, ...patients(count - 1), observation("his", false)];
    const found = await phylax.ask("payer", "Observation?subject:Patient.gender=male");
    expect([found.status, ids(found)], `${count}`).toEqual([200, ["his"]]);
  }
});
