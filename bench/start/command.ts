import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureAuthority, issueClientCertificate } from "../../sandbox/certificates.ts";
import { ratioOf, type Measure, type Pair } from "../measures.ts";
import { cpuOfCommand } from "../process/command.ts";

const phylax = join(import.meta.dirname, "../../cli/phylax.mjs");

/**
 * The CPU time of a start of the command beside `node -e 0`: the help of a verb, and a token that the command
 * signs itself as an external issuer, so that no server's time is in the figure.
 */
export async function runCommandStarts(folder: string, rounds: number): Promise<readonly Measure[]> {
  console.error(`start: ${rounds} rounds of the command …`);
  mkdirSync(folder);
  const state = await stateWithIssuer(folder);
  const calls = {
    empty: ["-e", "0"],
    help: [phylax, "token", "--help"],
    token: [phylax, "token", "app", "--state", state],
  };
  for (const args of Object.values(calls)) cpuOf(args); // the first start fills the cache of compiled code
  const help: Pair[] = [];
  const token: Pair[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [a, b, c] = [cpuOf(calls.empty), cpuOf(calls.help), cpuOf(calls.token)];
    help.push({ a: b, b: a });
    token.push({ a: c, b: a });
  }
  return [ratioOf("command-help-vs-node", help), ratioOf("command-token-vs-node", token)];
}

const cpuOf = (args: readonly string[]): number => cpuOfCommand(process.execPath, args);

/** A state folder whose only client gets its tokens from an external issuer. */
async function stateWithIssuer(folder: string): Promise<string> {
  await ensureAuthority(folder);
  const { cert, key } = await issueClientCertificate(folder, "app", "O=Bench, CN=app");
  const jwk = join(folder, "issuer.jwk.json");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(jwk, JSON.stringify({ ...privateKey.export({ format: "jwk" }), alg: "ES256" }));
  const iss = "https://issuer.example";
  const audience = "https://localhost/v1/fhir/main";
  const client = { id: "app", auth: "external", issuer: iss, dpop: false, purpose: "PATRQT", patient: "1" };
  writeFileSync(
    join(folder, "dev.json"),
    JSON.stringify({
      issuers: [{ iss, jwk, kid: "issuer-1", alg: "ES256", audience }],
      clients: [{ ...client, cert, key, jwk: null, scope: "patient/*.rs", sub: "1" }],
    }),
  );
  return folder;
}
