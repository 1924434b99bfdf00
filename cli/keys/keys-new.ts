import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isLedgerName } from "#ledger/ledger-name";
import { Misuse, UnusableFile } from "../misuse.ts";
import {
  configOf,
  logVerifierKey,
  newPrivateJwk,
  newSecret,
  publicHalfOf,
  sharedWithJobs,
  witnessVerifierKey,
  workerSecrets,
  type Worker,
} from "./made-keys.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Makes every secret of a deployment: a file for each worker that `wrangler secret bulk` takes, and a file with
 * the public halves. A witness and an auditor make their keys themselves, each with its own option. Never
 * overwrites a file.
 */
export function keysNew(args: readonly string[]): number {
  const text = { type: "string" } as const;
  const { values, positionals } = readCall(args, {
    "ledger-name": text,
    witness: text,
    auditor: text,
    environment: text,
  });
  const [folder, ...more] = positionals;
  const { "ledger-name": ledgerName, witness, auditor, environment } = values;
  const chosen = [ledgerName, witness, auditor].filter((value) => value !== undefined);
  if (folder === undefined || more.length > 0 || chosen.length !== 1)
    throw new Misuse("name a folder, and one of --ledger-name, --witness and --auditor");
  if (environment !== undefined && ledgerName === undefined)
    throw new Misuse("--environment names the configurations of a deployment: it goes with --ledger-name");
  const place = resolve(folder);
  if (auditor !== undefined) makeAuditor(place, auditor);
  else if (witness !== undefined) makeWitness(place, witness);
  else if (ledgerName !== undefined) makeDeployment(place, ledgerName, environment);
  return 0;
}

function makeDeployment(folder: string, ledgerName: string, environment: string | undefined): void {
  if (!isLedgerName(ledgerName))
    throw new Misuse("--ledger-name has small letters, digits, dots and slashes: ledger.example.org");
  const workers = ["control", "ledger", "jobs", "gateway", "ops"] as const; // the order of the first deployment
  const files = workers.map((worker) => [worker, join(folder, `${worker}.secrets.json`)] as const);
  const publicFile = join(folder, "public.json");
  refuseExisting([...files.map(([, file]) => file), publicFile]);
  const [ledger, gateway] = [secretsOf("ledger"), secretsOf("gateway")];
  const shared = Object.entries(gateway).filter(([name]) => sharedWithJobs.includes(name));
  const made: Readonly<Partial<Record<Worker, Readonly<Record<string, string>>>>> = {
    ledger,
    gateway,
    jobs: { ...secretsOf("jobs"), ...Object.fromEntries(shared) },
  };
  for (const [worker, file] of files) writePrivate(file, made[worker] ?? secretsOf(worker));
  const root = logVerifierKey(ledger["CHECKPOINT_KEY"] ?? "", ledgerName);
  const tokenSigningKey = publicHalfOf(gateway["TOKEN_SIGNING_KEY"] ?? "");
  const keys = {
    ledgerName,
    root,
    tokenSigningKey,
    responseSigningKey: publicHalfOf(gateway["RESPONSE_SIGNING_KEY"] ?? ""),
  };
  writeFileSync(publicFile, `${JSON.stringify(keys, undefined, 2)}\n`, { flag: "wx" });
  giveResult({ files: Object.fromEntries(files), public: publicFile, verifierKey: root });
  say(`root log: ${root}`);
  say(`${publicFile}: the public halves; --keys takes this file`);
  say(`tokenVerificationKeys: ${JSON.stringify({ keys: [tokenSigningKey] })}`);
  for (const [worker, file] of files) {
    const config = configOf(worker, environment);
    if (environment === undefined) say(`npx wrangler secret bulk ${file} -c ${config}`);
    else say(`npx wrangler deploy -c ${config} --secrets-file ${file}`);
  }
  say(`Then store ${folder} offline, and delete it here: these files are the deployment's secrets.`);
}

const secretsOf = (worker: Worker): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(workerSecrets[worker]).map(([name, form]) => [name, newSecret(name, form)]),
  );

function makeWitness(folder: string, name: string): void {
  const file = join(folder, "witness.secrets.json");
  refuseExisting([file]);
  const key = newSecret("WITNESS_KEY", "Ed25519");
  writePrivate(file, { WITNESS_KEY: key });
  const verifierKey = witnessVerifierKey(key, name);
  giveResult({ files: { witness: file }, verifierKey });
  say(`verifier key: ${verifierKey}`);
  say(`npx wrangler secret bulk ${file} -c ${configOf("witness", undefined)}`);
}

function makeAuditor(folder: string, kid: string): void {
  if (!/^[\w.-]{1,64}$/u.test(kid)) throw new Misuse("--auditor is a short name, such as auditor-1");
  const file = join(folder, `${kid}.jwk.json`);
  refuseExisting([file]);
  const key = { ...newPrivateJwk("ECDH-ES+A256KW", kid), kid };
  writePrivate(file, key);
  const publicHalf = publicHalfOf(JSON.stringify(key));
  giveResult({ files: { auditor: file }, publicKey: publicHalf });
  say(`for AUDITOR_KEYS: ${JSON.stringify(publicHalf)}`);
  say(`${file}: the private half; it opens every record, and stays with the auditor`);
}

/** Prints the public halves of secrets, and the verifier keys of the ledger and of a witness. */
export function keysPublic(args: readonly string[]): number {
  const text = { type: "string" } as const;
  const { values, positionals } = readCall(args, {
    "ledger-name": text,
    witness: text,
    log: { type: "string", multiple: true, default: [] },
  });
  if (positionals.length === 0) throw new Misuse();
  const found: Record<string, unknown> = {};
  for (const file of positionals) {
    const content = readSecrets(file);
    for (const [name, value] of Object.entries(content)) {
      if (name === "CHECKPOINT_KEY") {
        const ledger = values["ledger-name"];
        if (ledger === undefined) throw new Misuse("a checkpoint key is named by --ledger-name");
        found["root"] = logVerifierKey(value, ledger);
        found["logs"] = Object.fromEntries(
          values.log.map((log) => [log, logVerifierKey(value, ledger, log)]),
        );
      } else if (name === "WITNESS_KEY") {
        if (values.witness === undefined) throw new Misuse("a witness's key is named by --witness");
        found["witnesses"] = { [values.witness]: witnessVerifierKey(value, values.witness) };
      } else if (value.startsWith("{")) found[name] = publicHalfOf(value);
    }
  }
  giveResult({ keys: found });
  say(JSON.stringify(found, undefined, 2));
  return 0;
}

/** A file of `wrangler secret bulk`, or a private JWK alone. An error never quotes the file. */
export function readSecrets(file: string): Readonly<Record<string, string>> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new UnusableFile(
      `${file} cannot be read as JSON: name a file of secrets that \`phylax keys new\` wrote`,
    );
  }
  if (typeof content !== "object" || content === null)
    throw new UnusableFile(`${file} is no file of secrets`);
  if ("kty" in content && "d" in content) return { key: JSON.stringify(content) };
  const entries: [string, unknown][] = Object.entries(content);
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  if (texts.length !== entries.length) throw new UnusableFile(`${file} is no file of secrets`);
  return Object.fromEntries(texts);
}

function refuseExisting(files: readonly string[]): void {
  const taken = files.find((file) => existsSync(file));
  if (taken !== undefined) throw new Error(`${taken} exists: name a new folder, so that no key is lost`);
}

export function writePrivate(file: string, content: object): void {
  mkdirSync(resolve(file, ".."), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
}
