import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, test, vi } from "vitest";
import { checks } from "../../cli/deploy/checks.ts";
import { environmentSchema, type Environment } from "../../cli/deploy/environment.ts";
import { liveAt, liveFacts, type LivePlaces } from "../../cli/deploy/live.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { workerSecrets } from "../../cli/keys/made-keys.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const root = join(import.meta.dirname, "../..");
const database = { name: "phylax-registry-live", id: "1b671a64-40d5-491e-99b0-da01ff1f3341" };
let phylax: TestStack;
let deployment: Environment;
let places: LivePlaces;
const migrations = readdirSync(join(root, "migrations")).filter((name) => name.endsWith(".sql"));

beforeAll(async () => {
  phylax = await startTestStack({});
  const { dev } = phylax;
  const named = environmentSchema.parse({
    environment: "live",
    publicUrl: "https://fhir.hospital.org",
    opsUrl: "https://ops.hospital.org",
    ledgerUrl: "https://ledger.hospital.org",
    ledgerName: dev.ledgerName,
    shards: 4,
    database,
    bucket: "phylax-ledger",
    originHosts: [],
    auditors: [],
  });
  deployment = { ...named, publicUrl: dev.gateway, opsUrl: dev.ops, ledgerUrl: dev.ledger };
  places = {
    // Cloudflare's part, in the form in which wrangler 4 prints it.
    wrangler: async (kind) =>
      kind === "secret"
        ? Object.keys(workerSecrets.gateway).map((name) => ({ name }))
        : [{ results: migrations.map((name, id) => ({ id, name })), success: true }],
    get: async (url) => {
      if (!url.startsWith("https:")) return liveAt(root).get(url);
      const { status, headers, text } = await send(dev, undefined, url);
      return { status, date: headers.date, text };
    },
  };
  // The root log has a checkpoint soon after the first record, which the first request makes.
  await places.get(`${dev.gateway}/readyz`);
  await vi.waitUntil(async () => (await places.get(`${dev.ledger}/root/checkpoint`)).status === 200, {
    timeout: 50_000,
    interval: 500,
  });
});
afterAll(async () => {
  await phylax.close();
});

const facts = (
  changed: Partial<Environment> = {},
  asked: Partial<LivePlaces> = {},
  keys = [phylax.dev.root],
) => liveFacts({ ...deployment, ...changed }, root, join(root, "migrations"), keys, { ...places, ...asked });
type Facts = Awaited<ReturnType<typeof facts>>;
const wrongOf = (
  check: "answers" | "root key" | "clock" | "migrations" | "secrets present" | "half-year",
  found: Facts,
) => checks[check]({ deployment, expected: new Map(), written: new Map(), ...found });

test(
  "live checks of the running system: host names, root key, clock, applied migrations and shards of the half-year are good",
  { timeout: 120_000 },
  async ({ expect }) => {
    const found = await facts();
    for (const check of ["answers", "root key", "clock", "migrations", "half-year"] as const)
      expect(wrongOf(check, found), check).toEqual([]);
    expect(found.migrations?.applied.length).toBeGreaterThan(20);
    expect(wrongOf("secrets present", found)?.join("\n")).toContain("ledger has no secret CHECKPOINT_KEY");
  },
);

test(
  "a host of another worker, a closed port, a different key, a late clock and a new migration are found",
  { timeout: 120_000 },
  async ({ expect }) => {
    const swapped = await facts({ opsUrl: deployment.publicUrl, publicUrl: deployment.opsUrl });
    expect(swapped.answering).toHaveLength(2);
    const closed = await facts({ ledgerUrl: "http://127.0.0.1:9" });
    expect(wrongOf("answers", closed)?.join()).toMatch(/127\.0\.0\.1:9\/root\/checkpoint cannot be reached/u);
    expect(wrongOf("root key", closed), "not looked at").toBeUndefined();
    const [log] = Object.values(phylax.dev.logs);
    expect(wrongOf("root key", await facts({}, {}, [log ?? ""]))?.join()).toContain("signed by another key");
    const late = await facts(
      {},
      {
        get: async (url) => ({
          ...(await places.get(url)),
          date: new Date(Date.now() - 7_000).toUTCString(),
        }),
      },
    );
    expect(wrongOf("clock", late)?.join()).toMatch(/differs by -[67] s/u);
    const { halfYear } = await facts();
    const changed = { deployment: { ...deployment, shards: 5 }, expected: new Map(), written: new Map() };
    expect(checks["half-year"]({ ...changed, ...(halfYear && { halfYear }) })?.join()).toMatch(/"4".*"5"/u);
    const more = await liveFacts(deployment, root, join(root, "test/fixtures"), [], places);
    expect(wrongOf("migrations", more)?.join()).toContain("this version does not know it");
  },
);
