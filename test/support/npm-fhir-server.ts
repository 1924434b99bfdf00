import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** FHIR servers that npm brings. They are not among this project's dependencies: the test installs them. */
const packages = {
  "node-fhir-server-core": ["@asymmetrik/node-fhir-server-core@2.2.5"],
  "fhir-works-on-aws": ["fhir-works-on-aws-routing@6.6.2", "fhir-works-on-aws-interface@12.1.1"],
} as const;

export interface NpmServer {
  /** Its FHIR base. */
  readonly url: string;
  /** For a server that asks for a token. */
  readonly authorization?: string;
  close(): Promise<unknown>;
}

// The server parses, routes, validates and answers; it leaves storage to a service for each type. This service
// stores in memory and evaluates no search parameter, as the server's own example does.
const service = `
const { randomUUID } = require("node:crypto");
module.exports = (type) => {
  const { resolveSchema } = require("@asymmetrik/node-fhir-server-core");
  const Model = resolveSchema("4_0_1", type.toLowerCase());
  const store = new Map();
  const put = (id, json) => {
    const before = store.get(id) ?? [];
    const meta = { ...json.meta, versionId: String(before.length + 1), lastUpdated: new Date().toISOString() };
    store.set(id, [...before, { ...json, resourceType: type, id, meta }]);
    return { id, resource_version: meta.versionId };
  };
  return {
    search: async () => ({
      resourceType: "Bundle",
      type: "searchset",
      entry: [...store.values()].map((versions) => ({
        resource: versions.at(-1),
        search: { mode: "match" },
      })),
    }),
    searchById: async ({ id }) => store.has(id) ? new Model(store.get(id).at(-1)) : undefined,
    create: async (_args, { req }) => put(randomUUID(), req.body),
    update: async ({ id }, { req }) => put(id, req.body),
    remove: async ({ id }) => { store.delete(id); return { id }; },
  };
};
`;
const startCore = `
const { initialize } = require("@asymmetrik/node-fhir-server-core");
const profiles = Object.fromEntries(
  ["Patient", "Observation"].map((type) => [
    type.toLowerCase(),
    { service: require("node:path").join(__dirname, type + ".cjs"), versions: ["4_0_1"] },
  ]),
);
const server = initialize({ profiles, logging: { level: "error" } });
server.listen(Number(process.argv[2]), () => console.log("listening"));
`;

// FHIR Works on AWS routes and answers; this storage in memory stands in place of DynamoDB and OpenSearch, and
// evaluates no search parameter.
const startWorks = `
const { randomUUID } = require("node:crypto");
const { generateServerlessRouter } = require("fhir-works-on-aws-routing");
const { ResourceNotFoundError, stubs } = require("fhir-works-on-aws-interface");
const store = new Map();
const put = (resourceType, id, resource) => {
  const before = store.get(resourceType + "/" + id) ?? [];
  const meta = { ...resource.meta, versionId: String(before.length + 1), lastUpdated: new Date().toISOString() };
  const stored = { ...resource, resourceType, id, meta };
  store.set(resourceType + "/" + id, [...before, stored]);
  return { success: true, message: "stored", resource: stored };
};
const persistence = {
  updateCreateSupported: true,
  createResource: async ({ resourceType, id = randomUUID(), resource }) => put(resourceType, id, resource),
  readResource: async ({ resourceType, id }) => {
    const versions = store.get(resourceType + "/" + id);
    if (versions === undefined) throw new ResourceNotFoundError(resourceType, id);
    return { success: true, message: "read", resource: versions.at(-1) };
  },
  vReadResource: async ({ resourceType, id, vid }) => {
    const version = store.get(resourceType + "/" + id)?.[Number(vid) - 1];
    if (version === undefined) throw new ResourceNotFoundError(resourceType, id);
    return { success: true, message: "read", resource: version };
  },
  updateResource: async ({ resourceType, id, resource }) => put(resourceType, id, resource),
  deleteResource: async ({ resourceType, id }) => {
    store.delete(resourceType + "/" + id);
    return { success: true, message: "deleted" };
  },
};
const url = "http://127.0.0.1:" + process.argv[2];
const search = {
  getCapabilities: async () => ({}),
  globalSearch: async () => ({ result: { numberOfResults: 0, entries: [] } }),
  typeSearch: async ({ resourceType }) => {
    const entries = [...store.values()]
      .map((versions) => versions.at(-1))
      .filter((resource) => resource.resourceType === resourceType)
      .map((resource) => ({ search: { mode: "match" }, fullUrl: [url, resourceType, resource.id].join("/"), resource }));
    return { result: { numberOfResults: entries.length, entries } };
  },
};
const operations = ["read", "vread", "create", "update", "delete", "search-type"];
const app = generateServerlessRouter(
  {
    configVersion: 1,
    productInfo: { orgName: "test" },
    auth: { strategy: {}, authorization: stubs.passThroughAuthz },
    server: { url },
    logging: { level: "error" },
    validators: [],
    profile: {
      fhirVersion: "4.0.1",
      systemOperations: [],
      systemSearch: stubs.search,
      systemHistory: stubs.history,
      bundle: stubs.bundle,
      genericResource: { operations, fhirVersions: ["4.0.1"], persistence, typeSearch: search, typeHistory: stubs.history },
    },
  },
  ["Patient", "Observation"],
);
app.listen(Number(process.argv[2]), () => console.log("listening"));
`;

/** Installs the server into a temporary folder and starts it. */
export async function startNpmServer(name: keyof typeof packages, port: number): Promise<NpmServer> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-npm-server-"));
  writeFileSync(join(folder, "package.json"), "{}");
  const install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...packages[name]];
  await promisify(execFile)("npm", install, { cwd: folder });
  const isCore = name === "node-fhir-server-core";
  if (isCore) {
    writeFileSync(join(folder, "service.cjs"), service);
    for (const type of ["Patient", "Observation"])
      writeFileSync(join(folder, `${type}.cjs`), `module.exports = require("./service.cjs")("${type}");`);
  }
  writeFileSync(join(folder, "start.cjs"), isCore ? startCore : startWorks);
  const child = spawn(process.execPath, ["start.cjs", String(port)], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(child, "exit");
  await Promise.race([
    once(child.stdout, "data"),
    exited.then(() => {
      throw new Error("the server ended before it listened");
    }),
  ]);
  return {
    url: `http://127.0.0.1:${port}${isCore ? "/4_0_1" : ""}`,
    async close() {
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
