import { builtinModules } from "node:module";
import { defineConfig, type OxlintOverride } from "oxlint";
import manifest from "./package.json" with { type: "json" };

/**
 * The room table: each room, with the rooms and packages it may import. Inside a folder imports are
 * `./file.ts`, across folders `#room/file`, never `../`. `from` are packages (and node: modules). A pure room
 * has no fetch, clock, randomness or logging. test/rooms.test.ts plants a bad import of each kind and expects
 * the report.
 */
const pure = [
  "kernel",
  "fhir",
  "residence",
  "identity",
  "registry",
  "limits",
  "ledger",
  "audit",
  "policy",
  "phi",
  "deid",
  "deid-check",
  "authoring",
  "auditing",
] as const;
const belowDoors = [...pure, "entrypoint"];
const doors = ["gateway", "token", "admin", "console", "doors"] as const;
const gatewayRoom = { rooms: belowDoors, from: [] } as const;
const rooms: Record<string, { readonly rooms: readonly string[]; readonly from: readonly string[] }> = {
  kernel: { rooms: [], from: [] },
  fhir: { rooms: ["kernel"], from: [] },
  // node:crypto reads the names in a certificate.
  identity: { rooms: ["kernel", "fhir"], from: ["zod/mini", "node:crypto"] },
  limits: { rooms: ["kernel"], from: [] },
  // node:crypto runs in workerd too, synchronously: a Durable Object hashes and seals inside a single turn.
  ledger: { rooms: ["kernel"], from: ["cborg", "node:crypto"] },
  residence: { rooms: ["kernel", "fhir"], from: [] },
  registry: { rooms: ["kernel", "fhir", "identity"], from: ["zod"] },
  audit: { rooms: ["kernel", "fhir", "residence", "ledger"], from: ["node:crypto"] },
  policy: { rooms: ["kernel", "fhir", "residence", "identity"], from: ["zod/mini"] },
  phi: { rooms: ["kernel", "fhir", "residence", "policy"], from: [] },
  // The worker `jobs` and the command make forms of rows; the byte engine reads as the engine of `phi` does.
  deid: { rooms: ["kernel", "fhir", "residence", "policy", "phi"], from: [] },
  // It judges what `deid` wrote, so it shares no code and no table with any room.
  "deid-check": { rooms: [], from: [] },
  // Code that no request runs: the operators' command and the publishing of a policy use it.
  authoring: {
    rooms: ["kernel", "fhir", "identity", "registry", "audit", "policy", "phi", "deid"],
    from: [],
  },
  // The reader of logs and records: the operators' command and the console's scripts in the browser use it.
  auditing: { rooms: ["kernel", "ledger", "audit"], from: ["jose"] },
  // Code that each public surface needs; the doors build on it.
  entrypoint: { rooms: pure, from: [] },
  gateway: gatewayRoom,
  // A room for each further tongue: what it reads and writes. It has no rule.
  doors: { rooms: ["kernel", "fhir", "identity", "limits", "entrypoint", "gateway"], from: [] },
  token: { rooms: belowDoors, from: [] },
  admin: { rooms: belowDoors, from: ["hono", "hono/*", "zod"] },
  // Its pages ask for the same verbs as the operators' API.
  console: { rooms: [...belowDoors, "admin"], from: ["hono", "hono/*", "zod"] },
  platform: {
    rooms: pure,
    from: [
      "cloudflare:*",
      "drizzle-orm",
      "drizzle-orm/*",
      "jose",
      "structured-headers",
      "zod",
      "zod/mini",
      "cborg",
      "node:async_hooks",
      "node:crypto",
    ],
  },
};

const installed = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];
const packages = [
  ...installed.flatMap((name) => [name, `${name}/*`]),
  ...builtinModules.flatMap((name) => [name, `node:${name}`]),
  "cloudflare:*",
];
const everyRoom = [...belowDoors, ...doors, "platform"];

interface Ban {
  readonly group: string[];
  readonly importNames?: string[];
  readonly message: string;
}

/** The row of a room as lint rules: every import is refused except the imports that the row names. */
function boundary(
  name: string,
  room: { readonly rooms: readonly string[]; readonly from: readonly string[] },
  files: readonly string[] = [`src/${name}/**/*.{ts,tsx}`],
  bans: readonly Ban[] = [],
): OxlintOverride {
  const banned = everyRoom
    .filter((other) => other !== name && !room.rooms.includes(other))
    .map((other) => `#${other}/**`);
  return {
    files: [...files],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            { group: ["../**"], message: "Across folders import by name: #room/file." },
            {
              group: banned,
              message: `The room table lets ${name}/ import only: ./, ${room.rooms.join(", ") || "nothing"}.`,
            },
            {
              // An entry of a package (`zod/mini`) may stand in the table without the package itself.
              group: [
                ...packages.filter((name) => !room.from.includes(name)),
                ...room.from.filter((name) => !packages.includes(name)).map((name) => `!${name}`),
              ],
              message: `The room table lets ${name}/ use only: ${room.from.join(", ") || "no package"}.`,
            },
            ...bans,
          ],
        },
      ],
      ...(pure.some((p) => p === name) ? purity : {}),
    },
  };
}

/** Nothing below `authorize` asks a policy: the functions that ask one are called there alone. */
const asksPolicy: Ban = {
  group: ["#policy/evaluate*", "#policy/search/evaluate-search"],
  importNames: [
    "evaluate",
    "evaluateAccounting",
    "evaluateListing",
    "allowed",
    "evaluateWrite",
    "evaluateSearch",
  ],
  message: "Only gateway/admission/authorize.ts asks a policy: take the grant.",
};
/** Files that still compare a resource type with a literal; each leaves this list when it is rebuilt. */
const stillCompares = [
  "src/gateway/facts/{consents,relations}-at-origin.ts",
  "src/gateway/origin/united-patients.ts",
  "src/gateway/read/security-context.ts",
];

/** A door reads and writes a tongue. It has no rule about who may see what, and puts nothing on record itself. */
const doorFiles = ["src/gateway/http/**/*.ts"];
const ofCore: readonly Ban[] = [
  {
    group: [
      "#policy/**",
      "#phi/**",
      "#platform/**",
      "#gateway/record/**",
      "#gateway/read/**",
      "!#gateway/read/etag",
      "!#gateway/read/oauth-uris",
    ],
    message: "A door has no rule and no record of its own: it hands its question to the pipeline.",
  },
  {
    group: [
      "#gateway/perform",
      "#gateway/dispatch",
      "#gateway/admission/authorize",
      "#gateway/admission/permit",
      "#gateway/admission/release-gate",
    ],
    message: "A door neither authorizes nor releases: it hands its question to the pipeline.",
  },
  {
    group: ["#gateway/release", "#entrypoint/request-records"],
    importNames: ["release", "releaseFault", "RequestRecords"],
    message: "A door neither releases nor records: it hands its question to the pipeline.",
  },
];

const purity = {
  "no-restricted-globals": [
    "error",
    { name: "fetch", message: "A pure room does no I/O: take a port." },
    { name: "setTimeout", message: "A pure room has no clock: take the time as an argument." },
    { name: "performance", message: "A pure room has no clock: take the time as an argument." },
    { name: "console", message: "A pure room does not log." },
    { name: "caches", message: "A pure room does no I/O: take a port." },
  ],
  "no-restricted-properties": [
    "error",
    { object: "Date", property: "now", message: "A pure room has no clock: take the time as an argument." },
    { object: "Math", property: "random", message: "A pure room has no randomness: take it as an argument." },
    {
      object: "crypto",
      property: "getRandomValues",
      message: "A pure room has no randomness: take it as an argument.",
    },
    {
      object: "crypto",
      property: "randomUUID",
      message: "A pure room has no randomness: take it as an argument.",
    },
  ],
} satisfies OxlintOverride["rules"];

/**
 * Deployables and tools: each may use all of src/, and never another deployable or tool. The benchmark alone
 * uses the development stack's certificates, synthetic data and list of Workers.
 */
const tops = [
  "workers/gateway",
  "workers/control",
  "workers/ledger",
  "workers/ops",
  "workers/witness",
  "cli",
  "sandbox",
  "bench",
];
const islands = tops.map((top): OxlintOverride => ({
  files: [`${top}/**/*.ts`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: tops
          .filter((other) => other !== top && !(top === "bench" && other === "sandbox"))
          .map((other) => ({
            group: [`**/${other}/**`, `**/${other.split("/").at(-1) ?? other}/index.ts`],
            message: "Deployables and tools never import each other.",
          })),
      },
    ],
  },
}));

export default defineConfig({
  plugins: ["typescript", "unicorn", "oxc", "import", "promise"],
  categories: { correctness: "error", suspicious: "error", perf: "error" },
  ignorePatterns: ["**/env.d.ts", "**/*.gen.ts", "dist", ".phylax"],
  options: { typeAware: true },
  jsPlugins: ["./scripts/lint-rules.ts"],
  rules: {
    "no-console": "off",
    "no-await-in-loop": "off", // order is often the point: sequential commits, ordered deletes
    "no-shadow": "off",
    "no-underscore-dangle": "off", // FHIR's own names: _id, _birthDate
    "no-unused-expressions": ["error", { allowTaggedTemplates: true }], // a statement of SQL
    "no-unused-private-class-members": "off", // tsc finds them, and sees the tag of a template too
    "import/no-unassigned-import": "off",
    "import/no-cycle": "error",
    "import/no-default-export": "off",
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/switch-exhaustiveness-check": "error",
    // tsc refuses a missing return itself (TS2366), and sees that a switch is exhaustive
    "typescript/consistent-return": "off",
    "typescript/strict-boolean-expressions": "off",
    "typescript/ban-ts-comment": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-unsafe-type-assertion": "off", // each cast has its reason on its own line
    "unicorn/consistent-function-scoping": "off", // a small function may be next to its only use
    "unicorn/no-array-sort": "off",
    "unicorn/no-array-reverse": "off",
    "unicorn/prefer-set-has": "off",
    eqeqeq: ["error", "always"],
  },
  overrides: [
    // A test's own arrays are short, and so are those of a person at the command or at a page.
    {
      files: ["{src,workers,sandbox}/**/*.{ts,tsx}"],
      excludeFiles: ["src/console/**"],
      rules: { "phylax/no-spread-arguments": "error" },
    },
    {
      files: ["src/gateway/**/*.ts"],
      excludeFiles: stillCompares,
      rules: { "phylax/no-type-comparison": "error" },
    },
    ...Object.entries(rooms).map(([name, room]) => boundary(name, room)),
    boundary("gateway", gatewayRoom, ["src/gateway/**/*.ts"], [asksPolicy]),
    boundary("gateway", gatewayRoom, ["src/gateway/admission/authorize.ts"]),
    boundary("gateway", gatewayRoom, doorFiles, [asksPolicy, ...ofCore]),
    ...islands,
  ],
});
