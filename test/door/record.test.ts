import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import { eventsOf, openLedger } from "../support/auditor.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { send } from "../../cli/connection/mutual-tls.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());
afterEach(() => void vi.useRealTimers());

test("a disclosure's record names client, certificate, token, purpose, agreement, policy, question and every patient", async ({
  expect,
}) => {
  const reply = await phylax.ask("payer", "Observation?patient=amara-okafor");
  const entries: { entry?: unknown[] } = JSON.parse(reply.text);
  const [event, ...more] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  expect(more).toEqual([]);
  expect(event).toMatchObject({
    kind: "disclosure",
    who: {
      client: "payer",
      certificate: expect.stringMatching(/^[\w-]{43}$/u),
      issuer: phylax.dev.gateway,
      tokenId: expect.any(String),
    },
    what: {
      interaction: "search-type",
      origin: "main",
      type: "Observation",
      parameters: [["patient", "amara-okafor"]],
      method: "GET",
    },
    why: {
      purposes: ["HPAYMT"],
      agreement: "payer-agreement",
      policy: expect.stringMatching(/^sha256:/u),
      grant: "payer/main/HPAYMT",
    },
    outcome: { status: 200 },
    counts: { Observation: entries.entry?.length },
  });
  expect(event?.patients).toContainEqual({
    patient: "main/Patient/amara-okafor",
    counts: { Observation: expect.any(Number) },
  });
  expect(event?.withheld?.paths?.length).toBeGreaterThan(0);
});

test("a refusal's record has the reason that the caller does not get", async ({ expect }) => {
  const token = await phylax.token("payer");
  const stolen = await send(
    phylax.dev,
    phylax.client("telehealth"),
    `${phylax.dev.fhir}/Patient/amara-okafor`,
    {
      headers: { authorization: `Bearer ${token}` },
    },
  );
  const hidden = await phylax.ask("payer", "Patient?birthdate=1984-03-12&phone=555");
  const chained = await phylax.ask("payer", "Observation?patient.name=x");
  const told = [stolen, hidden, chained].map(({ text }) => text).join();
  for (const [reply, reason] of [
    [stolen, "certificate_mismatch"],
    [hidden, "parameter_hidden"],
    [chained, "parameter_hidden"],
  ] as const) {
    const [event] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect(event).toMatchObject({ kind: "refusal", outcome: { status: reply.status, reason }, patients: [] });
    expect(told).not.toContain(reason);
  }
});

test("a token's issue is on record, and so is its refusal", async ({ expect }) => {
  await phylax.token("public-health");
  await expect(phylax.token("lapsed")).rejects.toThrow(/unauthorized_client/u);
  const events = (await openLedger(phylax.dev)).map(({ event }) => event);
  expect(events).toContainEqual(
    expect.objectContaining({ kind: "token", who: expect.objectContaining({ client: "public-health" }) }),
  );
  expect(events).toContainEqual(
    expect.objectContaining({ kind: "refusal", outcome: { status: 400, reason: "agreement_expired" } }),
  );
});

test("a quota is exact through the whole gateway, and its end is a 429 with the time to come back", async ({
  expect,
}) => {
  const quotas = { default: { requests: 5, windowSeconds: 3_600 } };
  const policy = (
    await eventsOf(
      phylax.dev,
      (await phylax.ask("public-health", "Patient/amara-okafor")).headers["x-request-id"],
    )
  )[0]?.why?.policy;
  await phylax.applyRegistry({
    grants: [
      {
        client: "public-health",
        origin: "main",
        purpose: "PUBHLTH",
        agreement: "public-health-agreement",
        policy,
        scopes: "system/*.rs",
        quotas,
      },
    ],
  });
  // The change reaches the gateway within its hard limit of ten seconds. The guard then counts by the newer
  // quota.
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(Date.now() + 10_000);
  expect((await phylax.ask("payer", "Patient/amara-okafor")).status, "a second client goes on").toBe(200);
  const probe = await phylax.ask("public-health", "Patient/absent");
  expect(probe.headers["ratelimit-policy"]).toContain("q=5;");
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => phylax.ask("public-health", "Patient/amara-okafor")),
  );
  const granted = replies.filter(({ status }) => status === 200).length;
  expect(granted).toBeLessThanOrEqual(5);
  const refused = replies.find(({ status }) => status === 429);
  expect(refused?.headers).toMatchObject({ ratelimit: expect.stringMatching(/^"default";r=0;t=\d+$/u) });
  const [, t] = /t=(\d+)/u.exec(String(refused?.headers["ratelimit"])) ?? [];
  expect(Number(refused?.headers["retry-after"])).toBeGreaterThanOrEqual(Number(t));
  expect(JSON.parse(refused?.text ?? "{}")).toMatchObject({
    resourceType: "OperationOutcome",
    issue: [{ code: "throttled" }],
  });
});
