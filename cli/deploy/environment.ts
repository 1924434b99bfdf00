import * as z from "zod";
import { isLedgerName } from "#ledger/ledger-name";
import { readJsonFile } from "../json-file.ts";
import { UnusableFile } from "../misuse.ts";

const httpsOrigin = z.string().refine(
  (text) => {
    const url = URL.parse(text);
    return url?.protocol === "https:" && url.origin === text && url.port === "";
  },
  { message: "https://host without a port and a path" },
);
const host = z.string().regex(/^[a-z0-9.-]+(?::\d{1,5})?$/u, "host or host:port");
const binding = z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/u);
const publicJwk = z.looseObject({ kid: z.string().min(1), kty: z.enum(["EC", "OKP"]), x: z.string() });

/**
 * The values of an environment that several workers share, in one file: `phylax deploy config` writes the
 * configuration of each worker from it.
 */
export const environmentSchema = z.strictObject({
  /** Also the end of each worker's name: `phylax-gateway-staging`. */
  environment: z.string().regex(/^[a-z][a-z0-9-]{0,23}$/u),
  /** The host name that clients use: issuer, and prefix of every audience. */
  publicUrl: httpsOrigin,
  /** The host name that asks for client certificates; absent if `publicUrl` does. */
  mtlsUrl: httpsOrigin.optional(),
  opsUrl: httpsOrigin,
  /** The public address of the ledger's tiles, checkpoints and proofs. */
  ledgerUrl: httpsOrigin,
  /** Signed into every checkpoint. Never change it. */
  ledgerName: z.string().refine(isLedgerName, { message: "a name like ledger.example.org" }),
  shards: z.int().min(1).max(10_000),
  spread: z.int().min(1).default(4),
  regions: z.string().default(""),
  jurisdiction: z.string().default(""),
  database: z.strictObject({ name: z.string(), id: z.uuid() }),
  bucket: z.string().regex(/^[a-z0-9-]{3,63}$/u),
  originHosts: z.array(host),
  identityHosts: z.array(host).default([]),
  secretHosts: z.array(z.string().regex(/^[A-Z][A-Z0-9_]{0,63}@[^@\s]+$/u)).default([]),
  /** Bindings to origins in a private network, or that ask for a client certificate: docs/origins.md. */
  vpcServices: z.array(z.strictObject({ binding, service_id: z.string() })).default([]),
  mtlsCertificates: z.array(z.strictObject({ binding, certificate_id: z.string() })).default([]),
  /** Public keys of at least two auditors. */
  auditors: z.array(publicJwk),
  witnesses: z.array(z.strictObject({ url: z.url(), key: z.string() })).default([]),
  /** See docs/accounting.md. */
  accounting: z.record(z.string(), z.unknown()).optional(),
  /** The collector of traces, the part of the requests, and the secret with its `Authorization`. See docs/traces.md. */
  traces: z
    .strictObject({ collector: z.url(), share: z.number().gt(0).max(1), secret: z.string().optional() })
    .optional(),
  /** The console's settings; absent: there is no console. See docs/console.md. */
  console: z.record(z.string(), z.unknown()).optional(),
  /** The https URL that alerts are posted to; absent: none is posted. See docs/metrics.md. */
  alertWebhook: z.url({ protocol: /^https$/u }).optional(),
  tokenVerificationKeys: z.strictObject({ keys: z.array(publicJwk) }).optional(),
  responseVerificationKeys: z.strictObject({ keys: z.array(publicJwk) }).optional(),
  approvals: z.enum(["one-person", "two-persons"]).default("two-persons"),
  /** First of the rate limits' namespaces; no further Worker of the account counts in the next 99. */
  rateLimitNamespaces: z.int().min(1).default(7300),
});
export type Environment = z.infer<typeof environmentSchema>;

/** Reads the file of an environment. Throws an error that names the place in the file. */
export function readEnvironment(file: string): Environment {
  const read = readJsonFile(file);
  if (!read.ok) throw new UnusableFile(`${file}: ${read.error} (deploy/example.json is a model)`);
  const parsed = environmentSchema.safeParse(read.value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${file}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`);
}
