import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import type { Handler } from "../support/in-process/network.ts";
import { starterPolicy } from "../support/outside.ts";
import { beyond, TwoWorlds, type Asking, type Seen } from "../support/two-worlds.ts";

// The harness itself: it sees no difference between equal worlds, for any question, and sees a planted
// difference of each kind.

let worlds: TwoWorlds;
beforeAll(async () => {
  worlds = await TwoWorlds.open();
}, 60_000);
afterAll(() => worlds.close());

const patient = (id: string, family = "Adams"): Resource => ({
  resourceType: "Patient",
  id,
  name: [{ family }],
  gender: "female",
});
const observation = (id: string, value = 1): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: "Patient/ann" },
  effectiveDateTime: "2026-01-01",
  valueQuantity: { value },
});
const ann = [patient("ann"), ...Array.from({ length: 5 }, (_, i) => observation(`o${i}`, i))];
const by = "telehealth";
const read: Asking = { by, path: "Patient/ann" };
const nextPage = (before: readonly Seen[]) => {
  const { link } = JSON.parse(before.at(-1)?.body.toString("utf8") ?? "") as {
    link: { relation: string; url: string }[];
  };
  return { by, path: link.find(({ relation }) => relation === "next")?.url ?? "no next page" };
};
const aspectsOf = (differences: readonly { readonly aspect: string }[]) => [
  ...new Set(differences.map(({ aspect }) => aspect)),
];

test("equal worlds give equal answers, for any question", async ({ expect }) => {
  const resource = { "content-type": "application/fhir+json" };
  const asked: Asking[] = [
    read,
    { by, path: "Patient/ann", method: "HEAD" },
    { by, path: "Patient/nobody" },
    { by, path: "Basic/1" },
    { by, path: "Observation?patient=ann&_count=2" },
    nextPage,
    nextPage,
    { by, path: "Patient/ann/$everything" },
    { by, path: "Observation/o1/_history" },
    { by, path: "metadata" },
    { by, path: "Observation?code:what=1" },
    { by: "payer", path: "Patient/ann" },
    { by: { certificate: undefined, token: "no token" }, path: "Patient/ann" },
    {
      by: "charting",
      path: "Observation",
      method: "POST",
      headers: resource,
      body: JSON.stringify(observation("new")),
    },
    { by: "charting", path: "Observation/o1", method: "DELETE" },
    { by: "charting", path: "Observation/o1" },
  ];
  const { one, differences } = await worlds.compare({ origin: ann }, { origin: ann }, asked);
  expect(differences).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([
    200, 200, 404, 403, 200, 200, 200, 200, 200, 200, 400, 200, 401, 201, 403, 200,
  ]);
  for (const [i, { records, leaves }] of one.entries()) {
    const recorded = i === 9 ? 0 : 1; // `metadata` is public
    expect(records.length, String(i)).toBeGreaterThanOrEqual(recorded);
    expect(leaves.length, String(i)).toBeGreaterThanOrEqual(recorded);
  }
  expect(one[0]?.questions).toEqual([{ method: "GET", path: "/fhir/Patient/ann", body: "" }]);
});

test("status: an absent row", async ({ expect }) => {
  const { differences } = await worlds.compare({ origin: ann }, { origin: [patient("ben")] }, [read]);
  expect(differences.filter(({ aspect }) => aspect === "status")).toEqual([
    { question: 0, aspect: "status", at: "", one: 200, other: 404 },
  ]);
});

test("headers: a row with a different value, requested by HEAD, and no further difference", async ({
  expect,
}) => {
  const { differences } = await worlds.compare({ origin: ann }, { origin: [patient("ann", "Brown")] }, [
    { by, path: "Patient/ann", method: "HEAD" },
  ]);
  expect(differences.map(({ aspect, at }) => aspect + at)).toEqual(["headers/etag"]);
});

test("body: the first byte that differs", async ({ expect }) => {
  const { one, differences } = await worlds.compare({ origin: ann }, { origin: [patient("ann", "Bdams")] }, [
    read,
  ]);
  const at = String(one[0]?.body.indexOf("Adams"));
  expect(differences.map(({ aspect, at: where }) => `${aspect} ${where}`)).toEqual([
    "headers /etag",
    `body ${at}`,
  ]);
});

test("questions to the origin: a second way to the same page, and no further difference", async ({
  expect,
}) => {
  const pages =
    (way: string): Handler =>
    (request) => {
      const first = !request.url.includes(way);
      const link = first ? [{ relation: "next", url: `${worlds.originBase}?${way}` }] : [];
      const entry = [{ resource: first ? patient("ann") : patient("ben"), search: { mode: "match" } }];
      return Response.json(
        { resourceType: "Bundle", type: "searchset", link, entry },
        { headers: { "content-type": "application/fhir+json" } },
      );
    };
  const { one, differences } = await worlds.compare({ origin: pages("way=1") }, { origin: pages("way=2") }, [
    { by, path: "Patient" },
  ]);
  expect(one[0]?.status).toBe(200);
  expect(differences).toEqual([
    { question: 0, aspect: "questions", at: "/1/path", one: "/fhir?way=1", other: "/fhir?way=2" },
  ]);
});

const underAgreement = (id: string) => ({
  agreements: [
    {
      id,
      client: "telehealth",
      purposes: ["TREAT"],
      from: "2026-01-01",
      to: "2036-01-01",
      documentHash: "0".repeat(64),
    },
  ],
  policies: [starterPolicy("treat")],
  grants: [
    {
      client: "telehealth",
      origin: "main",
      purpose: "TREAT",
      agreement: id,
      policy: "treat",
      scopes: "system/*.rs",
      quotas: { default: { requests: 60_000, windowSeconds: 60 } },
    },
  ],
});

test("records: under a different agreement, and no further difference", async ({ expect }) => {
  const { differences } = await worlds.compare(
    { origin: ann, registry: underAgreement("first") },
    { origin: ann, registry: underAgreement("other") },
    [read],
  );
  expect(differences).toEqual([
    { question: 0, aspect: "records", at: "/0/event/why/agreement", one: "first", other: "other" },
  ]);
  expect(beyond(differences, { records: /\/agreement$/u })).toEqual([]);
  expect(beyond(differences, { body: /\/agreement$/u })).toEqual(differences);
});

test("leaves: a longer record, at some length of the question", async ({ expect }) => {
  const questions = Array.from({ length: 9 }, (_, i) => ({
    by,
    path: `Patient?_id=ann${"x".repeat(30 * i)}`,
  }));
  const { differences } = await worlds.compare(
    { origin: ann, registry: underAgreement("a") },
    { origin: ann, registry: underAgreement("a".repeat(64)) },
    questions,
  );
  expect(aspectsOf(differences)).toEqual(["records", "leaves"]);
  expect(differences.find(({ aspect }) => aspect === "leaves")?.at).toBe("/0/length");
});

test("leaves: their number", async ({ expect }) => {
  const create = {
    by: "charting",
    path: "Observation",
    method: "POST",
    headers: { "content-type": "application/fhir+json" },
  };
  const refuses: Handler = () => new Response(null, { status: 422 });
  const { one, other, differences } = await worlds.compare({ origin: ann }, { origin: refuses }, [
    { ...create, body: JSON.stringify(observation("new")) },
  ]);
  expect([one[0]?.status, other[0]?.status]).toEqual([201, 422]);
  expect(one[0]?.leaves.length).toBeGreaterThan(other[0]?.leaves.length ?? 0);
  expect(differences.some(({ aspect, at }) => aspect === "leaves" && /^\/\d+$/u.test(at))).toBe(true);
});

test("a difference is seen in the question that shows it", async ({ expect }) => {
  const asked = ["Patient/ann", "Observation/o4", "Patient/ann"].map((path) => ({ by: "charting", path }));
  const { differences } = await worlds.compare({ origin: ann }, { origin: ann.slice(0, -1) }, asked);
  expect([...new Set(differences.map(({ question }) => question))]).toEqual([1]);
});
