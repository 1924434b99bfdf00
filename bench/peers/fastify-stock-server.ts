// The peer that Fastify's documentation assembles: reply-from for the origin, jwt with its cache, rate-limit,
// and a handler that parses, cuts and stringifies the answer after it wrote one durable row.
import { createPublicKey, type JsonWebKey } from "node:crypto";
import { text } from "node:stream/consumers";
import replyFrom from "@fastify/reply-from";
import jwt from "@fastify/jwt";
import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyRequest } from "fastify";
import { auditRows } from "./audit-rows.ts";
import { cutAnswer } from "./fastify-cut.ts";
import type { FastifySettings } from "./fastify.ts";

const settings: FastifySettings = JSON.parse(process.argv[2] ?? "{}");
const jwks: { readonly keys: readonly JsonWebKey[] } = JSON.parse(settings.jwks);
const [key] = jwks.keys;
if (key === undefined) throw new Error("the issuer publishes no key");
const { origin, pathname } = new URL(settings.origin);
const audit = auditRows(settings.ledger);

/** The claims of the issuer's access tokens. */
interface Claims {
  readonly client_id: string;
  readonly scope: string;
  readonly jti: string;
  readonly purpose_of_use: readonly string[];
}
declare module "@fastify/jwt" {
  interface FastifyJWT {
    payload: Claims;
    user: Claims;
  }
}

const app = fastify();
await app.register(jwt, {
  secret: {
    public: createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" }).toString(),
  },
  verify: { algorithms: ["ES256"], allowedIss: settings.issuer, allowedAud: settings.audience, cache: true },
});
await app.register(rateLimit, {
  max: settings.quota,
  timeWindow: "1 minute",
  hook: "preHandler",
  keyGenerator: ({ user }) => user.client_id,
});
await app.register(replyFrom, { base: origin });

app.addHook("onRequest", async (request, reply) => {
  await request.jwtVerify();
  const { purpose_of_use: purposes, scope } = request.user;
  if (!purposes.includes(settings.purpose) || !scope.split(" ").includes("system/*.rs"))
    await reply.status(403).send({ status: "refused" });
});

app.get("/v1/fhir/main/*", (request, reply) => {
  const path = request.url.slice("/v1/fhir/main".length);
  return reply.from(`${pathname}${path}`, {
    rewriteRequestHeaders: () => ({ accept: "application/fhir+json" }),
    rewriteHeaders: () => ({
      "content-type": "application/fhir+json; charset=utf-8",
      "cache-control": "no-store",
    }),
    onResponse: (_request, answer, { stream, statusCode }) => {
      void text(stream)
        .then((body) => (statusCode === 200 ? disclose(request, path, body) : '{"status":"refused"}'))
        .catch((fault: unknown) => fault)
        .then((sent) => answer.send(sent)); // a fault becomes a 500
    },
  });
});

/** Cuts an answer and writes its row. Returns the text that may leave. */
function disclose({ id, user, method }: FastifyRequest, path: string, text: string): string {
  const { body, patients } = cutAnswer(JSON.parse(text), settings.audience, `${settings.audience}${path}`);
  audit.append({
    id,
    at: new Date().toISOString(),
    who: { client: user.client_id, tokenId: user.jti, issuer: settings.issuer },
    what: { method, path },
    why: { purpose: settings.purpose, policy: settings.policy },
    patients,
    status: 200,
  });
  return JSON.stringify(body);
}

console.log(`listening ${await app.listen({ port: 0, host: "127.0.0.1", backlog: 4096 })}`);
