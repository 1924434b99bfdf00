import { afterAll, beforeAll, describe, test } from "vitest";
import { mentionsOf } from "../support/hidden-origin.ts";
import { startHostileOrigin, type HostileOptions, type HostileOrigin } from "../support/hostile-origin.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { inLane } from "../support/lane.ts";

const spellings: readonly (HostileOptions & { readonly how: string })[] = [
  { how: "by its IPv4 address, in plain JSON", host: "127.0.0.1" },
  {
    how: "by its name, with escaped slashes",
    host: "localhost",
    spell: (json) => json.replaceAll("/", String.raw`\/`),
  },
  {
    how: "by its IPv6 address, every sign of an address escaped",
    host: "[::1]",
    spell: (json) =>
      json.replaceAll(
        /[/.]|:(?=\/|\d{2,5}\/)/gu,
        (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
      ),
  },
];
// The fast lane takes the spelling that is the hardest to recognize.
const tried = inLane({ fast: spellings.slice(-1), slow: spellings, long: spellings });
const types = ["Patient", "Observation", "DocumentReference"];

describe.for(tried)(
  "an origin that names its own address wherever it can, registered $how",
  ({ host, spell }) => {
    let origin: HostileOrigin;
    let phylax: Door;
    beforeAll(async () => {
      origin = await startHostileOrigin({ ...(host && { host }), ...(spell && { spell }) });
      phylax = await startDoor({ origin: origin.url });
    }, 60_000);
    afterAll(async () => {
      await phylax.close();
      await origin.close();
    });

    /** The client's whole view of an answer. */
    const seen = async (path: string, sending?: Parameters<Door["ask"]>[2]) => {
      const reply = await phylax.ask("telehealth", path, sending);
      return { ...reply, all: `${JSON.stringify(reply.headers)}\n${reply.text}` };
    };

    test("is read in all spellings of its address, and none of them leaves", async ({ expect }) => {
      for (const type of types)
        for (const id of origin.ids) {
          const { status, all, text } = await seen(`${type}/${id}`);
          expect(mentionsOf(origin.url, all), `${type}/${id}`).toEqual([]);
          // it is answered, not refused
          expect([status, JSON.parse(text)], text).toMatchObject([200, { resourceType: type, id }]);
        }
    });

    test("is read by clients with a narrow view, and no address is in that view", async ({ expect }) => {
      for (const client of ["payer", "public-health"])
        for (const path of [
          "metadata",
          // the test above reads every spelling in each lane
          ...origin.ids
            .filter((_, at) => at % inLane({ fast: 4, slow: 1, long: 1 }) === 0)
            .flatMap((id) => [`Patient/${id}`, `Observation?patient=${id}`]),
        ]) {
          const { headers, text } = await phylax.ask(client, path);
          expect(mentionsOf(origin.url, `${JSON.stringify(headers)}\n${text}`), `${client}: ${path}`).toEqual(
            [],
          );
        }
    });

    test("is searched, and its additions do not leave: fullUrls, links, outcomes, foreign rows", async ({
      expect,
    }) => {
      for (const type of types) {
        const { status, all, text } = await seen(type);
        expect(mentionsOf(origin.url, all), type).toEqual([]);
        const { entry }: { entry: { fullUrl: string; resource: { id: string } }[] } = JSON.parse(text);
        expect([status, entry.map(({ fullUrl }) => fullUrl)]).toEqual([
          200,
          origin.ids.map((id) => `${phylax.dev.fhir}/${type}/${id}`),
        ]);
      }
    });

    test("ignores every parameter that narrows, and only the requested rows leave", async ({ expect }) => {
      for (const [query, ids] of [
        ["Patient?_id=spelled-3", ["spelled-3"]],
        ["Observation?patient=spelled-4", ["spelled-4"]],
        ["Observation?subject=Patient/spelled-5,Patient/spelled-6", ["spelled-5", "spelled-6"]],
        ["Observation?patient=somebody-else", []],
        ["DocumentReference?patient=Patient/spelled-1", ["spelled-1"]],
      ] as const) {
        const { status, all, text } = await seen(query);
        expect(mentionsOf(origin.url, all), query).toEqual([]);
        const { entry = [] }: { entry?: { resource: { id: string } }[] } = JSON.parse(text);
        expect([status, entry.map(({ resource }) => resource.id)], query).toEqual([200, ids]);
      }
    });

    test("is asked by POST and for versions, and none of its addresses leaves", async ({ expect }) => {
      const form = {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "patient=spelled-2",
      };
      const posted = await seen("Observation/_search", form);
      // it answers another version than the requested version
      const version = await seen("Patient/spelled-0/_history/1");
      expect([posted.status, version.status]).toEqual([200, 502]);
      for (const { all } of [posted, version]) expect(mentionsOf(origin.url, all)).toEqual([]);
    });

    test("pages by links on its own base, which are followed and never shown", async ({ expect }) => {
      origin.next = `${origin.url}?_getpages=1&_getpagesoffset=20`;
      for (const query of ["Patient", "Patient?_count=7"]) {
        const { status, all } = await seen(query);
        expect([status, mentionsOf(origin.url, all)], query).toEqual([200, []]);
      }
      origin.next = undefined;
    });

    test("points its paging links elsewhere, and is not followed there", async ({ expect }) => {
      const stranger = await startHostileOrigin();
      const { host: own } = new URL(origin.url);
      const { host: other } = new URL(stranger.url);
      const paths = [
        "/",
        "/admin",
        "/fhir2",
        "/fhir/../admin",
        "/fhir/%2e%2e/admin",
        "/fhir/..%2fadmin",
        "/%66hir",
      ];
      const links = paths.map((path) => `http://${own}${path}?_getpages=1`);
      links.push(
        ...["http", "https", "HTTP", "ftp"].map((scheme) => `${scheme}://${other}/fhir?_getpages=1`),
      );
      links.push(
        `//${other}/fhir?_getpages=1`,
        `http://${own}@${other}/fhir?_getpages=1`,
        `http://${other}\\@${own}/fhir?_getpages=1`,
      );
      links.push(
        `https://${own}/fhir?_getpages=1`,
        `http://user:secret@${own}/fhir?_getpages=1`,
        "file:///etc/passwd",
        "javascript:1",
      );
      origin.requests.length = 0;
      for (const link of links) {
        origin.next = link;
        const { status, all } = await seen("Patient");
        expect([status, mentionsOf(origin.url, all), mentionsOf(stranger.url, all)], link).toEqual([
          502,
          [],
          [],
        ]);
      }
      origin.next = undefined;
      expect(stranger.requests).toEqual([]);
      expect(new Set(origin.requests.map(({ path }) => path.split("?")[0]))).toEqual(
        new Set(["/fhir/Patient"]),
      ); // the first pages alone
      await stranger.close();
    });

    test("L31: fails in every way a server can, and its texts do not leave", async ({ expect }) => {
      const statuses = [
        "204",
        "206",
        "400",
        "401",
        "403",
        "404",
        "405",
        "409",
        "410",
        "412",
        "422",
        "429",
        "500",
        "501",
        "503",
      ];
      const redirects = ["301", "302", "303", "307", "308"];
      const ids = [
        ...statuses.map((status) => `status-${status}`),
        ...redirects.map((status) => `redirect-${status}`),
      ];
      ids.push("html", "broken", "cut", "outcome");
      for (const id of ids) {
        const { status, all, headers, text } = await seen(`Patient/${id}`);
        expect(mentionsOf(origin.url, all), id).toEqual([]);
        expect(status, `${id}: ${text}`).toBeGreaterThanOrEqual(400);
        expect(JSON.parse(text), id).toMatchObject({ resourceType: "OperationOutcome" });
        for (const name of [
          "location",
          "content-location",
          "link",
          "etag",
          "server",
          "set-cookie",
          "last-modified",
          "via",
          "warning",
        ])
          expect(headers[name], `${id}: ${name}`).toBeUndefined();
      }
      expect(origin.requests.filter(({ path }) => path.includes("spelled-0")).length).toBeLessThanOrEqual(
        types.length,
      ); // no redirect was followed
    });
  },
);
