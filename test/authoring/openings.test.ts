import { test } from "vitest";
import { openings, type AroundChange } from "#authoring/openings";
import { instant } from "#kernel/clock";
import type { PlannedChange } from "#registry/plan";
import type { GrantEntry } from "#registry/state";
import { nothingThere } from "./nothing-there.ts";

const policy = (...show: string[]) => ({
  format: "phylax.policy.v1",
  name: "who",
  title: "Who a patient is",
  purposes: ["TREAT"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read"],
      show,
      why: "45 CFR 164.506(c)",
      examples: [{ says: "A patient is read by id.", request: "Patient/1", is: "permitted" }],
    },
  ],
});
const around: AroundChange = { ...nothingThere, operatorIssuers: new Set() };
const policies = { wide: policy("name", "birthDate"), narrow: policy("name"), unreadable: { rules: [] } };

const changed = (kind: PlannedChange["kind"], before: object, after: object) =>
  openings([{ kind, name: "it", before, after }], policies, around);
const quota = (requests: number, windowSeconds = 60) => ({ default: { requests, windowSeconds } });
const key = (kid: string) => ({ kty: "EC", kid });

test("each new entry opens access, and no removal does", ({ expect }) => {
  for (const kind of ["issuer", "origin", "policy", "client", "certificate", "agreement", "grant"] as const) {
    expect(openings([{ kind, name: "it", before: undefined, after: {} }], {}, around)).toEqual([
      `${kind} it is new`,
    ]);
    expect(openings([{ kind, name: "it", before: {}, after: undefined }], {}, around)).toEqual([]);
  }
});

test.for<readonly [PlannedChange["kind"], object, object]>([
  ["client", { status: "active" }, { status: "suspended" }],
  ["client", { jwks: { keys: [key("1"), key("2")] } }, { jwks: { keys: [key("2")] } }],
  ["client", { corsOrigins: ["a", "b"] }, { corsOrigins: ["a"] }],
  ["client", { unboundUntil: 2 }, { unboundUntil: 1 }],
  ["client", { unboundUntil: 2 }, {}],
  ["client", {}, { patient: "amara" }],
  ["agreement", { to: 2 }, { to: 1 }],
  ["grant", { scopes: "system/*.rs system/Patient.u" }, { scopes: "system/*.rs" }],
  ["grant", { quotas: quota(10) }, { quotas: quota(9) }],
  ["grant", { quotas: quota(10) }, { quotas: { ...quota(10), records: { records: 1, windowSeconds: 60 } } }],
  ["grant", { signedRequests: false }, { signedRequests: true }],
  ["grant", { policy: "wide" }, { policy: "narrow" }],
])("%s: %o to %o permits no more", ([kind, before, after], { expect }) => {
  expect(changed(kind, before, after)).toEqual([]);
  expect(changed(kind, after, before), "the way back").toHaveLength(1);
});

test.for<readonly [PlannedChange["kind"], object, object]>([
  ["client", { jwks: { keys: [key("1")] } }, { jwks: { keys: [key("2")] } }],
  ["client", { patient: "amara" }, { patient: "bela" }],
  ["client", { dpop: true }, { dpop: false }],
  ["client", { organization: ["a|1"] }, { organization: ["a|2"] }],
  ["grant", { quotas: quota(10, 60) }, { quotas: quota(9, 30) }],
  ["grant", { breakGlass: { a: 1 } }, { breakGlass: { a: 2 } }],
  ["grant", { agreement: "a" }, { agreement: "b" }],
  ["grant", { policy: "wide" }, { policy: "unreadable" }],
  ["grant", { policy: "wide" }, { policy: "unknown" }],
  ["origin", { url: "a" }, { url: "b" }],
  ["issuer", { algs: ["ES256"] }, { algs: ["RS256"] }],
  ["grant", { aFieldOfALaterVersion: 1 }, { aFieldOfALaterVersion: 2 }],
])("%s: %o to %o is not known to permit less, so it opens", ([kind, before, after], { expect }) => {
  expect(changed(kind, before, after)).toEqual([`${kind} it: ${Object.keys(before)[0]}`]);
});

test("an issuer at which operators sign in changes only with a second person", ({ expect }) => {
  const change = { before: { algs: ["ES256", "PS256"] }, after: { algs: ["ES256"] } };
  const opens = (iss: string) =>
    openings([{ kind: "issuer", name: "https://login.example", ...change }], policies, {
      ...around,
      operatorIssuers: new Set([iss]),
    });
  expect(opens("https://login.example")).toEqual(["issuer https://login.example: algs"]);
  expect(opens("https://other.example")).toEqual([]);
});

const grantAt = (origin: string, scopes: string, purpose = "TREAT"): GrantEntry => ({
  client: "app",
  origin,
  purpose,
  agreement: "a",
  policy: "p",
  scopes,
  quotas: quota(1),
  signedRequests: false,
  signedResponses: false,
  keyedWrites: false,
  measureElements: false,
});
const removalOf = (origin: string): PlannedChange => ({
  kind: "grant",
  name: `app ${origin} TREAT`,
  before: {},
  after: undefined,
});

test.for([
  ["patient/*.rs", ["main", "lab"], ["lab"], true],
  ["user/*.rs", ["main", "lab"], ["lab"], true],
  ["system/*.rs", ["main", "lab"], ["lab"], false],
  ["patient/*.rs", ["main", "lab", "other"], ["lab"], false],
  ["patient/*.rs", ["main", "lab"], ["main", "lab"], false],
] as const)(
  "%s at %o without %o: a removal that leaves one origin lets an id of a person count",
  ([scopes, origins, gone, opens], { expect }) => {
    const grants = origins.map((origin) => grantAt(origin, scopes));
    const found = openings(gone.map(removalOf), policies, { ...around, grants });
    expect(found).toEqual(
      opens ? ["client app: patient/ and user/ scopes count, since one origin is left"] : [],
    );
  },
);

test("a limit to a patient opens where a grant serves the individual", ({ expect }) => {
  const change: PlannedChange = { kind: "client", name: "app", before: {}, after: { patient: "amara" } };
  const opens = (purpose: string) =>
    openings([change], policies, { ...around, grants: [grantAt("main", "system/*.rs", purpose)] });
  expect(opens("PATRQT")).toEqual(["client app: patient"]);
  expect(opens("TREAT")).toEqual([]);
});

test("a removal that leaves one origin opens for a client that is limited to a patient, with any scopes", ({
  expect,
}) => {
  const grants = ["main", "lab"].map((origin) => grantAt(origin, "system/*.rs"));
  const opens = (more: Partial<Client>) =>
    openings([removalOf("lab")], policies, { ...around, grants, clients: new Map([["app", client(more)]]) });
  expect(opens({ patient: "amara" })).toEqual([
    "client app: all scopes (each is limited to the patient) count, since one origin is left",
  ]);
  expect(opens({})).toEqual([]);
});

test.for([
  ["patient/*.rs system/Practitioner.rs", "system/Practitioner.rs", ["main", "lab"], true],
  ["user/*.rs system/Practitioner.rs", "system/Practitioner.rs", ["main", "lab"], true],
  ["patient/*.rs system/Practitioner.rs", "system/Practitioner.rs", ["main"], false],
  ["patient/*.rs system/Practitioner.rs", "patient/*.rs", ["main", "lab"], false],
] as const)(
  "%s becomes %s at %o: a dropped scope of a person lets a token count that was refused at several origins",
  ([before, after, origins, opens], { expect }) => {
    const grants = origins.map((origin) => grantAt(origin, before));
    const change: PlannedChange = {
      kind: "grant",
      name: "app main TREAT",
      before: { scopes: before },
      after: { scopes: after },
    };
    expect(openings([change], policies, { ...around, grants })).toHaveLength(opens ? 1 : 0);
  },
);

type Issuer = AroundChange["issuers"] extends ReadonlyMap<string, infer Entry> ? Entry : never;
const issuer = (iss: string, purpose: Issuer["purpose"], asks = false): [string, Issuer] => [
  iss,
  {
    iss,
    algs: [],
    audience: "it",
    claims: {},
    purpose,
    ...(asks && {
      introspection: {
        endpoint: `${iss}/introspect`,
        clientId: "it",
        credentials: { kind: "client_secret_basic", secret: "IT" },
      },
    }),
  },
];
const claim = { claim: "why" };
type Client = AroundChange["clients"] extends ReadonlyMap<string, infer Entry> ? Entry : never;
const client = (more: Partial<Client> = {}): Client => ({
  status: "active",
  auth: "external",
  issuer: "https://a",
  ...more,
});

test.for([
  [["TREAT", "HPAYMT"], ["TREAT"], true],
  [["TREAT", "BTG"], ["BTG"], true],
  [["TREAT", "BTG"], ["TREAT"], false], // an emergency is never assumed
  [["TREAT", "HPAYMT", "HOPERAT"], ["TREAT"], false],
  [["TREAT", "HPAYMT"], ["TREAT", "HPAYMT"], false],
  [["TREAT"], [], false],
] as const)(
  "%o without %o: a removal that leaves one purpose lets a token count that names none",
  ([purposes, gone, opens], { expect }) => {
    const grants = purposes.map((purpose) => grantAt("main", "system/*.rs", purpose));
    const removals = gone.map((purpose) => ({ ...removalOf("main"), name: `app main ${purpose}` }));
    const found = (clients: Client, purpose: Issuer["purpose"]) =>
      openings(removals, policies, {
        ...around,
        grants,
        clients: new Map([["app", clients]]),
        issuers: new Map([issuer("https://a", purpose)]),
      });
    expect(found(client(), claim)).toHaveLength(opens ? 1 : 0);
    expect(found(client(), { fixed: ["TREAT"] }), "an issuer whose tokens have a purpose").toEqual([]);
    expect(found(client({ auth: "tls_client_auth" }), claim), "the built-in issuer's client").toEqual([]);
  },
);

const certificateRemoved = (id: string, x5t: string): PlannedChange => ({
  kind: "certificate",
  name: `${id} ${x5t}`,
  before: {},
  after: undefined,
});
const x5ts = (...some: string[]) => some.map((x5t) => ({ x5t, from: undefined, to: undefined }));

test("the removal of the last certificate opens for a client whose unbound tokens count", ({ expect }) => {
  const opens = (gone: readonly PlannedChange[], more: Partial<Client> = { unboundUntil: instant(9) }) =>
    openings(gone, policies, {
      ...around,
      clients: new Map([["app", client(more)]]),
      certificates: new Map([["app", x5ts("1", "2")]]),
    });
  const [one, two] = [certificateRemoved("app", "1"), certificateRemoved("app", "2")];
  expect(opens([one, two])).toEqual([
    "client app: unbound tokens count without a certificate, since none is left",
  ]);
  expect(opens([one])).toEqual([]);
  expect(opens([one, two], {}), "no unbound token").toEqual([]);
  const removed: PlannedChange = { kind: "client", name: "app", before: {}, after: undefined };
  expect(opens([one, two, removed]), "the client with its certificates").toEqual([]);
  const suspended = {
    ...removed,
    before: { status: "active", unboundUntil: 9 },
    after: { status: "suspended", unboundUntil: 9 },
  };
  expect(opens([one, two, suspended])).toEqual([]);
});

test("a removal opens that leaves one issuer to ask about opaque tokens with a certificate", ({ expect }) => {
  const opens = (gone: string, x5t = "1", asks = true) =>
    openings([certificateRemoved(gone, x5t)], policies, {
      ...around,
      clients: new Map([
        ["a", client()],
        ["b", client({ issuer: "https://b" })],
      ]),
      issuers: new Map([issuer("https://a", claim, true), issuer("https://b", claim, asks)]),
      certificates: new Map([
        ["a", x5ts("1", "2")],
        ["b", x5ts("1")],
      ]),
    });
  expect(opens("b")).toEqual([
    "issuer https://a: opaque tokens count with certificate 1, since no other issuer is left",
  ]);
  expect(opens("a", "2"), "a certificate of one client").toEqual([]);
  expect(opens("b", "1", false), "one issuer before").toEqual([]);
});
