import { env, exports } from "cloudflare:workers";
import { beforeEach, test } from "vitest";
import { authoritiesMax, insertAuthority, liveAuthority } from "#platform/authorities/authority-rows";
import { openEvidence, sealEvidence } from "#platform/authorities/sealed-evidence";
import { denialName } from "#identity/denial";
import { instant } from "#kernel/clock";
import { readKeyList, type KeyList } from "#kernel/key-list";
import { authoritiesPageMax } from "#identity/authority/authority-document";
import { emptyRegistry } from "./registry.ts";

const keeping = exports.AuthorityKeeping;
const desk = exports.RegistryDesk;
const day = 86_400_000;
const issuer = "https://issuer.example.org";
const idOf = (number: number) => number.toString(16).padStart(32, "0");
const asked = (id: string, change: object = {}) => ({
  id,
  client: "research",
  person: { issuer, subject: "nurse" },
  token: { issuer, id: `jti of ${id}`, expires: instant(Date.now() + 60_000) },
  origin: "main",
  purpose: "HRESCH",
  agreement: "dua",
  boundTo: "A".repeat(43),
  task: "export" as const,
  ends: instant(Date.now() + day),
  evidence: JSON.stringify({ patient: "amara-okafor" }),
  ...change,
});
const made = { ok: true } as const;
const tooMany = { ok: false, error: { reason: "too_many_authorities" } } as const;
const listed = async (document: object = {}) => {
  const page = await desk.authorities(document);
  return page.ok ? page.value : page.error;
};
const column = async (id: string, name: string) =>
  await env.REGISTRY.prepare(`SELECT ${name} FROM authorities WHERE id = ?`).bind(id).first(name);

const registerIssuer = () =>
  env.REGISTRY.prepare(
    "INSERT INTO issuers (iss, jwks, audience, algs, purpose, claims) VALUES (?, '{\"keys\":[]}', 'a', '[]', '{}', '{}')",
  )
    .bind(issuer)
    .run();

beforeEach(async () => {
  await emptyRegistry();
});

test("an authority is made once, is used as it was made, and ends for good", async ({ expect }) => {
  const one = asked(idOf(1));
  expect(await keeping.make(one)).toMatchObject(made);
  expect(await keeping.make({ ...one, evidence: "other" }), "a repeat").toMatchObject(made);
  expect(await keeping.use(one.id)).toEqual({ ends: one.ends, evidence: one.evidence });
  expect(await keeping.use(idOf(2))).toBeUndefined();
  await keeping.end("payer", one.id);
  expect(await keeping.use(one.id), "another client ends nothing").toBeDefined();
  await keeping.end("research", one.id);
  expect(await keeping.use(one.id)).toBeUndefined();
  expect((await env.REGISTRY.prepare("SELECT id FROM authorities").all()).results).toEqual([]);
});

test("a client makes any number of authorities one after the other, and a denied one stays for an operator", async ({
  expect,
}) => {
  for (let n = 0; n < authoritiesMax.ofPerson + 5; n += 1) {
    expect(await keeping.make(asked(idOf(n)))).toMatchObject(made);
    await keeping.end("research", idOf(n));
  }
  await keeping.make(asked(idOf(99)));
  expect(await desk.revoke({ kind: "authority", client: "research", authority: idOf(99) })).toMatchObject(
    made,
  );
  await keeping.end("research", idOf(99));
  expect(await column(idOf(99), "evidence"), "its evidence is deleted").toBeNull();
  expect(await keeping.make(asked(idOf(99))), "a repeat makes no second").toMatchObject(made);
  expect(await keeping.use(idOf(99))).toBeUndefined();
});

test("the id of another client's authority makes none", async ({ expect }) => {
  await keeping.make(asked(idOf(1)));
  expect(await keeping.make(asked(idOf(1), { client: "payer" }))).toMatchObject(tooMany);
});

test("an authority ends by itself, and none is made for over 90 days", async ({ expect }) => {
  const [id, ends] = [idOf(1), instant(Date.now() + 60)];
  await keeping.make(asked(id, { ends }));
  await scheduler.wait(80);
  expect(await keeping.use(id)).toBeUndefined();
  expect(await listed()).toEqual([]);
  await expect(
    async () => await keeping.make(asked(id, { ends: instant(Date.now() + 91 * day) })),
  ).rejects.toThrow();
  await expect(
    async () => await keeping.make(asked(id, { ends: instant(Date.now() - 1) })),
  ).rejects.toThrow();
});

test("P4: a denial ends an authority, and its lifting does not bring it back", async ({ expect }) => {
  const one = asked(idOf(1));
  await keeping.make(one);
  await keeping.make(asked(idOf(2)));
  const denial = { kind: "authority", client: "research", authority: one.id } as const;
  expect(await desk.revoke({ ...denial, client: "payer" })).toMatchObject({ error: { field: "authority" } });
  expect(await desk.revoke(denial)).toMatchObject(made);
  expect(await keeping.use(one.id)).toBeUndefined();
  const news = await exports.RevocationFeed.news({ client: "research", issuers: [] });
  if (news.kind !== "whole") throw new Error("the whole state was asked for");
  expect(
    news.denied.map(({ name }) => name),
    "each guard of the client knows it",
  ).toEqual([denialName(denial)]);
  expect(news.denied[0]?.until, "and no longer than an authority can live").toBeLessThanOrEqual(
    Date.now() + 90 * day,
  );
  expect(await desk.lift(denial)).toMatchObject({ ok: true, value: true });
  expect(await keeping.use(one.id)).toBeUndefined();
  expect(await keeping.use(idOf(2)), "another authority of the client goes on").toBeDefined();
  expect(await listed({ state: "all" })).toMatchObject([
    { id: one.id, endedBy: "an operator" },
    { id: idOf(2) },
  ]);
});

test("a person and a client have a bounded number of authorities, also when all are asked for at once", async ({
  expect,
}) => {
  const at = instant(Date.now());
  const row = (number: number, person: string) => ({
    ...asked(idOf(number)),
    person: person.padEnd(43, "-"),
    token: "t".repeat(43),
    madeAt: at,
    endsAt: instant(at + day),
    endedAt: null,
    endedBy: null,
  });
  const insert = (many: number, person: string, from: number) =>
    Promise.all(
      Array.from(
        { length: many },
        async (_, i) => await insertAuthority(env.REGISTRY, row(from + i, person)),
      ),
    );
  const ofPerson = await insert(authoritiesMax.ofPerson + 5, "nurse", 0);
  expect(ofPerson.filter(Boolean)).toHaveLength(authoritiesMax.ofPerson);
  let all = authoritiesMax.ofPerson;
  for (let person = 0; all < authoritiesMax.ofClient + 10; person += 1) {
    const some = await insert(authoritiesMax.ofPerson, `person-${person}`, 1_000 + all);
    if (!some.some(Boolean)) break;
    all += some.filter(Boolean).length;
  }
  expect(all).toBe(authoritiesMax.ofClient);
  expect(await keeping.make(asked(idOf(9_999)))).toMatchObject(tooMany);
  expect(
    await keeping.make(asked(idOf(9_999), { client: "payer" })),
    "another client's room is its own",
  ).toMatchObject(made);
  await keeping.end("research", idOf(0));
  expect(await keeping.make(asked(idOf(9_998))), "an end gives room").toMatchObject(made);
});

test("P4: the denial of its token ends an authority for good, also when the token is over", async ({
  expect,
}) => {
  const [one, other] = [asked(idOf(1)), asked(idOf(2))];
  for (const each of [one, other]) await keeping.make(each);
  await registerIssuer();
  const until = instant(Date.now() - 1000); // its exp: no guard remembers the denial
  expect(await desk.revoke({ kind: "token", issuer, id: one.token.id, until })).toMatchObject(made);
  expect(await keeping.use(one.id)).toBeUndefined();
  expect(await keeping.use(other.id), "an authority of another token goes on").toBeDefined();
  expect(await column(one.id, "ended_by")).toBe("an operator");
});

test("P4: a token that is denied, or over, makes no authority, however close the two calls come", async ({
  expect,
}) => {
  const builtIn = env.PUBLIC_URL;
  const denied = { issuer: builtIn, id: "denied", expires: instant(Date.now() + 60_000) };
  expect(await exports.OwnTokenRevocation.revoke("research", denied.id, denied.expires)).toBe(true);
  const refused = (reason: string) => ({ ok: false, error: { reason } });
  expect(await keeping.make(asked(idOf(1), { token: denied }))).toMatchObject(refused("token_denied"));
  expect(await keeping.use(idOf(1))).toBeUndefined();
  const over = { issuer: builtIn, id: "over", expires: instant(Date.now()) };
  expect(await keeping.make(asked(idOf(2), { token: over }))).toMatchObject(refused("token_expired"));
  expect(await keeping.use(idOf(2))).toBeUndefined();
  for (let round = 3; round < 23; round += 1) {
    const token = { issuer: builtIn, id: `jti-${round}`, expires: instant(Date.now() + 60_000) };
    await Promise.all([
      keeping.make(asked(idOf(round), { token })),
      exports.OwnTokenRevocation.revoke("research", token.id, token.expires),
    ]);
    expect(await keeping.use(idOf(round)), `round ${round}`).toBeUndefined();
  }
});

test("P4: a denied person's authorities end for good, at each client, and a lift brings none back", async ({
  expect,
}) => {
  const denial = { kind: "person", issuer, subject: "nurse" } as const;
  await keeping.make(asked(idOf(1)));
  await keeping.make(asked(idOf(2), { client: "payer" }));
  await keeping.make(asked(idOf(3), { person: { issuer, subject: "other" } }));
  expect(await desk.revoke(denial), "a misspelt issuer denies nobody").toMatchObject({
    error: { reason: "denial_unregistered", field: "issuer" },
  });
  await registerIssuer();
  expect(await desk.revoke([denial])).toMatchObject(made);
  expect(await desk.lift(denial)).toMatchObject({ ok: true, value: true });
  expect([await keeping.use(idOf(1)), await keeping.use(idOf(2))]).toEqual([undefined, undefined]);
  expect(await keeping.use(idOf(3))).toBeDefined();
});

test("P4: while the registry is away each denial of a list is in force, a token's as long as its authority may live", async ({
  expect,
}) => {
  await env.REGISTRY.prepare("DROP TABLE authorities").run();
  const until = instant(Date.now() + 1000);
  const token = { kind: "token", issuer: env.PUBLIC_URL, id: "jti", until } as const;
  const proofKey = { kind: "proof_key", jkt: "A".repeat(43) } as const;
  expect(await desk.revoke([token, proofKey])).toMatchObject(made);
  const news = await exports.RevocationFeed.news({ client: "research", issuers: [env.PUBLIC_URL] });
  if (news.kind !== "whole") throw new Error("the whole state was asked for");
  const ends = new Map(news.denied.map((each) => [each.name, each.until]));
  expect(ends.get(denialName(token))).toBeGreaterThan(Date.now() + 89 * day);
  expect(ends.get(denialName(proofKey))).toBeNull();
});

test("authorities that ended are deleted after a week, and fill no table before", async ({ expect }) => {
  const at = Date.now();
  const ended = (number: number, when: number) =>
    env.REGISTRY.prepare(
      "INSERT INTO authorities VALUES (?, 'research', ?, ?, 'main', 'HRESCH', 'dua', ?, 'export', ?, ?, ?, 'jobs', NULL)",
    ).bind(idOf(number), "p".repeat(43), "t".repeat(43), "A".repeat(43), at - 9 * day, at + day, when);
  await env.REGISTRY.batch([ended(1, at - 8 * day), ended(2, at - 6 * day)]);
  await keeping.make(asked(idOf(3)));
  expect((await listed({ state: "all" })) as object[]).toMatchObject([{ id: idOf(2) }, { id: idOf(3) }]);
  await env.REGISTRY.batch(
    Array.from({ length: authoritiesMax.withEnded }, (_, i) => ended(10 + i, at - day)),
  );
  expect(await keeping.make(asked(idOf(4)))).toMatchObject(tooMany);
  expect(await keeping.make(asked(idOf(5), { client: "payer" }))).toMatchObject(made);
});

test("the registry shows neither the patient nor the person of an authority", async ({ expect }) => {
  await keeping.make(asked(idOf(1)));
  const row = JSON.stringify(await env.REGISTRY.prepare("SELECT * FROM authorities").first());
  for (const name of ["amara", "okafor", "nurse", "issuer.example", "jti"]) expect(row).not.toContain(name);
  expect(JSON.stringify(await listed())).not.toMatch(/amara|nurse|evidence|person|token/u);
});

test.for(["client", "origin", "purpose", "id", "ends_at"])(
  "evidence beside a changed %s does not open",
  async (name, { expect }) => {
    await keeping.make(asked(idOf(1)));
    const changed = name === "id" ? idOf(2) : name === "ends_at" ? Date.now() + 2 * day : "payer";
    await env.REGISTRY.prepare(`UPDATE authorities SET ${name} = ?`).bind(changed).run();
    const id = name === "id" ? idOf(2) : idOf(1);
    expect(await liveAuthority(env.REGISTRY, id, instant(Date.now()))).toBeDefined();
    expect(await keeping.use(id)).toBeUndefined();
  },
);

test("evidence opens under each listed key, and under no other", ({ expect }) => {
  const keys = (...bytes: readonly number[]): KeyList => {
    const read = readKeyList(bytes.map((byte) => Buffer.alloc(32, byte).toString("base64url")).join(" "));
    if (read === undefined) throw new Error("a test's own mistake");
    return read;
  };
  const sealed = sealEvidence(keys(1), ["a"], "evidence");
  expect(sealEvidence(keys(1), ["a"], "evidence"), "each box has a key of its own").not.toBe(sealed);
  expect(openEvidence(keys(2, 1), ["a"], sealed)).toBe("evidence");
  expect(openEvidence(keys(2), ["a"], sealed)).toBeUndefined();
  expect(openEvidence(keys(1), ["b"], sealed)).toBeUndefined();
  expect(openEvidence(keys(1), ["a"], `A${sealed.slice(1)}`)).toBeUndefined();
});

test("every authority is on some page, and a malformed question lists none", async ({ expect }) => {
  const at = Date.now();
  const ids = Array.from({ length: authoritiesPageMax + 3 }, (_, i) => idOf(i));
  await env.REGISTRY.batch(
    ids.map((id, i) =>
      env.REGISTRY.prepare(
        "INSERT INTO authorities VALUES (?, ?, ?, ?, 'main', 'HRESCH', 'dua', ?, 'export', ?, ?, NULL, NULL, 'x')",
      ).bind(id, `client-${i % 7}`, "p".repeat(43), "t".repeat(43), "A".repeat(43), at, at + day),
    ),
  );
  const first = await listed();
  if (!Array.isArray(first)) throw new Error("no page");
  expect(first).toHaveLength(authoritiesPageMax);
  const rest = await listed({ after: first.at(-1)?.id });
  expect([first, rest].flat().map((each) => ("id" in each ? each.id : each))).toEqual(ids);
  expect(await listed({ client: "client-3" })).toHaveLength(72);
  for (const document of [{ state: "ended" }, { after: "x" }, { other: 1 }, 7, null])
    expect(await desk.authorities(document)).toMatchObject({ error: { reason: "authority_malformed" } });
});
