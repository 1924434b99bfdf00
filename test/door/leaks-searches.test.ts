import { afterAll, describe, test } from "vitest";
import { anns, bundleOf, origins, rowsOf, startLeakScene } from "../support/leak-scene.ts";

// The classes of docs/leaks.md about searches: parameters, joins, included resources and paging. Each test
// goes through all workers, against the sandbox's origin and against an origin that ignores every question.
// A text with `canary` in it must not reach Ann's app.

const scene = await startLeakScene();
afterAll(() => scene.close());

describe.for(origins)("at the origin %s:", (origin) => {
  const { ask, askWith, asked, base, expectRefused } = scene.at(origin);

  test("L4: an included resource is judged like a requested resource: by hop, by type, by row; `*` and `:iterate` add nothing", async ({
    expect,
  }) => {
    for (const query of [
      "_include=*",
      "_include=Observation:*",
      "_include=Observation:encounter&_include=Observation:performer&_include:iterate=Encounter:practitioner",
      "_include=Observation:encounter&_include=Observation:focus:Patient",
    ]) {
      const reply = await ask(`Observation?${query}`);
      expect(reply.status, reply.text).toBe(200);
      expect(reply.text, query).not.toContain("canary");
      const brought = rowsOf(reply).filter((one) => one.startsWith("+"));
      expect(["+Encounter/visit", "+Patient/ann", "+Practitioner/vera"], brought.join()).toEqual(
        expect.arrayContaining(brought),
      );
    }
    expect(rowsOf(await ask("Encounter?_revinclude=Observation:encounter"))).toEqual([
      "+Observation/pulse",
      "Encounter/visit",
    ]);
    // every type means the types that policy and scopes let through
    expect(rowsOf(await ask("Encounter?_revinclude=*"))).toEqual(["+Observation/pulse", "Encounter/visit"]);
    expect(
      rowsOf(await ask("Patient?_revinclude=Observation:subject")).filter((one) => one.startsWith("+")),
    ).toEqual(anns.map((one) => `+${one}`));
    await expectRefused(
      expect,
      [400, 403],
      "Observation?_include=Observation:device",
      "Patient?_include=Patient:organization",
      "Patient?_revinclude=DiagnosticReport:subject",
      "Patient?_revinclude=AuditEvent:patient",
    );
  });

  test("L5: a chain, a `_has` or a sort through a hidden element is refused before the origin gets a request; a permitted chain finds her own rows alone", async ({
    expect,
  }) => {
    // `odd` was at another patient's visit
    expect(rowsOf(await ask("Observation?encounter.status=finished"))).toEqual(["Observation/pulse"]);
    expect(rowsOf(await ask("Encounter?_has:Observation:encounter:code=8867-4"))).toEqual([
      "Encounter/visit",
    ]);
    expect(rowsOf(await ask("Patient?_has:Observation:patient:code=8867-4"))).toEqual(["Patient/ann"]);
    await expectRefused(
      expect,
      [400, 403],
      "Observation?performer:Practitioner.family=canary-Otto",
      "Patient?general-practitioner:Practitioner.name=Vera",
      "Observation?patient.telecom=canary",
      "Observation?patient.address-city=canary",
      "Patient?_has:Observation:patient:_text=canary",
      "Patient?_has:DiagnosticReport:subject:performer=Practitioner/otto",
      "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=x",
      "Observation?patient.organization.name=x",
      "Observation?_sort=patient.name",
    );
    const scope = { scope: "patient/Observation.rs?code:in=http://x", patient: "ann" };
    // the gateway cannot enforce the scope's condition, so the scope grants nothing
    expect((await askWith("reader", scope, "Observation")).status).toBe(403);
    // The policy hides the gender: rows found by it would reveal it.
    for (const gender of ["female", "male"]) {
      const before = asked().length;
      const byHidden = { scope: `patient/Patient.rs?gender=${gender}`, patient: "ann" };
      expect((await askWith("reader", byHidden, "Patient")).status).toBe(403);
      expect((await askWith("reader", byHidden, "Patient/ann")).status).toBe(403);
      expect(asked().slice(before)).toEqual([]);
    }
    const byVisit = { scope: "patient/Observation.rs?encounter=Encounter/visit", patient: "ann" };
    expect(rowsOf(await askWith("reader", byVisit, "Observation"))).toEqual(["Observation/pulse"]);
  });

  test("L7: a hidden element can be neither searched nor sorted by, nor reached by text search or filters", async ({
    expect,
  }) => {
    for (const who of ["reader", "staff"] as const)
      for (const path of [
        "Patient?telecom=canary-phone-of-ann",
        "Patient?address-city=canary-city-of-ann",
        "Patient?given=canary-given-of-ann",
        "Patient?name=canary-given-of-ann",
        "Patient?gender=female",
        "Patient?identifier=canary-ssn-of-ann",
        "Patient?identifier=urn:ssn|canary-ssn-of-ann",
        "Patient?identifier:missing=true",
        "Patient?_sort=address-city",
        "Patient?_filter=name eq x",
        "Patient?_text=canary",
        "Observation?_content=canary",
        "Observation?_query=x",
        "Observation?method:missing=false",
        "Observation?_security=R",
        "Observation?_lastUpdated=gt2020-01-01",
      ]) {
        const before = asked().length;
        const reply = await ask(path.replaceAll(" ", "%20").replaceAll("|", "%7C"), who);
        expect([400, 403], `${path} ${reply.status}`).toContain(reply.status);
        expect(asked().length, path).toBe(before);
      }
    // ADR 123: a parameter of R4 over a hidden element stays refused; a name that is none finds what was found without it
    const lenient = { headers: { prefer: "handling=lenient" } };
    expect((await ask("Patient?telecom=canary-phone-of-ann", "reader", lenient)).status).toBe(403);
    expect(rowsOf(await ask("Observation?favourite=1", "reader", lenient))).toEqual([
      ...rowsOf(await ask("Observation", "reader")),
      "OperationOutcome/undefined",
    ]);
    expect(rowsOf(await ask("Patient?identifier=urn:mrn%7Cmrn-ann"))).toEqual(["Patient/ann"]);
  });

  test("L8: neither a total, a count nor the length of a page reveals hidden rows", async ({ expect }) => {
    for (const path of ["Observation?_total=estimate&_count=3", "Observation?_summary=true&_count=3"])
      expect(bundleOf(await ask(path)), path).not.toHaveProperty("total");
    for (const path of [
      "Observation?_summary=count",
      "Observation?_count=0",
      "Observation?_total=accurate&_count=1",
    ]) {
      expect(bundleOf(await ask(path)).total, path).toBe(anns.length);
      const reply = await ask(path, "staff");
      expect([reply.status, reply.text.includes("Name the patients")], path).toEqual([400, true]);
    }
    expect(bundleOf(await ask("Observation?_summary=count")).entry).toBeUndefined();
    const whole = bundleOf(await ask("Observation"));
    expect(whole.total).toBe(anns.length); // the number of her rows
    const first = bundleOf(await ask("Observation?_count=3"));
    expect(first.entry).toHaveLength(3);
    expect(first).not.toHaveProperty("total");
    const next = bundleOf(await ask(first.link.find(({ relation }) => relation === "next")?.url ?? ""));
    expect(next.entry).toHaveLength(1);
    expect(next.link.some(({ relation }) => relation === "next")).toBe(false);
    expect(bundleOf(await ask("Observation?_count=4")).link.some(({ relation }) => relation === "next")).toBe(
      false,
    ); // the rows after it are hidden
  });

  test("L10: a link to a further page is the gateway's own, sealed to its client and patient, and judged anew", async ({
    expect,
  }) => {
    const first = bundleOf(await ask("Observation?_count=2", "reader"));
    const next = first.link.find(({ relation }) => relation === "next")?.url ?? "";
    expect(next.startsWith(`${base}/Observation?`)).toBe(true);
    expect((await ask(next, "reader")).status).toBe(200);
    for (const who of ["app", "ben", "staff"] as const) expect((await ask(next, who)).status, who).toBe(410);
    expect((await askWith("reader", { scope: "patient/*.rs", patient: "ben" }, next)).status).toBe(410);
    expect((await askWith("reader", { scope: "patient/Condition.rs", patient: "ann" }, next)).status).toBe(
      403,
    );
    expect((await ask(`${next.slice(0, -2)}xx`, "reader")).status).toBe(410);
    await expectRefused(
      expect,
      [400, 403, 404, 410],
      "?_getpages=1&_getpagesoffset=2",
      "Observation?_page=2",
      "Observation?page=2",
    );
  });

  test("L16: a posted search is the same search: body and URL are read as one, narrowed and judged", async ({
    expect,
  }) => {
    const post = (path: string, body: string, type = "application/x-www-form-urlencoded") =>
      ask(path, "reader", { method: "POST", headers: { "content-type": type }, body });
    expect(rowsOf(await post("Observation/_search", ""))).toEqual(anns);
    expect(rowsOf(await post("Observation/_search?patient=ann", "patient=ben"))).toEqual([]);
    expect(rowsOf(await post("Observation/_search?patient=ben", "patient=ann"))).toEqual([]);
    expect((await post("Observation/_search?_count=1", "_count=2")).status).toBe(400);
    expect((await post("Observation/_search?code=8867-4", "_include=Observation:device")).status).toBe(403);
    expect((await post("Patient/_search", "telecom=canary-phone-of-ann")).status).toBe(403);
    expect([400, 415]).toContain((await post("Observation/_search", "{}", "application/json")).status);
  });

  test("L17: a repeated parameter, a parameter with several values or with a modifier narrows and never widens", async ({
    expect,
  }) => {
    expect(rowsOf(await ask("Observation?patient=ann,ben"))).toEqual(anns);
    expect(rowsOf(await ask("Observation?patient=ben&patient=ann"))).toEqual([]);
    expect(rowsOf(await ask("Observation?subject:Patient=ben"))).toEqual([]);
    expect(rowsOf(await ask("Observation?subject:Patient=ann"))).toEqual(anns);
    // the reference's own identifier, not the identifier of the Patient to whom it leads
    for (const id of ["ann", "ben"])
      expect(rowsOf(await ask(`Observation?subject:identifier=urn:mrn%7Cmrn-${id}`))).toEqual([]);
    await expectRefused(
      expect,
      [400],
      "Observation?patient:not=ann",
      "Observation?subject:missing=true",
      "Appointment?patient:missing=true",
      "Appointment?actor:missing=false",
      "Patient?_id:missing=false",
      "Observation?_security:not=R",
      "Observation?subject:above=mrn-ben",
      "Observation?patient:above=ben",
      "Observation?_id:not=pulse",
      "Observation?_count=1&_count=2",
    );
  });

  test("L21: a client's projection neither widens the view nor removes an element that the decision needs", async ({
    expect,
  }) => {
    for (const path of [
      "Observation?_elements=note,subject",
      "Observation?_elements=subject",
      "Observation/bens-pulse?_elements=status",
      "Patient/ann?_elements=telecom",
      "Patient/ann?_summary=text",
      "Patient/ann?_summary=true",
      "Patient?_summary=data&_elements=telecom",
      "Observation?_summary=true&_include=Observation:subject",
      "Patient?_fhirpath=telecom",
      "Observation?_summary=data",
    ]) {
      const reply = await ask(path);
      expect([200, 400, 403, 404], path).toContain(reply.status);
      expect(reply.text, path).not.toContain("canary");
    }
    expect(JSON.stringify(asked())).not.toMatch(/_summary|_elements/u);
  });
});
