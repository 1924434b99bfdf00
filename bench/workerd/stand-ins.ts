import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { embed, type CapnpStruct } from "./capnp.ts";

/**
 * Stand-ins for the two stores of Cloudflare that are not in workerd: D1 and R2. They are Miniflare's own
 * Workers, taken from its package, without the Workers that Miniflare puts before and behind each Worker. None
 * of them is on the path of a read.
 */
const products = {
  d1: {
    entry: "d1/entry.worker.js",
    object: "d1/database.worker.js",
    className: "D1DatabaseObject",
  },
  r2: { entry: "shared/object-entry.worker.js", object: "r2/bucket.worker.js", className: "R2BucketObject" },
} as const;
export type Product = keyof typeof products;

const workers = join(dirname(fileURLToPath(import.meta.resolve("miniflare"))), "workers");

/** Modules that the stand-ins import by name. */
const imported = [
  { name: "miniflare:shared", file: "shared/index.worker.js" },
  { name: "miniflare:zod", file: "shared/zod.worker.js" },
] as const;
const rateLimiter = "bench:rate-limiter";

/** Writes the text of one of Miniflare's modules through `put`, which returns its path. */
type Put = (name: string, text: string) => string;
const source = (file: string, put: Put) =>
  embed(put(file.replaceAll("/", "-"), readFileSync(join(workers, file), "utf8")));

/** The modules of the stand-ins; `limiter`: path of the bundled `rate-limiter.ts` in the same folder. */
export const standInExtensions = (put: Put, limiter: string): readonly CapnpStruct[] => [
  {
    modules: [
      ...imported.map(({ name, file }) => ({ name, esModule: source(file, put) })),
      { name: rateLimiter, esModule: embed(limiter), internal: true },
    ],
  },
];

/** The services of one product: its Worker, its Durable Object, and the folder of its state. */
export function standIn(product: Product, state: string, put: Put): readonly CapnpStruct[] {
  const { entry, object, className } = products[product];
  const common = { compatibilityDate: "2023-07-24", compatibilityFlags: ["nodejs_compat", "experimental"] };
  const storage = `${product}-storage`;
  return [
    {
      name: product,
      worker: {
        ...common,
        modules: [{ name: "entry.js", esModule: source(entry, put) }],
        bindings: [
          {
            name: "MINIFLARE_OBJECT",
            durableObjectNamespace: { serviceName: `${product}-object`, className },
          },
        ],
      },
    },
    {
      name: `${product}-object`,
      worker: {
        ...common,
        modules: [{ name: "object.js", esModule: source(object, put) }],
        durableObjectNamespaces: [{ className, uniqueKey: className, enableSql: true }],
        durableObjectStorage: { localDisk: storage },
        bindings: [{ name: "MINIFLARE_BLOBS", service: { name: storage } }],
      },
    },
    { name: storage, disk: { path: state, writable: true } },
  ];
}

const namespace = (product: Product, id: string) => ({
  name: product,
  props: { json: JSON.stringify({ MINIFLARE_NAMESPACE: id }) },
});

export const d1Binding = (name: string, id: string): CapnpStruct => ({
  name,
  wrapped: {
    moduleName: "cloudflare-internal:d1-api",
    innerBindings: [{ name: "fetcher", service: namespace("d1", id) }],
  },
});

export const r2Binding = (name: string, id: string): CapnpStruct => ({ name, r2Bucket: namespace("r2", id) });

export const ratelimitBinding = (
  name: string,
  { limit, period }: { readonly limit: number; readonly period: number },
): CapnpStruct => ({
  name,
  wrapped: {
    moduleName: rateLimiter,
    innerBindings: [
      { name: "limit", json: String(limit) },
      { name: "period", json: String(period) },
    ],
  },
});
