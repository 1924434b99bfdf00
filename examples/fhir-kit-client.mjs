// fhir-kit-client as npm has it: it needs the FHIR base, a token, and the client's certificate.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Client } from "fhir-kit-client";
import { Agent } from "undici";

const file = process.argv[2] ?? ".phylax/dev.json";
const dev = JSON.parse(readFileSync(file, "utf8"));
const me = dev.clients.find(({ id }) => id === "payer");
const read = (path) => readFileSync(path, "utf8");
// undici.mjs shows how a program gets this token by itself.
const phylax = join(import.meta.dirname, "../cli/phylax.mjs");
const token = execFileSync(process.execPath, [phylax, "token", me.id, "--state", dirname(file)], {
  encoding: "utf8",
}).trim();
const dispatcher = new Agent({ connect: { ca: read(dev.ca), cert: read(me.cert), key: read(me.key) } });
const client = new Client({ baseUrl: dev.fhir, bearerToken: token, requestOptions: { dispatcher } });

const patient = await client.read({ resourceType: "Patient", id: "amara-okafor" });
console.log("Patient: the policy shows", Object.keys(patient).join(", "));

const claims = await client.search({
  resourceType: "Claim",
  searchParams: { patient: "amara-okafor", _count: 5 },
});
console.log(`${claims.entry?.length ?? 0} claims on the first page`);

// A payer has no rule for appointments: a refusal says what to do next.
const refusal = await client
  .search({ resourceType: "Appointment", searchParams: { patient: "amara-okafor" } })
  .catch((fault) => fault);
console.log(refusal.response.status, refusal.response.data.issue[0].details.text);
await dispatcher.close();
