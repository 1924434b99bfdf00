import { afterAll, describe, test } from "vitest";
import { openLedger } from "../support/auditor.ts";
import { anns, origins, rowsOf, startLeakScene } from "../support/leak-scene.ts";
import { fhirSending } from "../support/fhir-parts.ts";

// The classes of docs/leaks.md about paths, headers, forms, links and records. Each test goes through all
// workers, against the sandbox's origin and against an origin that ignores every question. A text with
// `canary` in it must not reach Ann's app.

const scene = await startLeakScene();
afterAll(() => scene.close());

describe.for(origins)("at the origin %s:", (origin) => {
  const { ask, asked, expectRefused } = scene.at(origin);

  test("L11: a path is rebuilt from its parts: an absolute URL, `//host`, dots and escapes lead nowhere", async ({
    expect,
  }) => {
    for (const path of [
      "http://127.0.0.1:1/fhir/Patient/ben",
      "//127.0.0.1/Patient/ben",
      "Patient/..%2fPatient%2fben",
      "Patient/ann%2F..%2Fben",
      "Patient/ann%00",

      "Observation/pulse%3Fpatient=ben",
      "Patient/ann;x=/ben",
    ]) {
      const before = asked().length;
      const reply = await ask(path);
      expect([400, 404], `${path} ${reply.status}`).toContain(reply.status);
      expect(asked().length, path).toBe(before);
    }
    // In a batch the gateway reads addresses itself, and folds no dot segments.
    for (const url of [
      "Observation/../Patient/ben",
      "Patient/..",
      "Patient/.",
      "Patient/%2e%2e",
      "Patient\\ben",
      "./Patient/ben",
    ]) {
      const before = asked().length;
      const entry = [{ request: { method: "GET", url } }];
      const body = JSON.stringify({ resourceType: "Bundle", type: "batch", entry });
      const reply = await ask("", "reader", {
        method: "POST",
        headers: { "content-type": "application/fhir+json" },
        body,
      });
      expect(reply.text, `${url} ${reply.status}`).not.toMatch(/canary|"status":"2/u);
      expect(asked().length, url).toBe(before);
    }
  });

  test("L12: no header, link or attachment that leaves has an address of the origin; the gateway fetches nothing from such an address", async ({
    expect,
  }) => {
    const host = new URL(origin === "main" ? scene.phylax.dev.origin : scene.ignoring.url).host;
    for (const path of [
      "DocumentReference/letter",
      "DocumentReference?patient=ann",
      "Observation/pulse",
      "Observation?_count=1",
      "Patient/ann/$everything",
    ]) {
      const reply = await ask(path);
      expect(reply.status, `${path} ${reply.text}`).toBe(200);
      expect(`${reply.text}${JSON.stringify(reply.headers)}`, path).not.toContain(host);
      for (const name of ["location", "content-location", "link", "x-served-by", "age", "etag"])
        expect(String(reply.headers[name] ?? ""), name).not.toMatch(/canary|W\//u);
    }
    await expectRefused(expect, [403], "Binary/file", "Binary");
  });

  test("L13: the texts of the origin's errors do not leave", async ({ expect }) => {
    for (const path of ["Observation/nothing", "Observation/bens-pulse/_history/77", "Practitioner/nobody"]) {
      const reply = await ask(path);
      expect(reply.status, path).toBe(404);
      expect(`${reply.text}${JSON.stringify(reply.headers)}`).not.toMatch(/canary|127\.0\.0\.1/u);
      expect(JSON.parse(reply.text)).toMatchObject({ resourceType: "OperationOutcome" });
    }
  });

  test("L15: a search at the base finds the rows of searches, and the base has no page and no parameter next to a batch", async ({
    expect,
  }) => {
    await expectRefused(expect, [400, 403, 404], "?_id=bens-pulse", "_history", "?_getpages=x");
    for (const path of ["?_getpages=x", "?_type=Patient"]) {
      const before = asked().length;
      const reply = await ask(path, "reader", {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "_id=bens-pulse",
      });
      expect([400, 403, 415], `${path} ${reply.status}`).toContain(reply.status);
      expect(asked().length, path).toBe(before);
    }
    const others = await ask("?_type=Observation,Condition&_id=bens-pulse");
    expect([others.status, rowsOf(others)], "a row of a different patient").toEqual([200, []]);
    for (const path of ["?_type=Observation", "?_type=Observation,Encounter"]) {
      const reply = await ask(path);
      expect(
        rowsOf(reply).filter((one) => one.startsWith("Observation/")),
        path,
      ).toEqual(anns);
      expect(reply.text).not.toContain("canary");
    }
    const posted = await ask("_search?_type=Observation", "reader", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "_id=bens-pulse",
    });
    expect(rowsOf(posted)).toEqual([]);
  });

  test("L19: there is no GraphQL", async ({ expect }) => {
    await expectRefused(
      expect,
      [400],
      "$graphql?query={Patient(id:ben){name{family}}}".replaceAll(/[{}]/gu, encodeURIComponent),
      "Patient/ann/$graphql?query=x",
    );
  });

  test("L29: a HEAD is judged and recorded as its GET; ETags are computed from the released text, and no validator of the origin leaves", async ({
    expect,
  }) => {
    const got = await ask("Observation/pulse");
    const head = await ask("Observation/pulse", "reader", { method: "HEAD" });
    expect([head.status, head.text, head.headers["etag"]]).toEqual([200, "", got.headers["etag"]]);
    const tag = String(got.headers["etag"]);
    expect(tag).toMatch(/^"[\w-]{32}"$/u);
    const known = await ask("Observation/pulse", "reader", { headers: { "if-none-match": tag } });
    expect([known.status, known.text]).toEqual([304, ""]);
    expect((await ask("Observation/pulse", "reader", { headers: { "if-none-match": 'W/"1"' } })).status).toBe(
      200,
    );
    expect(
      (await ask("Observation/bens-pulse", "reader", { headers: { "if-none-match": `*` } })).status,
    ).toBe(404);
    for (const name of ["last-modified", "age", "content-location"])
      expect(got.headers, name).not.toHaveProperty(name);
    const records = await openLedger(scene.phylax.dev);
    for (const { headers } of [head, known]) {
      const event = records.find(({ event }) => event.id === headers["x-request-id"])?.event;
      expect(event).toMatchObject({ kind: "disclosure", patients: [{ patient: `${origin}/Patient/ann` }] });
    }
  });

  test("L30: no cache may store an answer", async ({ expect }) => {
    for (const path of [
      "Observation/pulse",
      "Observation",
      "Observation/nothing",
      "Patient?telecom=1",
      "metadata",
      "Patient/ann/$everything",
    ])
      expect((await ask(path)).headers["cache-control"], path).toBe("no-store");
  });

  test("L34: headers that state an identity or a consent have no effect, and reach no origin", async ({
    expect,
  }) => {
    const headers = {
      "x-patient-id": "ben",
      "x-consent-scope": "all",
      "x-audit": "off",
      "x-forwarded-user": "admin",
      "x-forwarded-host": "evil.example",
      "client-cert": ":AAAA:",
      "x-tenant": "x",
      "x-http-method-override": "DELETE",
    };
    expect(rowsOf(await ask("Observation", "reader", { headers }))).toEqual(anns);
    expect((await ask("Observation/bens-pulse", "reader", { headers })).status).toBe(404);
    expect(asked().some((line) => line.startsWith("DELETE"))).toBe(false);
  });

  test("L35: only strict JSON is answered, unchanged: no further form, no second reading, decimals by their digits", async ({
    expect,
  }) => {
    await expectRefused(
      expect,
      [406],
      "Observation/pulse?_format=xml",
      "Observation?_format=application/fhir%2Bxml",
      "Observation?_format=html",
      "Observation/pulse?_format=ttl",
    );
    for (const accept of ["application/fhir+xml", "text/html"])
      expect((await ask("Observation/pulse", "reader", { headers: { accept } })).status, accept).toBe(406);
    expect(
      (await ask("Observation/weight", "reader", { headers: { "accept-encoding": "gzip" } })).text,
    ).toContain('"valueQuantity":{"value":66.5');
  });

  test("L36: no subscription, no file by a link, and an export of the client's own rows alone", async ({
    expect,
  }) => {
    await expectRefused(
      expect,
      [400, 403, 404],
      "Group/x/$export",
      "Subscription",
      "Subscription/x",
      "$export-poll-status",
      "Binary/file",
    );
    const begun = await ask("$export?_type=Patient");
    const manifest = await ask(String(begun.headers["content-location"]));
    const [, url = ""] = /"url":"([^"]+\$export-file[^"]+)"/u.exec(manifest.text) ?? [];
    const file = await ask(url);
    expect([file.status, file.text.match(/"resourceType":"Patient","id":"(\w+)"/gu)?.length]).toEqual([
      200, 1,
    ]);
    const create = await ask("Subscription", "app", fhirSending("POST", { resourceType: "Subscription" }));
    expect(create.status).toBe(403);
  });

  test("L38: the record of a search has the named patients, sealed; the public part has neither name nor id", async ({
    expect,
  }) => {
    const reply = await ask("Observation?patient=ben");
    const event = (await openLedger(scene.phylax.dev)).find(
      ({ event }) => event.id === reply.headers["x-request-id"],
    )?.event;
    expect(event).toMatchObject({ who: { patient: "ann" } });
    for (const log of Object.keys(scene.phylax.dev.logs))
      for (const object of ["checkpoint", "frame/0", "tile/0/000"]) {
        const answer = await fetch(`${scene.phylax.dev.ledger}/${log}/${object}`);
        expect(Buffer.from(await answer.arrayBuffer()).toString("latin1"), object).not.toMatch(
          /canary|Adams|Patient\/(?:ann|ben)/u,
        );
      }
  });
});
