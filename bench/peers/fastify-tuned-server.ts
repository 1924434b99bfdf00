// A peer with Phylax's duties, on Fastify, as fast as its authors would make it: authentication bound to the
// certificate, purpose, quota, minimum necessary, and a durable record before the answer, many in one commit.
import { createHash, randomBytes } from "node:crypto";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet, type JWTPayload } from "jose";
import { Pool } from "undici";
import { ChainFile } from "./chain-file.ts";
import { cutAnswer } from "./fastify-cut.ts";
import type { TunedSettings } from "./fastify.ts";

const settings: TunedSettings = JSON.parse(process.argv[2] ?? "{}");
const keys = createLocalJWKSet(JSON.parse(settings.jwks) as JSONWebKeySet); // the issuer's published key set
const ledger = await ChainFile.create(settings.ledger);
const { origin, pathname } = new URL(settings.origin);
const upstream = new Pool(origin, { connections: 64 });

class Refused extends Error {
  readonly status: number;
  constructor(status: number) {
    super("refused");
    this.status = status;
  }
}

/**
 * Verified tokens until they expire. Their number is bounded, so that a flood of tokens cannot fill the
 * memory.
 */
const verified = new Map<string, JWTPayload>();
const verifiedMax = 10_000;

async function verify(token: string): Promise<JWTPayload> {
  const known = settings.cachesTokens ? verified.get(token) : undefined;
  if (known !== undefined && (known.exp ?? 0) > Date.now() / 1000) return known;
  const { issuer, audience } = settings;
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: "at+jwt",
    algorithms: ["ES256"],
  }).catch(() => {
    throw new Refused(401);
  });
  if (verified.size >= verifiedMax) verified.clear();
  if (settings.cachesTokens) verified.set(token, payload);
  return payload;
}

/** The token's holder (RFC 8705 §3), by the certificate that a TLS terminator forwards (RFC 9440). */
async function authenticate({ headers }: FastifyRequest): Promise<JWTPayload> {
  const token = /^Bearer ([\w.~+/-]+=*)$/iu.exec(headers.authorization ?? "")?.[1];
  const der = /^:([\w+/]+=*):$/u.exec(String(headers["client-cert"]))?.[1];
  if (token === undefined || der === undefined) throw new Refused(401);
  const claims = await verify(token);
  // RFC 8705 §3.1
  const bound = (claims["cnf"] as { readonly "x5t#S256"?: string } | undefined)?.["x5t#S256"];
  if (createHash("sha256").update(Buffer.from(der, "base64")).digest("base64url") !== bound)
    throw new Refused(401);
  const [purpose] = claims["purpose_of_use"] as readonly string[]; // the issuer's own claim
  const mayRead = String(claims["scope"]).split(" ").includes("system/*.rs");
  if (purpose !== settings.purpose || !mayRead) throw new Refused(403);
  return claims;
}

const windowMilliseconds = 60_000;
const windows = new Map<string, { ends: number; left: number }>();

/** An exact fixed window in this process's memory. */
function spend(client: string): number {
  const now = Date.now();
  const window = windows.get(client);
  const current =
    window === undefined || now >= window.ends
      ? { ends: now + windowMilliseconds, left: settings.quota }
      : window;
  if (current.left === 0) throw new Refused(429);
  current.left -= 1;
  windows.set(client, current);
  return current.left;
}

async function serve(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  query: string,
): Promise<string> {
  const id = randomBytes(16).toString("hex");
  const claims = await authenticate(request);
  const client = String(claims["client_id"]);
  const left = spend(client);

  const answer = await upstream.request({
    method: "GET",
    path: `${pathname}/${path}${query}`,
    headers: { accept: "application/fhir+json", prefer: "handling=strict" },
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Refused(answer.statusCode === 404 ? 404 : 502);
  const { body, patients } = cutAnswer(
    JSON.parse(text),
    settings.audience,
    `${settings.audience}/${path}${query}`,
  );
  if (body === undefined) throw new Refused(404);

  const { index, hash } = await ledger.append({
    id,
    at: new Date().toISOString(),
    who: { client, tokenId: claims.jti, issuer: claims.iss },
    what: { method: "GET", path, query },
    why: { purpose: settings.purpose, policy: settings.policy },
    patients,
    status: 200,
  });
  void reply.headers({
    "content-type": "application/fhir+json; charset=utf-8",
    "cache-control": "no-store",
    "x-request-id": id,
    receipt: `index=${index}, hash=${hash}`,
    ratelimit: `"default";r=${left};t=60`,
    "ratelimit-policy": `"default";q=${settings.quota};w=60`,
  });
  return JSON.stringify(body);
}

const app = fastify();
app.get<{ Params: { type: string; id: string } }>("/v1/fhir/main/:type/:id", (request, reply) => {
  const { type, id } = request.params;
  if (type !== "Patient" || !/^[A-Za-z0-9.-]{1,64}$/u.test(id)) throw new Refused(403);
  return serve(request, reply, `${type}/${id}`, "");
});
app.get<{ Params: { type: string }; Querystring: Record<string, string> }>(
  "/v1/fhir/main/:type",
  (request, reply) => {
    const { patient, ...others } = request.query;
    if (request.params.type !== "Observation" || Object.keys(others).length > 0 || patient === undefined)
      throw new Refused(403);
    return serve(request, reply, "Observation", `?${new URLSearchParams({ patient }).toString()}`);
  },
);
app.setErrorHandler((fault, _request, reply) =>
  reply.status(fault instanceof Refused ? fault.status : 500).send({ status: "refused" }),
);

console.log(`listening ${await app.listen({ port: 0, host: "127.0.0.1", backlog: 4096 })}`);
