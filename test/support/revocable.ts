import { readFileSync } from "node:fs";
import { calculateJwkThumbprint, decodeJwt, type JWK } from "jose";
import type { Denial } from "#identity/denial-document";
import { instant } from "#kernel/clock";
import { parsePolicyDocument, policyDigest } from "#policy/document";
import { accessToken } from "../../cli/connection/access-token.ts";
import type { DevClient } from "../../cli/connection/dev-file.ts";
import { keyProof } from "../../cli/connection/key-proof.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { certificateFor, clientEntries, joined, starterPolicy, thumbprint } from "./outside.ts";
import type { TestStack } from "./stack.ts";

/** Reads one patient with one token at the gateway with the given FHIR base. */
type Read = (base: string) => Promise<number>;

/** A reader with its own denial, which concerns no further reader, and the status of the refusal. */
export interface Subject {
  readonly client: DevClient;
  readonly token: string;
  readonly read: Read;
  readonly denial: Denial;
  readonly refusedAs: 401 | 403;
}

/** One reader for each kind of denial. */
export async function subjects(phylax: TestStack): Promise<readonly Subject[]> {
  const { dev } = phylax;
  const [issuer] = dev.issuers;
  if (issuer === undefined) throw new Error("the sandbox has an issuer");
  const mobile = phylax.client("telehealth-mobile");
  const denied = async (
    refusedAs: 401 | 403,
    client: DevClient,
    denial: Denial,
    given?: string,
  ): Promise<Subject> => {
    const token = given ?? (await accessToken(dev, client));
    return { client, token, read: reading(phylax, client, token), denial, refusedAs };
  };
  const stolen = await phylax.token("telehealth");
  const { jti = "", exp = 0 } = decodeJwt(stolen);
  const clinic = await admitClinic(phylax);
  return [
    await denied(
      401,
      phylax.client("telehealth"),
      { kind: "token", issuer: dev.gateway, id: jti, until: instant(exp * 1000) },
      stolen,
    ),
    await denied(401, phylax.client("payer"), {
      kind: "certificate",
      x5t: thumbprint(phylax.client("payer")),
    }),
    await denied(401, phylax.client("public-health"), { kind: "client", client: "public-health" }),
    await denied(401, phylax.client("patient-app"), { kind: "key", issuer: issuer.iss, keyId: issuer.kid }),
    await denied(401, mobile, { kind: "proof_key", jkt: await calculateJwkThumbprint(keyOf(mobile)) }),
    await denied(403, phylax.client("operations"), {
      kind: "grant",
      client: "operations",
      origin: "main",
      purpose: "HOPERAT",
    }),
    await denied(403, phylax.client("research"), {
      kind: "agreement",
      client: "research",
      agreement: "research-agreement",
    }),
    await denied(403, clinic.client, { kind: "policy", digest: clinic.policy }),
  ];
}

/**
 * The way in which a client reads its patient: over its certificate, or with a proof of its key and the last
 * nonce.
 */
export function reading({ dev }: TestStack, client: DevClient, token: string): Read {
  const path = `Patient/${client.patient ?? "amara-okafor"}`;
  if (!client.dpop) {
    const headers = { authorization: `Bearer ${token}` };
    return async (base) => (await send(dev, client, `${base}/${path}`, { headers })).status;
  }
  const key = keyOf(client);
  let nonce: string | undefined;
  const ask = async (base: string) => {
    // the configured name, even if the request goes to another host
    const dpop = await keyProof(key, { url: `${dev.fhir}/${path}`, method: "GET", nonce, token });
    const reply = await send(dev, undefined, `${base}/${path}`, {
      headers: { authorization: `DPoP ${token}`, dpop },
    });
    nonce = reply.headers["dpop-nonce"]?.toString() ?? nonce;
    return reply;
  };
  return async (base) => {
    const reply = await ask(base);
    const wantsNonce = String(reply.headers["www-authenticate"]).includes("use_dpop_nonce");
    return wantsNonce ? (await ask(base)).status : reply.status;
  };
}

function keyOf({ id, jwk }: DevClient): JWK {
  if (jwk === null) throw new Error(`${id} has no key of its own`);
  return JSON.parse(readFileSync(jwk, "utf8"));
}

/** A client under a policy that is granted to this client alone. */
async function admitClinic(
  phylax: TestStack,
): Promise<{ readonly client: DevClient; readonly policy: string }> {
  const files = await certificateFor(phylax, "clinic");
  const body = { ...starterPolicy("treat").body, name: "clinic" };
  const policy = parsePolicyDocument(body);
  if (!policy.ok) throw new Error(policy.error.problem);
  const entry = {
    id: "clinic",
    kind: "telehealth",
    auth: "tls_client_auth",
    certificates: [thumbprint(files)],
  };
  await phylax.stack.runtime.applyRegistry(
    joined({ policies: [{ name: "clinic", body }] }, clientEntries(entry, "TREAT", "clinic", "system/*.rs")),
  );
  const client = {
    ...phylax.client("operations"),
    ...files,
    id: "clinic",
    purpose: "TREAT",
    purposes: ["TREAT"],
  };
  return { client, policy: await policyDigest(policy.value) };
}
