import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** A FHIR server that npm brings. It is not among this project's dependencies: the test installs it. */
export const npmServer = "@asymmetrik/node-fhir-server-core@2.2.5";

export interface NpmServer {
  /** Its FHIR base. */
  readonly url: string;
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
const start = `
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

/** Installs the server into a temporary folder and starts it. */
export async function startNpmServer(port: number): Promise<NpmServer> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-npm-server-"));
  writeFileSync(join(folder, "package.json"), "{}");
  await promisify(execFile)("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", npmServer], {
    cwd: folder,
  });
  writeFileSync(join(folder, "service.cjs"), service);
  writeFileSync(join(folder, "start.cjs"), start);
  for (const type of ["Patient", "Observation"])
    writeFileSync(join(folder, `${type}.cjs`), `module.exports = require("./service.cjs")("${type}");`);
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
    url: `http://127.0.0.1:${port}/4_0_1`,
    async close() {
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
