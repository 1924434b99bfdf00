import { afterAll, beforeAll, test } from "vitest";
import { eventsOf } from "../support/auditor.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 120_000);
afterAll(() => phylax.close());

const path = "Patient/amara-okafor";
const ask = (client: string, headers: Record<string, string> = {}, method = "GET", at = path) =>
  phylax.ask(client, at, { method, headers });

test("the gateway computes its own ETag from the released text and the policy; the origin never gets a conditional request", async ({
  expect,
}) => {
  const [first, again, cut] = [await ask("telehealth"), await ask("telehealth"), await ask("payer")];
  expect(first.headers["etag"]).toMatch(/^"[A-Za-z0-9_-]{32}"$/u);
  expect(again.headers["etag"]).toBe(first.headers["etag"]);
  expect(cut.headers["etag"]).not.toBe(first.headers["etag"]);
  expect((await ask("telehealth", {}, "GET", "Patient?_id=amara-okafor")).headers["etag"]).toBeUndefined();
  const { versionId = "" } = (JSON.parse(first.text) as { meta: { versionId?: string } }).meta;
  expect((await ask("telehealth", {}, "GET", `${path}/_history/${versionId}`)).headers["etag"]).toBe(
    first.headers["etag"],
  );
  // The origin's own validators never leave, and the gateway accepts none of them.
  expect((await ask("telehealth", { "if-none-match": `W/"${versionId}"` })).status).toBe(200);
});

test("a known resource is 304 without a body, after every check and on record as a disclosure", async ({
  expect,
}) => {
  const etag = String((await ask("telehealth")).headers["etag"]);
  const before = phylax.forwarded.length;
  const known = await ask("telehealth", { "if-none-match": `"x", ${etag}` });
  expect({ status: known.status, text: known.text, etag: known.headers["etag"] }).toEqual({
    status: 304,
    text: "",
    etag,
  });
  expect(known.headers["phylax-receipt"]).toBeDefined();
  expect(phylax.forwarded.slice(before)).toEqual([`GET /fhir/${path}`]);
  expect(await eventsOf(phylax.dev, known.headers["x-request-id"])).toMatchObject([
    {
      kind: "disclosure",
      outcome: { status: 304 },
      patients: [{ patient: "main/Patient/amara-okafor", counts: { Patient: 1 } }],
    },
  ]);
  // The tag of a different view does not match: the answer is whole.
  expect((await ask("payer", { "if-none-match": etag })).status).toBe(200);
  expect((await ask("telehealth", { "if-none-match": "*" }, "GET", "Patient/nobody")).status).toBe(404);
});

test("a time is compared only if the view shows the time of the last change", async ({ expect }) => {
  const shown = await ask("telehealth");
  const modified = String(shown.headers["last-modified"]);
  expect(new Date(modified).toUTCString()).toBe(modified);
  expect((await ask("telehealth", { "if-modified-since": modified })).status).toBe(304);
  expect((await ask("telehealth", { "if-modified-since": "Thu, 01 Jan 2015 00:00:00 GMT" })).status).toBe(
    200,
  );
  const hidden = await ask("research", { "if-modified-since": "Fri, 01 Jan 2055 00:00:00 GMT" });
  expect({ status: hidden.status, modified: hidden.headers["last-modified"] }).toEqual({
    status: 200,
    modified: undefined,
  });
});

test("HEAD is its GET without the body: the same status, headers and record; the same 404 for an absent resource", async ({
  expect,
}) => {
  for (const at of [path, "Observation?patient=amara-okafor&_count=2", "Patient/nobody", "Basic/1"]) {
    const [get, head] = [await ask("telehealth", {}, "GET", at), await ask("telehealth", {}, "HEAD", at)];
    expect({ status: head.status, text: head.text }, at).toEqual({ status: get.status, text: "" });
    for (const name of ["etag", "last-modified", "content-type", "cache-control"])
      expect(head.headers[name], name).toBe(get.headers[name]);
    const [[ofGet], [ofHead]] = [
      await eventsOf(phylax.dev, get.headers["x-request-id"]),
      await eventsOf(phylax.dev, head.headers["x-request-id"]),
    ];
    for (const key of ["kind", "outcome", "patients", "counts", "withheld"] as const)
      expect(ofHead?.[key], key).toEqual(ofGet?.[key]);
    expect(ofHead?.what?.method).toBe("HEAD");
  }
  expect((await ask("telehealth", { authorization: "Bearer x" }, "HEAD")).status).toBe(401);
});

test("the search of a patient's compartment finds the rows of the search by that patient", async ({
  expect,
}) => {
  const ids = async (client: string, at: string) => {
    const { entry = [] } = JSON.parse((await ask(client, {}, "GET", at)).text) as {
      entry?: readonly { resource: { id: string } }[];
    };
    return entry.map(({ resource }) => resource.id);
  };
  const own = await ids("telehealth", `${path}/Observation?_count=500`);
  expect(own.length).toBeGreaterThan(0);
  expect(own).toEqual(await ids("telehealth", "Observation?patient=amara-okafor&_count=500"));
  expect((await ask("research", {}, "GET", `${path}/Observation`)).status).toBe(
    (await ask("research", {}, "GET", "Observation?patient=amara-okafor")).status,
  );
  for (const at of ["Encounter/e/*", `${path}/Practitioner`, "Practitioner/p/Observation"]) {
    const refused = await ask("telehealth", {}, "GET", at);
    expect(refused.status, at).toBe(400);
    expect(refused.text).toContain("search-compartment");
  }
});

test("a projection narrows the released text and is never sent to the origin; further pages keep it, with the elements that an include follows", async ({
  expect,
}) => {
  const keys = (resource: object) => Object.keys(resource).toSorted();
  const before = phylax.forwarded.length;
  const one = await ask("telehealth", {}, "GET", `${path}?_elements=birthDate`);
  expect(keys(JSON.parse(one.text) as object)).toEqual([
    "active",
    "birthDate",
    "extension",
    "id",
    "meta",
    "resourceType",
  ]);
  expect(one.headers["etag"]).not.toBe((await ask("telehealth")).headers["etag"]);
  // The view of research hides the name: a request for the name shows nothing.
  expect((await ask("research", {}, "GET", `${path}?_elements=name`)).text).not.toContain("Okafor");

  interface Page {
    readonly link: readonly { readonly relation: string; readonly url: string }[];
    readonly entry: readonly { readonly resource: object; readonly search: { readonly mode: string } }[];
  }
  const first = JSON.parse(
    (
      await ask(
        "telehealth",
        {},
        "GET",
        "Observation?patient=amara-okafor&_elements=issued&_include=Observation:subject&_count=2",
      )
    ).text,
  ) as Page;
  const second = JSON.parse(
    (await ask("telehealth", {}, "GET", first.link.find(({ relation }) => relation === "next")?.url ?? ""))
      .text,
  ) as Page;
  for (const { entry } of [first, second]) {
    for (const { resource, search } of entry)
      expect(
        keys(resource).filter(
          (name) =>
            search.mode === "match" && ["category", "effectiveDateTime", "valueQuantity"].includes(name),
        ),
      ).toEqual([]);
    expect(entry.map(({ search }) => search.mode)).toContain("include");
  }
  expect(phylax.forwarded.slice(before).join()).not.toContain("_elements");
});
