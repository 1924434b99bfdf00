import { exportJWK, generateKeyPair } from "jose";

/** A registry file with an entry of each kind. Each test changes one entry. */
export async function registryFile() {
  const { publicKey } = await generateKeyPair("ES256", { extractable: true });
  const { x = "", y = "" } = await exportJWK(publicKey);
  return {
    origins: [
      {
        name: "main",
        url: "https://fhir.example.org/r4",
        credentials: { kind: "bearer", secret: "ORIGIN_TOKEN" },
      },
    ],
    policies: [{ name: "treat", body: policyBody }],
    clients: [
      {
        id: "telehealth",
        kind: "telehealth",
        auth: "private_key_jwt",
        jwks: { keys: [{ kty: "EC", crv: "P-256", x, y, kid: "telehealth-1" }] },
        certificates: ["A".repeat(43)],
      },
    ],
    agreements: [
      {
        id: "telehealth-baa",
        client: "telehealth",
        purposes: ["TREAT", "COC"],
        from: "2026-01-01",
        to: "2028-01-01T00:00:00-05:00",
        documentHash: "0".repeat(64),
      },
    ],
    grants: [
      {
        client: "telehealth",
        origin: "main",
        purpose: "TREAT",
        agreement: "telehealth-baa",
        policy: "treat",
        scopes: "system/*.rs",
        quotas: { default: { requests: 100, windowSeconds: 60 } },
      },
    ],
  };
}

export type RegistryFile = Awaited<ReturnType<typeof registryFile>>;

/** The file with an external issuer and an additional client of that issuer. */
export async function withExternalClient(file: RegistryFile) {
  const { publicKey } = await generateKeyPair("ES256", { extractable: true });
  const { x = "", y = "" } = await exportJWK(publicKey);
  return {
    ...file,
    issuers: [
      {
        iss: "https://issuer.example.org",
        jwks: { keys: [{ kty: "EC", crv: "P-256", x, y, kid: "issuer-1" }] },
        algs: ["ES256"],
        audience: "phylax",
        purpose: { fixed: ["TREAT"] },
        claims: { client: "azp" },
      },
    ],
    clients: [
      ...file.clients,
      {
        id: "patient-app",
        kind: "patient",
        auth: "external",
        issuer: "https://issuer.example.org",
        externalClientId: "app",
        certificates: ["B".repeat(43)],
        patient: "amara",
      },
    ],
    agreements: [
      ...file.agreements,
      {
        id: "patient-app-terms",
        client: "patient-app",
        purposes: ["TREAT"],
        from: "2026-01-01",
        to: "2028-01-01",
        documentHash: "1".repeat(64),
      },
    ],
    grants: [
      ...file.grants,
      {
        client: "patient-app",
        origin: "main",
        purpose: "TREAT",
        agreement: "patient-app-terms",
        policy: "treat",
        scopes: "patient/*.rs",
        quotas: { default: { requests: 100, windowSeconds: 60 } },
      },
    ],
  };
}

/** The file with an authorization server at which an app's users sign in. The origin names the server. */
export async function withSignIn(file: RegistryFile) {
  const external = await withExternalClient(file);
  return {
    ...external,
    issuers: external.issuers.map((issuer) => Object.assign(issuer, { endpoints: signInEndpoints })),
    origins: external.origins.map((origin) =>
      Object.assign(structuredClone(origin), { signInAt: "https://issuer.example.org" }),
    ),
  };
}

const signInEndpoints = {
  authorization: "https://issuer.example.org/authorize",
  token: "https://issuer.example.org/token",
  jwks: "https://issuer.example.org/jwks",
  capabilities: [
    "launch-standalone",
    "client-public",
    "sso-openid-connect",
    "permission-patient",
    "permission-v2",
  ],
  scopes: ["openid", "fhirUser", "patient/*.rs"],
};

const policyBody = {
  format: "phylax.policy.v1",
  name: "treat",
  title: "A policy for tests",
  purposes: ["TREAT"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read", "search"],
      show: ["birthDate"],
      why: "45 CFR 164.506(c)(2): treatment activities of a provider.",
      examples: [
        {
          says: "A birth date is shown and nothing else.",
          resource: { resourceType: "Patient", id: "p", birthDate: "1980-01-01", gender: "other" },
          becomes: { resourceType: "Patient", id: "p", birthDate: "1980-01-01" },
        },
      ],
    },
  ],
};

/** A copy of a file with the value at a JSON pointer set, or removed when `undefined`. */
export function withValue<T>(file: T, pointer: string, value: unknown): T {
  const copy = structuredClone(file);
  const path = pointer.split("/").slice(1);
  const last = path.pop() ?? "";
  let at: unknown = copy;
  for (const part of path) at = Reflect.get(at as object, part); // the pointer names a place inside the file
  if (value === undefined) Reflect.deleteProperty(at as object, last);
  else Reflect.set(at as object, last, value);
  return copy;
}
