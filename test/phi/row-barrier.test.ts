import { test } from "vitest";
import { RowShareSpent } from "#fhir/search/row-work";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import type { JsonObject } from "#fhir/json/json";
import { Discloser } from "#phi/disclose";
import { RowBarrier } from "#fhir/row-barrier";
import type { Grant } from "#policy/grant";
import { Residences } from "#residence/row-residences";
import { policy, rule } from "../policy/granting.ts";
import { grantUnder } from "./consented.ts";

// Both engines hide a row whose judgement throws, alone, and the barrier counts it once.

const document = policy(rule(["Observation", "Patient"], "everything"));
const granted = (request: string) => grantUnder({ policy: document, consents: [] }, request);
const row = (id: string): JsonObject => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: id },
  subject: { reference: id === "bad" ? "Patient/bad" : "Patient/a" },
});
const bytes = (value: unknown) => utf8(JSON.stringify(value));
const entry = (resource: object, mode = "match") => bytes({ resource, search: { mode } });

/** The judges of a grant, each throwing for the row `bad`. */
const faulty = (name: "viewOf" | "viewIncluded" | "needsWhole" | "mustShow", fault: Error) =>
  function throwing<G extends Grant>(grant: G): G {
    const judge = grant[name] as ((...given: readonly unknown[]) => unknown) | undefined;
    return {
      ...grant,
      [name]: (...given: readonly unknown[]) => {
        if (JSON.stringify(given[0]).includes("Patient/bad")) throw fault;
        return judge?.(...given) ?? [];
      },
    };
  };

function disclosers(engine: "bytes" | "plain", fault: Error, judge: Parameters<typeof faulty>[0] = "viewOf") {
  const names: string[] = [];
  const barrier = new RowBarrier((name) => names.push(name));
  const bases = {
    origin: "https://origin.example/fhir",
    public: "https://gateway.example/v1/fhir/main",
    name: "main",
    residences: new Residences(instant(0)),
    barrier,
  };
  const of = (request: string) => new Discloser(faulty(judge, fault)(granted(request)), bases, [], engine);
  return { of, barrier, names };
}

const kindOf = (found: ReturnType<Discloser["entry"]>) => (found.ok ? found.value.kind : found.error.reason);

for (const engine of ["bytes", "plain"] as const) {
  test(`${engine}: a row of a page is hidden if one of its judges throws, and the rows around it are not`, ({
    expect,
  }) => {
    const { of, barrier, names } = disclosers(engine, new TypeError("secret"));
    const page = of("Observation");
    const kinds = ["one", "bad", "two", "bad"].map((id) => kindOf(page.entry(entry(row(id)), "Observation")));
    expect(kinds).toEqual(["match", "hidden", "match", "hidden"]);
    expect([barrier.unjudged, names]).toEqual([1, ["TypeError"]]);
  });

  test(`${engine}: an included row whose judgement throws is dropped`, ({ expect }) => {
    const { of, barrier } = disclosers(engine, new RowShareSpent(), "viewIncluded");
    const page = of("Observation");
    expect(kindOf(page.entry(entry(row("bad"), "include"), "Observation"))).toBe("dropped");
    expect(page.included(row("bad"), new Set(["x"]))).toBeUndefined();
    expect(barrier.unjudged).toBe(1);
  });

  test(`${engine}: a row that would decide an answer decides nothing if its judgement throws`, ({
    expect,
  }) => {
    const { of, barrier } = disclosers(engine, new RangeError());
    const page = of("Observation");
    expect([page.seen(row("one"))?.id, page.seen(row("bad"))]).toEqual(["one", undefined]);
    expect(barrier.unjudged).toBe(1);
  });

  test(`${engine}: a read, a version and a step of a history of such a row have one reason, and show nothing`, ({
    expect,
  }) => {
    const { of, barrier } = disclosers(engine, new RowShareSpent());
    const read = of("Observation/bad");
    const reasons = [
      read.read(bytes(row("bad")), "Observation", "bad"),
      read.current(bytes(row("bad")), "Observation", "bad"),
      read.version(bytes(row("bad")), bytes(row("bad")), { type: "Observation", id: "bad", version: "1" }),
    ].map((found) => (found.ok ? "shown" : found.error.reason));
    expect(reasons).toEqual(["row_unjudged", "row_unjudged", "row_unjudged"]);
    expect(read.step(row("bad"), row("bad"))).toBeUndefined();
    expect(barrier.unjudged).toBe(1);
    expect(of("Observation/one").read(bytes(row("one")), "Observation", "one").ok).toBe(true);
  });
}

test("a fault of the byte engine alone is named, and the plain engine judges the row", ({ expect }) => {
  const { of, barrier, names } = disclosers("bytes", new TypeError("secret"), "needsWhole");
  expect(kindOf(of("Observation").entry(entry(row("bad")), "Observation"))).toBe("match");
  expect([barrier.unjudged, names]).toEqual([0, ["TypeError"]]);
});

test("the barrier names each kind of fault once, and never a message", ({ expect }) => {
  const names: string[] = [];
  const barrier = new RowBarrier((name) => names.push(name));
  const fail = (fault: unknown) => () => {
    throw fault;
  };
  for (const id of ["1", "2", "2"])
    expect(barrier.judge({ type: "Patient", id }, fail(new RowShareSpent("secret")), "hidden")).toBe(
      "hidden",
    );
  expect(barrier.judge({ type: "Patient", id: "3" }, fail("secret"), "hidden")).toBe("hidden");
  expect(barrier.judge({ type: "Patient", id: "4" }, () => "shown", "hidden")).toBe("shown");
  expect([barrier.unjudged, names]).toEqual([3, ["RowShareSpent", "unknown"]]);
});
