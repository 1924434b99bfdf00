import { env, exports } from "cloudflare:workers";
import { beforeEach, test } from "vitest";
import { probeStates } from "#platform/origins/probe-states";
import { emptyRegistry } from "./registry.ts";

const desk = exports.RegistryDesk;
const entry = {
  name: "main",
  url: "http://127.0.0.1:9/fhir",
  credentials: { kind: "none" },
  capabilities: { strict: true, updateAsCreate: true },
};
const findings = (capabilities: object, wrote = false) => ({
  origin: "main",
  url: entry.url,
  wrote,
  members: { capabilities: { types: {}, ...capabilities } },
  missing: [],
});
const states = () => probeStates(env.REGISTRY);

beforeEach(async () => {
  await emptyRegistry();
  await desk.apply({ origins: [entry] });
});

test("the last probe of an origin is stored with what it found less, until its entry changes or is removed", async ({
  expect,
}) => {
  expect(await states()).toEqual({ main: "never" });
  const less = await desk.probed(findings({ strict: false }), "ada");
  expect(less).toEqual({ ok: true, value: { origin: "main", otherwise: ["capabilities/strict"] } });
  expect(await states()).toEqual({ main: "otherwise" });
  await desk.probed(findings({ strict: true }), "ada");
  expect(await states()).toEqual({ main: "as_registered_reading" });
  await desk.probed(findings({ strict: true, updateAsCreate: true }, true), "ada");
  expect(await states()).toEqual({ main: "as_registered" });
  await desk.apply({ origins: [{ ...entry, acceptsSearchInUrl: true }] }, "replace");
  expect(await states(), "the entry changed after its probe").toEqual({ main: "never" });
  await desk.probed(findings({}), "ada");
  await env.REGISTRY.prepare("DELETE FROM origins").run();
  expect(await states()).toEqual({});
  expect(await env.REGISTRY.prepare("SELECT count(*) AS n FROM origin_probes").first("n")).toBe(0);
});

test("each parameter that a server states is on record as proven, stated or refused, with when, by whom and how", async ({
  expect,
}) => {
  const types = { Observation: { interactions: ["search-type"], search: ["code", "date"] } };
  const document = {
    ...findings({ types }, true),
    missing: ["Observation:subject"],
    unproven: ["Observation:date"],
  };
  expect(await desk.probes()).toEqual([]);
  const before = Date.now();
  await desk.probed(document, "ada");
  const [probe, ...more] = await desk.probes();
  expect(more).toEqual([]);
  expect(probe).toEqual({
    origin: "main",
    at: expect.any(Number),
    by: "ada",
    how: "writing",
    otherwise: [],
    parameters: {
      proven: ["Observation:code"],
      stated: ["Observation:date"],
      refused: ["Observation:subject"],
    },
  });
  expect(probe?.at).toBeGreaterThanOrEqual(before);
  await desk.probed(findings({}), "ben");
  expect(await desk.probes(), "of the last probe alone").toMatchObject([
    { by: "ben", how: "reading", parameters: { proven: [], stated: [], refused: [] } },
  ]);
  await desk.apply({ origins: [{ ...entry, acceptsSearchInUrl: true }] }, "replace");
  expect(await desk.probes(), "the entry changed").toEqual([]);
});

test("a probe of an origin that is not registered, or of another form, is refused and stores nothing", async ({
  expect,
}) => {
  const unknown = await desk.probed({ ...findings({}), origin: "aside" }, "ada");
  expect(unknown).toMatchObject({ ok: false, error: { reason: "invalid", pointer: "/origin" } });
  for (const [document, pointer] of [
    [{ ...findings({}), more: 1 }, ""],
    [findings({ everything: "perhaps" }), "/members/capabilities/everything"],
    [{ ...findings({}), missing: ["Patient"] }, "/missing/0"],
    [undefined, ""],
    [{ ...findings({}), members: {} }, "/members/capabilities/types"],
    [{ ...findings({}), url: "https://elsewhere.example/fhir" }, "/url"],
  ] as const)
    expect(await desk.probed(document, "ada")).toMatchObject({
      ok: false,
      error: { reason: "invalid", pointer },
    });
  expect(await states()).toEqual({ main: "never" });
});
