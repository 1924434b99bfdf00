/*
 * Starts a FHIR server that this project did not write, prints its base and, where it asks for one, a token, and
 * runs until it is interrupted (docs/origins.md):
 *
 *   node scripts/with-node.mjs test/long/start-server.ts node-fhir-server-core|fhir-works-on-aws|medplum-router
 *   node scripts/with-node.mjs test/long/start-server.ts medplum MEDPLUM/packages/server
 */
import { once } from "node:events";
import { freePort } from "../support/free-port.ts";
import { startMedplum } from "../support/medplum-server.ts";
import { startMedplumRouter } from "../support/medplum-router-server.ts";
import { startNpmServer, type NpmServer } from "../support/npm-fhir-server.ts";

const [name, source] = process.argv.slice(2);

async function started(): Promise<NpmServer | undefined> {
  const port = await freePort();
  switch (name) {
    case "node-fhir-server-core":
    case "fhir-works-on-aws":
      return startNpmServer(name, port);
    case "medplum-router":
      return startMedplumRouter(port);
    case "medplum":
      return source === undefined ? undefined : startMedplum(source, port, (line) => console.error(line));
    case undefined:
    default:
      return undefined;
  }
}

// An interrupted start ends the processes that it started.
const giveUp = () => process.exit(1);
process.once("SIGINT", giveUp).once("SIGTERM", giveUp);
const server = await started();
process.off("SIGINT", giveUp).off("SIGTERM", giveUp);
if (server === undefined) {
  console.error("name a server: node-fhir-server-core, fhir-works-on-aws, medplum-router, medplum SOURCE");
  process.exit(2);
}
console.log(server.url);
if (server.authorization !== undefined) console.log(`authorization: ${server.authorization}`);
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
await server.close();
