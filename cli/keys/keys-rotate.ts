import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Misuse, printFault, UnusableFile, UnusableName } from "../misuse.ts";
import { readSecrets, writePrivate } from "./keys-new.ts";
import {
  checkpointKeysIn,
  newSecret,
  publicHalfOf,
  sharedWithJobs,
  configOf,
  workerSecrets,
  type Worker,
} from "./made-keys.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/** A step of a rotation: a file for `wrangler secret bulk`, or a variable to deploy, and the time to wait. */
interface Step {
  readonly does: string;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly next: string;
}

// ACCOUNTING_KEY and SUBJECT_KEY have no last step.
const overlapSeconds: Readonly<Record<string, string>> = {
  CONSENT_KEY:
    "ten minutes, then file the Consents anew, until 0 rows remain: phylax consent refile --patients FILE (docs/keys.md)",
  CODES_KEY: "two days: the key of each data set is wrapped anew once a day",
  PAGING_KEY: "16 minutes: a paging link is valid for 15",
  DPOP_NONCE_KEY: "2 minutes: a nonce is valid for one",
  CONSOLE_SESSION_KEY:
    "the longest maxAgeSeconds of an operator: the sign-ins of that time end with the old key",
};

const verificationKeys: Readonly<Record<string, string>> = {
  TOKEN_SIGNING_KEY: "TOKEN_VERIFICATION_KEYS",
  RESPONSE_SIGNING_KEY: "RESPONSE_VERIFICATION_KEYS",
};

/** The member of the environment's file that gives a variable: `tokenVerificationKeys`. */
const memberOf = (variable: string): string =>
  variable.toLowerCase().replaceAll(/_(\w)/gu, (_, letter: string) => letter.toUpperCase());

/**
 * Writes the steps that replace a secret with no failed request: each step is a file of secrets to deploy, in
 * the order of their numbers. The workers accept the old and the new key from the first step to the last.
 */
export function keysRotate(args: readonly string[]): number {
  const { values, positionals } = readCall(args, {
    out: { type: "string" },
    environment: { type: "string" },
  });
  const [file, name, ...more] = positionals;
  if (file === undefined || name === undefined || values.out === undefined || more.length > 0)
    throw new Misuse();
  const files: string[] = [];
  try {
    const secrets = readSecrets(file);
    const current = secrets[name];
    if (current === undefined)
      throw new UnusableName(`${file} has no ${name}: it has ${Object.keys(secrets).join(", ")}`);
    const worker = workerOf(secrets, name);
    const folder = resolve(values.out);
    const steps: object[] = [];
    const todo = stepsOf(name, workerSecrets[worker][name] ?? "list", current);
    // Each run makes a new key: a step of this run beside a step of an earlier run would use a key that no step accepts.
    refuseEarlierSteps(folder, name);
    for (const [index, step] of todo.entries()) {
      say(`${index + 1}. ${step.does}`);
      const written = step.secrets && join(folder, `${index + 1}-${name}.secrets.json`);
      steps.push({ does: step.does, ...(written !== undefined && { file: written }), next: step.next });
      if (step.secrets !== undefined && written !== undefined) {
        writePrivate(written, step.secrets);
        files.push(written);
        for (const each of workersWith(worker, name))
          say(`   npx wrangler secret bulk ${written} -c ${configOf(each, values.environment)}`);
      }
      say(`   ${step.next}`);
    }
    giveResult({ secret: name, worker, steps });
    return 0;
  } catch (fault) {
    // The steps before a step that was not written have a new key that no further step uses.
    for (const written of files) rmSync(written, { force: true });
    return printFault(fault);
  }
}

/** Throws if the folder has a step of an earlier rotation of the secret. */
function refuseEarlierSteps(folder: string, name: string): void {
  const taken = [1, 2, 3]
    .map((number) => join(folder, `${number}-${name}.secrets.json`))
    .find((file) => existsSync(file));
  if (taken !== undefined)
    throw new UnusableFile(
      `${taken} is a step of an earlier rotation: nothing was written. If a step of it was deployed, go on with its files; else delete them, or name a new folder`,
    );
}

/** The worker whose file this is: two workers have a DPOP_NONCE_KEY. */
function workerOf(secrets: Readonly<Record<string, string>>, name: string): Worker {
  const all = Object.keys(workerSecrets) as readonly Worker[]; // the table has exactly the workers
  const [worker] = all
    .filter((each) => Object.hasOwn(workerSecrets[each], name))
    .sort((left, right) => shared(right, secrets) - shared(left, secrets));
  if (worker === undefined) throw new UnusableName(`no worker has the secret ${name}`);
  return worker;
}

/** The workers that have the secret with one value. */
const workersWith = (worker: Worker, name: string): readonly Worker[] =>
  sharedWithJobs.includes(name) && worker !== "ops" ? ["jobs", "gateway"] : [worker];

const shared = (worker: Worker, secrets: Readonly<Record<string, string>>): number => {
  const names = Object.keys(workerSecrets[worker]);
  return names.filter((name) => Object.hasOwn(secrets, name)).length - names.length;
};

function stepsOf(name: string, form: string, current: string): readonly Step[] {
  const variable = verificationKeys[name];
  if (variable !== undefined && form === "ES256") return signingSteps(name, variable, current);
  if (form === "list") return listSteps(name, current);
  if (form === "Ed25519 list") return checkpointSteps(name, current);
  throw new UnusableName(`${name} has no rotation by steps: docs/keys.md says what to do`);
}

function listSteps(name: string, current: string): readonly Step[] {
  const made = newSecret(name, "list");
  const wait = "Wait two minutes, until each isolate has this value.";
  const later = overlapSeconds[name];
  const steps: Step[] = [
    {
      does: `Accept the new key; the old key is still used.`,
      secrets: { [name]: `${current} ${made}` },
      next: wait,
    },
    {
      does: `Use the new key; the old key is still accepted.`,
      secrets: { [name]: `${made} ${current}` },
      next:
        later === undefined ? "Leave it so: rows of the old key are read for six years." : `Wait ${later}.`,
    },
  ];
  return later === undefined
    ? steps
    : [...steps, { does: "Drop the old key.", secrets: { [name]: made }, next: "Done." }];
}

/** The steps of the ledger's own key: verifiers know a key before it alone signs, and its public half stays. */
function checkpointSteps(name: string, current: string): readonly Step[] {
  const [old = "", ...earlier] = checkpointKeysIn(current);
  const made = newSecret(name, "Ed25519 list");
  const listOf = (...keys: readonly string[]) => ({ [name]: `[${[...keys, ...earlier].join(",")}]` });
  return [
    {
      does: "Sign with both keys; leaves of the root log have the old key's signature.",
      secrets: listOf(old, made),
      next: "After a theft of the old key read docs/keys.md first (A lost or stolen key). Give auditors and witnesses the verifier keys of both (keys public prints them); set them in CONSOLE and ACCOUNTING, and the witness's WITNESSED_LOGS to the new key.",
    },
    {
      does: "Sign with both keys; leaves of the root log have the new key's signature.",
      secrets: listOf(made, old),
      next: "Wait until each auditor has both keys, and each witness the new key.",
    },
    {
      does: "Sign with the new key alone; the old public half stays, for what it signed.",
      secrets: listOf(made, JSON.stringify(publicHalfOf(old))),
      next: "Leave the public half for as long as the ledger has leaves of its time: six years and a half. End the old key for verifiers: @ and the size of the root log (ledger verify prints it) after its verifier key.",
    },
  ];
}

function signingSteps(name: string, variable: string, current: string): readonly Step[] {
  const made = newSecret(name, "ES256");
  const both = JSON.stringify({ keys: [publicHalfOf(current), publicHalfOf(made)] });
  return [
    {
      does: `Publish both public halves: set ${memberOf(variable)} of the environment's file, and deploy.`,
      next: `${variable} = '${both}'`,
    },
    {
      does: "Sign with the new key, an hour later: servers that fetch the key set store it for that time.",
      secrets: { [name]: made },
      next: "Wait six minutes: a token lives five, and clocks differ by one.",
    },
    name === "RESPONSE_SIGNING_KEY"
      ? {
          does: `Take ${memberOf(variable)} (${variable}) out, and deploy.`,
          next: "Leave the old half in for as long as clients may check an old answer.",
        }
      : {
          does: `Take the old half out of ${memberOf(variable)} (${variable}), and deploy.`,
          next: "Done: jobs has the new half from there.",
        },
  ];
}
