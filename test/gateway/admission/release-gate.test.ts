import { test } from "vitest";
import type { ClientRecord } from "#identity/client";
import { denialName } from "#identity/denial";
import type { ProvenToken } from "#identity/token";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import type { Limiter, Spend } from "#limits/ports";
import { AdditionalPatients } from "#phi/additional-patients";
import { authenticate } from "#gateway/admission/authenticate";
import type { Call } from "#gateway/http/admit";
import { ReleaseGate } from "#gateway/admission/release-gate";
import { at, clientRecord, fhirBase, presented, publicUrl } from "../../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("telehealth");
const hour = 3_600_000;
const registered = clientRecord([], {
  certificates: [{ x5t, from: undefined, to: instant(at + 2 * hour) }],
  agreements: [{ id: "baa", purposes: ["TREAT"], from: instant(at - hour), to: instant(at + hour) }],
});
const [grant] = registered.grants;
if (grant === undefined) throw new Error("a test's own mistake");
const policyDigest = `sha256:${"0".repeat(64)}`;
const record: ClientRecord = { ...registered, grants: [{ ...grant, policyDigest }] };
const token: ProvenToken = {
  issuer: publicUrl,
  issuedHere: true,
  namesBase: true,
  patient: undefined,
  user: undefined,
  subject: "telehealth",
  client: "telehealth",
  id: "jti",
  expires: instant(at + 5 * hour),
  scopes: [{ context: "system", type: "*", permissions: ["r", "s"], filters: [] }],
  purposes: ["TREAT"],
  keyId: "token-1",
  binding: { kind: "certificate", x5t },
};
const budget = { policy: "default", limit: 10, windowSeconds: 60, remaining: 9, resetSeconds: 60 } as const;

/** Everything that may change between the beginning of a request and its release. */
function world(onSpend: (spends: readonly Spend[]) => void = () => {}) {
  const state = {
    at: at as number,
    client: record as ClientRecord | undefined,
    registryDown: false,
    denied: new Set<string>() as ReadonlySet<string>,
    asks: 0,
  };
  const limiter: Limiter = {
    spend: async (spends, revoked) => {
      onSpend(spends);
      const refusal = revoked(state.denied);
      return refusal === undefined ? ok([]) : err(refusal);
    },
    renew: async (_spend, revoked) => {
      const refusal = revoked(state.denied);
      return refusal === undefined ? ok({ ...budget, livesUntil: at }) : err(refusal);
    },
  };
  const call = (time: number): Call => ({
    id: "0".repeat(32),
    at: instant(time),
    method: "GET",
    origin: "main",
    segments: ["Patient", "1"],
    query: "",
    path: "/v1/fhir/main/Patient/1",
    scheme: "bearer",
    // the verifier below knows it
    token: { reveal: () => "token" } as NonNullable<Call["token"]>,
    proof: undefined,
    tlsClientAuth,
    purpose: undefined,
    mediaType: "application/fhir+json",
    traceId: undefined,
  });
  const begin = async (changes: Partial<Call> = {}) => {
    const who = await authenticate(
      { ...call(state.at), ...changes },
      {
        tokens: { verify: async () => ok(token) },
        proofs: { verify: () => Promise.reject(new Error("unused")), nonce: () => "" },
        clients: {
          find: async () => {
            state.asks += 1;
            if (state.registryDown) throw new Error("registry");
            return state.client;
          },
          findExternal: async () => undefined,
        },
        askedUrl: publicUrl,
        audienceOf: fhirBase,
      },
      () => undefined,
    );
    return who.ok
      ? ok({
          who: who.value.who,
          gate: new ReleaseGate(who.value, undefined, { limiter, clock: () => instant(state.at) }),
        })
      : who;
  };
  return { state, begin };
}

/** What the client is told at the release, after a change since the beginning, and at its next request. */
async function saidAfter(change: (state: ReturnType<typeof world>["state"]) => void) {
  const { state, begin } = world();
  for (let n = 0; n < 2; n += 1) if (!(await begin()).ok) throw new Error("refused from the start");
  const begun = await begin(); // from memory
  if (!begun.ok || !(await begun.value.gate.spendRequest()).ok) throw new Error("refused from the start");
  if (!(await begun.value.gate.stillGood()).ok) throw new Error("refused without a change");
  change(state);
  const released = await begun.value.gate.stillGood();
  const next = await begin();
  const admitted = next.ok ? await next.value.gate.spendRequest() : next;
  return [released, admitted].map((result) => (result.ok ? "ok" : result.error.reason));
}

test("an unchanged principal is the same object at each request, and the registry is asked each time", async ({
  expect,
}) => {
  const { state, begin } = world();
  const [first, second] = [await begin(), await begin()];
  if (!first.ok || !second.ok) throw new Error("refused");
  expect(second.value.who).toBe(first.value.who);
  const before = state.asks;
  expect((await second.value.gate.stillGood()).ok).toBe(true);
  expect(state.asks).toBe(before + 1);
  state.client = { ...record }; // read anew, equal
  const third = await begin();
  expect(third).toMatchObject({ ok: true, value: { who: first.value.who } });
  expect((await second.value.gate.stillGood()).ok).toBe(true);
});

test("T21: a remembered token proves nobody with another certificate, at another base or for another purpose", async ({
  expect,
}) => {
  const { begin } = world();
  for (const [changes, reason] of [
    [{ tlsClientAuth: presented("thief").tlsClientAuth }, "certificate_mismatch"],
    [{ tlsClientAuth: undefined }, "certificate_missing"],
    [{ origin: "laboratory" }, "grant_missing"],
    [{ purpose: "HPAYMT" }, "purpose_not_granted"],
  ] as const) {
    expect((await begin()).ok).toBe(true);
    expect(await begin(changes)).toMatchObject({ ok: false, error: { reason } });
  }
  expect((await begin()).ok).toBe(true);
});

test.for<[string, Partial<ClientRecord> | undefined, string]>([
  ["is suspended", { status: "suspended" }, "client_suspended"],
  ["is deleted", undefined, "client_unknown"],
  ["loses its grant", { grants: [] }, "grant_missing"],
  ["loses its agreement", { agreements: [] }, "purpose_not_in_agreement"],
  ["loses its certificate", { certificates: [] }, "certificate_not_registered"],
  ["must bind tokens to a key", { tokensBoundTo: "key", certificates: [] }, "binding_mismatch"],
])("a client that %s between begin and release is refused", async ([, change, reason], { expect }) => {
  const said = await saidAfter((state) => {
    state.client = change && { ...record, ...change };
  });
  expect(said).toEqual([reason, reason]);
});

test("a grant that names another policy between begin and release releases nothing, and serves the next request", async ({
  expect,
}) => {
  const said = await saidAfter((state) => {
    state.client = { ...record, grants: [{ ...grant, policyDigest: "sha256:2" }] };
  });
  expect(said).toEqual(["grant_missing", "ok"]);
});

test.for([
  ["the agreement", hour, "agreement_expired"],
  ["the certificate's registration", 2 * hour, "certificate_outside_validity"],
  ["the token", 5 * hour, "token_expired"],
] as const)("the end of %s between begin and release refuses", async ([what, end, reason], { expect }) => {
  const lasting = {
    ...record,
    agreements: record.agreements.map((each) => ({ ...each, to: instant(at + 9 * hour) })),
  };
  const unending = { ...lasting, certificates: [{ x5t, from: undefined, to: undefined }] };
  const { state, begin } = world();
  state.client = what === "the agreement" ? record : what === "the token" ? unending : lasting;
  await begin();
  const begun = await begin();
  if (!begun.ok) throw new Error("refused from the start");
  state.at = at + end - 1;
  expect((await begun.value.gate.stillGood()).ok).toBe(true);
  state.at = at + end;
  expect(await begun.value.gate.stillGood()).toMatchObject({ ok: false, error: { reason } });
});

test("a clock that steps back is judged anew: an agreement that has not begun refuses", async ({
  expect,
}) => {
  const { state, begin } = world();
  await begin();
  state.at = at - 2 * hour;
  expect(await begin()).toMatchObject({ error: { reason: "agreement_not_yet_in_force" } });
});

test.for([
  ["client", { kind: "client", client: "telehealth" }, "client_denied"],
  ["certificate", { kind: "certificate", x5t }, "certificate_denied"],
  ["key", { kind: "key", issuer: publicUrl, keyId: "token-1" }, "key_denied"],
  ["token", { kind: "token", issuer: publicUrl, id: "jti", until: at }, "token_denied"],
  ["agreement", { kind: "agreement", client: "telehealth", agreement: "baa" }, "agreement_denied"],
  ["grant", { kind: "grant", client: "telehealth", origin: "main", purpose: "TREAT" }, "grant_denied"],
  ["policy", { kind: "policy", digest: policyDigest }, "policy_denied"],
  ["person", { kind: "person", issuer: publicUrl, subject: "telehealth" }, "person_denied"],
] as const)(
  "P4: a denial of the %s between begin and release refuses, also a remembered token",
  async ([, denial, reason], { expect }) => {
    const said = await saidAfter((state) => {
      state.denied = new Set(["other", denialName(denial)]);
    });
    expect(said).toEqual([reason, reason]);
  },
);

test("a denial that concerns other callers refuses nothing, and its lifting nothing either", async ({
  expect,
}) => {
  const said = await saidAfter((state) => {
    state.denied = new Set([denialName({ kind: "client", client: "somebody" })]);
  });
  expect(said).toEqual(["ok", "ok"]);
});

test("nothing is released while the registry cannot be read", async ({ expect }) => {
  await expect(saidAfter((state) => (state.registryDown = true))).rejects.toThrow("registry");
});

test("a question that is judged again spends what the earlier judgement spent only once", async ({
  expect,
}) => {
  const spent: string[] = [];
  const counting = {
    ...record,
    grants: [{ ...grant, policyDigest, quotas: { ...grant.quotas, records: grant.quotas.default } }],
  };
  const { state, begin } = world((spends) => {
    for (const { policy, many } of spends) spent.push(`${policy} ${many}`);
  });
  state.client = counting;
  const begun = await begin();
  if (!begun.ok) throw new Error("refused from the start");
  const { gate } = begun.value;
  const judge = async (further: number, names: number) => {
    await gate.spendFurtherRequests(further);
    const concerned = new AdditionalPatients("main");
    const patients = new Set(Array.from({ length: names }, (_, n) => `p${n}`));
    concerned.decide({ type: "Observation", id: "o", patients, unseen: new Set(), room: 0, unnamed: false });
    await gate.spendNames(concerned);
  };
  const spentBy = async (act: () => Promise<unknown>) => {
    await act();
    return spent.splice(0);
  };
  const first = await spentBy(() => judge(4, 3));
  gate.judgedAgain();
  const again = await spentBy(() => judge(4, 3));
  gate.judgedAgain();
  const more = await spentBy(() => judge(5, 7));
  const inOneJudgement = await spentBy(() => judge(1, 2));
  expect({ first, again, more, inOneJudgement }).toEqual({
    first: ["default 4", "records 3"],
    again: [],
    more: ["default 1", "records 4"],
    inOneJudgement: ["default 1", "records 2"],
  });
});
