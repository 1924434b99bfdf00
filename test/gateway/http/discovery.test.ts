import { test } from "vitest";
import { searchParametersOf } from "#fhir/search/parameters";
import { readInteraction } from "#fhir/interaction";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { Router } from "#entrypoint/router";
import { addDiscovery, type Discovery } from "#gateway/http/discovery";
import type { SignInPlace } from "#registry/sign-in-place";
import { newKey } from "../../support/credentials.ts";

const answerKeys = [(await newKey("EdDSA", "answers-2")).jwk, (await newKey("ES256", "answers-1")).jwk];
const newId = () => "0".repeat(32);
const faults: object[] = [];
const newRouter = () => new Router({ newId, onFault: (fault) => faults.push(fault) });
const app = newRouter();
let registryDown = false;
const signIn: SignInPlace = {
  issuer: "https://login.example",
  jwks: "https://login.example/keys",
  authorization: "https://login.example/authorize",
  token: "https://login.example/token",
  management: "https://login.example/apps",
  grantTypes: ["authorization_code", "client_credentials"],
  authMethods: ["none", "private_key_jwt"],
  signingAlgs: ["RS384", "ES384"],
  capabilities: ["launch-standalone", "client-public", "permission-patient", "permission-v2"],
  scopes: ["launch/patient", "patient/*.rs"],
};
const smallServer = new Map([
  [
    "Observation",
    {
      interactions: new Set(["read", "vread", "search-type", "create", "patch"]),
      search: new Set(["code", "subject", "a-search-of-its-own"]),
    },
  ],
]);
const originKey = (await newKey("ES384", "origin-1")).jwk;
const discovery: Discovery = {
  publicUrl: "https://api.example",
  askedUrl: "https://api.example",
  newId,
  answers: { publicKeys: async () => answerKeys },
  authorizationServers: {
    async of(origin) {
      if (registryDown) throw new Error("D1 is down");
      const external = ["https://login.example", "https://other.example"];
      return origin === "chart" ? { signIn, external } : { signIn: undefined, external: [] };
    },
  },
  origins: {
    traits: async (origin) => ({
      transactions: undefined,
      honoursIfMatchOnDelete: false,
      acceptsSearchInUrl: false,
      capabilities: origin === "small" ? { types: smallServer } : {},
    }),
  },
  originKeys: async (origin) => (origin === "chart" ? [originKey] : undefined),
};
addDiscovery(app, discovery);
const requestFrom = (router: Router, url: string, init?: RequestInit) => router.fetch(new Request(url, init));
const chart = "https://api.example/v1/fhir/chart";
const base = "https://api.example/v1/fhir/main";
const get = async (path: string, accept = "*/*") =>
  requestFrom(app, `${base}/${path}`, { headers: { accept } });

interface Statement {
  readonly rest: readonly {
    readonly resource: readonly {
      readonly type: string;
      readonly interaction: readonly { readonly code: string }[];
      readonly supportedProfile?: readonly string[];
      readonly searchParam: readonly { readonly name: string; readonly type: string }[];
    }[];
  }[];
}
const sample: Readonly<Record<string, string>> = {
  date: "2020-01-01",
  number: "1",
  quantity: "1",
  reference: "1",
};

test("the CapabilityStatement is exact: each of its interactions and search parameters is supported, and no further parameter is", async ({
  expect,
}) => {
  const statement: Statement = await (await get("metadata")).json();
  expect(statement).toMatchObject({
    resourceType: "CapabilityStatement",
    fhirVersion: "4.0.1",
    rest: [
      {
        mode: "server",
        security: {
          // Inferno: equal to the endpoints of the SMART document
          extension: [
            {
              extension: [
                { url: "token", valueUri: "https://api.example/oauth/token" },
                { url: "introspect", valueUri: "https://api.example/oauth/introspect" },
                { url: "revoke", valueUri: "https://api.example/oauth/revoke" },
              ],
            },
          ],
        },
      },
    ],
  });
  const smart = await (await get(".well-known/smart-configuration")).json();
  expect(smart).toMatchObject({
    token_endpoint: "https://api.example/oauth/token",
    introspection_endpoint: "https://api.example/oauth/introspect",
    revocation_endpoint: "https://api.example/oauth/revoke",
  });
  // Inferno's suite of US Core reads the profiles without a credential
  expect(statement).toMatchObject({
    instantiates: ["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"],
  });
  const resources = statement.rest[0]?.resource ?? [];
  const profilesOf = (type: string) => resources.find((one) => one.type === type)?.supportedProfile;
  expect(profilesOf("Patient")).toEqual(["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]);
  expect(profilesOf("Condition")).toHaveLength(2);
  expect(profilesOf("Basic")).toBeUndefined();
  expect(resources).toHaveLength(r4ResourceTypes.length);
  for (const { type, interaction, searchParam } of resources) {
    expect(interaction.map(({ code }) => code)).toEqual([
      "read",
      "vread",
      "history-instance",
      "history-type",
      "search-type",
      "create",
      "update",
      "patch",
      "delete",
    ]);
    for (const { name, type: kind } of searchParam) {
      const components = searchParametersOf(type).get(name)?.components;
      const values = components?.map((component) => sample[component.type] ?? "x");
      const query = `${name}=${values?.join("$") ?? sample[kind] ?? "x"}`;
      expect(readInteraction("GET", [type], query), `${type}?${query}`).toMatchObject({ ok: true });
    }
  }
  const observation = resources
    .find(({ type }) => type === "Observation")
    ?.searchParam.map(({ name }) => name);
  expect(observation).toEqual(expect.arrayContaining(["patient", "code", "date", "_id"]));
  for (const name of ["_has", "_text", "amino-acid-change", "_list"]) expect(observation).not.toContain(name);
});

test("a caller with a credential is answered by a later stage", async ({ expect }) => {
  const reply = await requestFrom(app, `${base}/metadata`, { headers: { authorization: "Bearer x" } });
  expect(reply.status).toBe(404); // nothing more is here
});

test("the SMART configuration names the token endpoint and its methods, and no missing endpoint", async ({
  expect,
}) => {
  const configuration: unknown = await (await get(".well-known/smart-configuration")).json();
  expect(configuration).toMatchObject({
    token_endpoint: "https://api.example/oauth/token",
    grant_types_supported: ["client_credentials"],
    token_endpoint_auth_methods_supported: [
      "private_key_jwt",
      "tls_client_auth",
      "self_signed_tls_client_auth",
    ],
    introspection_endpoint: "https://api.example/oauth/introspect",
    revocation_endpoint: "https://api.example/oauth/revoke",
    token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(["ES256", "ES384", "RS384"]),
    capabilities: expect.arrayContaining(["client-confidential-asymmetric", "permission-v2"]),
  });
  for (const name of ["authorization_endpoint", "issuer", "response_types_supported"])
    expect(configuration).not.toHaveProperty(name);
});

test("the SMART configuration names the endpoints of the host that asks for certificates, as the issuer's metadata do", async ({
  expect,
}) => {
  const twoHosts = newRouter();
  addDiscovery(twoHosts, { ...discovery, mtlsUrl: "https://mtls.example" });
  const read = async (place: string): Promise<object> =>
    (await requestFrom(twoHosts, `${place}/.well-known/smart-configuration`)).json();
  expect(await read(base)).toMatchObject({
    token_endpoint: "https://api.example/oauth/token",
    // RFC 8705 §5
    mtls_endpoint_aliases: {
      token_endpoint: "https://mtls.example/oauth/token",
      introspection_endpoint: "https://mtls.example/oauth/introspect",
      revocation_endpoint: "https://mtls.example/oauth/revoke",
    },
  });
  expect(await read(chart), "the endpoints of another issuer").not.toHaveProperty("mtls_endpoint_aliases");
  expect(await (await get(".well-known/smart-configuration")).json()).not.toHaveProperty(
    "mtls_endpoint_aliases",
  );
});

test("each SMART configuration has what SMART App Launch 2.2 requires for the capabilities that it names", async ({
  expect,
}) => {
  for (const place of [base, chart]) {
    const response = await requestFrom(app, `${place}/.well-known/smart-configuration`);
    const configuration: Record<string, unknown> & { capabilities: readonly string[] } =
      await response.json();
    const { capabilities } = configuration;
    const has = (...names: readonly string[]) => names.some((name) => capabilities.includes(name));
    const required = [
      "token_endpoint",
      "grant_types_supported",
      "capabilities",
      "code_challenge_methods_supported",
      ...(has("launch-ehr", "launch-standalone") ? ["authorization_endpoint"] : []),
      ...(has("sso-openid-connect") ? ["issuer", "jwks_uri"] : []),
    ];
    for (const name of required) expect(configuration, `${place} ${name}`).toHaveProperty(name);
    expect(configuration["code_challenge_methods_supported"]).toEqual(["S256"]);
    expect(capabilities.filter((name) => !/^[a-z0-9-]+$/u.test(name))).toEqual([]);
    for (const [name, value] of Object.entries(configuration))
      if (/_(?:endpoint|uri)$/u.test(name)) expect(value, name).toMatch(/^https:\/\//u);
  }
});

test("metadata is JSON by the name that was asked for, and nothing else", async ({ expect }) => {
  const typeOf = async (accept: string) => (await get("metadata", accept)).headers.get("content-type");
  expect(await typeOf("application/json")).toBe("application/json; charset=utf-8");
  expect(await typeOf("application/fhir+json")).toBe("application/fhir+json; charset=utf-8");
  expect(await typeOf("*/*")).toBe("application/fhir+json; charset=utf-8");
  expect((await get("metadata", "application/fhir+xml")).status).toBe(406);
  expect((await get(`metadata?_format=xml`)).status).toBe(406);
  expect((await get(`metadata?_format=json`, "text/html")).status).toBe(200);
});

test("the SMART configuration is application/json, whatever was asked for", async ({ expect }) => {
  for (const accept of ["*/*", "application/json", "application/fhir+json", "application/fhir+xml"]) {
    const answer = await get(".well-known/smart-configuration", accept);
    expect({ status: answer.status, type: answer.headers.get("content-type") }).toEqual({
      status: 200,
      type: "application/json; charset=utf-8",
    });
  }
});

test("nothing may keep either, and each answer has an id", async ({ expect }) => {
  for (const path of ["metadata", ".well-known/smart-configuration"]) {
    const answer = await get(path);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-request-id")).toMatch(/^0{32}$/u);
  }
});

test("T38, T42: a base's metadata name the address and the algorithms of the keys of signed answers", async ({
  expect,
}) => {
  const metadata = await requestFrom(
    app,
    "https://api.example/.well-known/oauth-protected-resource/v1/fhir/main",
  );
  const { jwks_uri: where, ...said }: { jwks_uri: string } = await metadata.json();
  expect(said).toMatchObject({ resource: base, resource_signing_alg_values_supported: ["EdDSA", "ES256"] });
  expect(await (await requestFrom(app, where)).json()).toEqual({ keys: answerKeys });
});

test("T41: if people sign in at an external issuer, the SMART configuration is about that issuer alone, and names only its features", async ({
  expect,
}) => {
  expect(await (await requestFrom(app, `${chart}/.well-known/smart-configuration`)).json()).toEqual({
    issuer: "https://login.example",
    jwks_uri: "https://login.example/keys",
    authorization_endpoint: "https://login.example/authorize",
    token_endpoint: "https://login.example/token",
    management_endpoint: "https://login.example/apps",
    grant_types_supported: ["authorization_code", "client_credentials"],
    token_endpoint_auth_methods_supported: ["none", "private_key_jwt"],
    token_endpoint_auth_signing_alg_values_supported: ["RS384", "ES384"],
    response_types_supported: ["code"],
    scopes_supported: signIn.scopes,
    code_challenge_methods_supported: ["S256"],
    capabilities: signIn.capabilities,
  });
});

test("the CapabilityStatement names the same places as the SMART configuration", async ({ expect }) => {
  const security = {
    extension: [
      {
        url: "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        extension: [
          { url: "authorize", valueUri: "https://login.example/authorize" },
          { url: "token", valueUri: "https://login.example/token" },
          { url: "manage", valueUri: "https://login.example/apps" },
        ],
      },
    ],
  };
  for (const time of ["first", "second"])
    expect(await (await requestFrom(app, `${chart}/metadata`)).json(), time).toMatchObject({
      rest: [{ security }],
    });
});

test("the metadata of a base name the issuer of its SMART configuration first, and the built-in issuer only without a sign-in place", async ({
  expect,
}) => {
  const servers = async (name: string) => {
    const answer = await requestFrom(
      app,
      `https://api.example/.well-known/oauth-protected-resource/v1/fhir/${name}`,
    );
    const { authorization_servers: said }: { authorization_servers: unknown } = await answer.json();
    return said;
  };
  expect(await servers("chart")).toEqual(["https://login.example", "https://other.example"]);
  expect(await servers("main")).toEqual(["https://api.example"]);
});

test("while the registry cannot be read there is no answer: apps would keep a wrong answer", async ({
  expect,
  onTestFinished,
}) => {
  registryDown = true;
  onTestFinished(() => {
    registryDown = false;
  });
  faults.length = 0;
  for (const path of [
    "v1/fhir/chart/metadata",
    "v1/fhir/main/.well-known/smart-configuration",
    ".well-known/oauth-protected-resource/v1/fhir/main",
  ])
    expect((await requestFrom(app, `https://api.example/${path}`)).status, path).toBe(503);
  expect(faults).toHaveLength(3);
});

test("where the registry knows what the origin can do, the CapabilityStatement has the part that both can do", async ({
  expect,
}) => {
  const statement: Statement = await (
    await requestFrom(app, "https://api.example/v1/fhir/small/metadata")
  ).json();
  expect(
    statement.rest[0]?.resource.map(({ type, interaction, searchParam }) => [
      type,
      interaction.map(({ code }) => code),
      searchParam.map(({ name }) => name),
    ]),
  ).toEqual([["Observation", ["read", "vread", "search-type", "create"], ["subject", "code"]]]);
});

test("the keys by which the gateway proves itself to an origin are published below its base, for five minutes; a base without such keys has no document", async ({
  expect,
}) => {
  const found = await requestFrom(app, `${chart}/.well-known/jwks.json`);
  expect([found.status, found.headers.get("cache-control"), found.headers.get("content-type")]).toEqual([
    200,
    "public, max-age=300",
    "application/json",
  ]);
  expect(await found.json()).toEqual({ keys: [originKey] });
  expect((await requestFrom(app, `${base}/.well-known/jwks.json`)).status).toBe(404);
});
