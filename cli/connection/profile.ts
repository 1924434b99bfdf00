import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Misuse, UnusableName } from "../misuse.ts";
import type { DevClient } from "./dev-file.ts";
import { writePrivateFile } from "../private-file.ts";

/**
 * A deployment that the command may call: `<folder>/NAME.json`, written by `phylax login`. Paths are absolute,
 * URLs have no slash at the end.
 */
export interface Profile {
  /** The operators' door. */
  readonly ops: string;
  /** The host name that this machine calls: MTLS_URL of the deployment, if it has two names. */
  readonly gateway?: string;
  /** Issuer and prefix of every audience: PUBLIC_URL. */
  readonly issuer?: string;
  readonly tokenEndpoint?: string;
  /** The FHIR base that `phylax get` reads. */
  readonly fhir?: string;
  readonly ledger?: string;
  /** PEM file of an authority besides the system's. */
  readonly ca?: string;
  readonly operator: { readonly id: string; readonly cert: string; readonly key: string };
  /** The place where this operator signs in. A machine has none. */
  readonly signIn?: {
    readonly iss: string;
    readonly client: string;
    readonly scope: string;
    readonly acr: readonly string[];
    readonly maxAgeSeconds?: number;
  };
  /** Verifier keys as in dev.json, so that `--keys` takes this file. */
  readonly logs?: Readonly<Record<string, string>>;
  readonly root?: string;
  readonly witnesses?: Readonly<Record<string, string>>;
  readonly clients?: readonly DevClient[];
}

const nameOfProfile = /^[a-z0-9][a-z0-9._-]{0,63}$/u;

/** `$XDG_CONFIG_HOME/phylax`, or `~/.config/phylax`. */
const profileFolder = (): string =>
  join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "phylax");

/** The file of a profile. The name is a file's name, so it has letters, digits, `.`, `_` and `-` only. */
export function profileFile(name: string): string {
  if (!nameOfProfile.test(name))
    throw new Misuse(`not a profile's name: ${name}; use small letters, digits, ".", "_" and "-"`);
  return join(profileFolder(), `${name}.json`);
}

export const profileNames = (): readonly string[] => {
  try {
    return readdirSync(profileFolder())
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .sort();
  } catch {
    return []; // no profile was ever written
  }
};

/** Throws an error that names the command to run if there is no such profile. */
export function readProfile(name: string): Profile {
  const file = profileFile(name);
  let profile: Partial<Profile>;
  try {
    profile = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    const known = profileNames();
    throw new UnusableName(
      `no profile ${name}: make it with \`phylax login ${name} --ops URL --cert FILE --key FILE\`` +
        (known.length === 0 ? "" : `, or choose from: ${known.join(", ")}`),
    );
  }
  const { ops, operator } = profile;
  if (
    typeof ops !== "string" ||
    [operator?.id, operator?.cert, operator?.key].some((text) => typeof text !== "string")
  )
    throw new Error(`${file} is not a profile: remove it, and run \`phylax login ${name}\` with all options`);
  return { ...profile, ops, operator: operator as Profile["operator"] }; // asked above
}

/** Writes a profile. The file names keys and is for its owner only. */
export function writeProfile(name: string, profile: Profile): void {
  writePrivate(profileFile(name), `${JSON.stringify(profile, undefined, 2)}\n`);
}

/** Deletes a profile with its token. */
export function removeProfile(name: string): void {
  rmSync(profileFile(name), { force: true });
  removeToken(name);
}

const tokenFile = (name: string): string => profileFile(name).replace(/\.json$/u, ".token");

interface StoredToken {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Stores the access token of a sign-in in a file that only its owner can read. */
export const writeToken = (name: string, stored: StoredToken): void =>
  writePrivate(tokenFile(name), `${JSON.stringify(stored)}\n`);

export const removeToken = (name: string): void => rmSync(tokenFile(name), { force: true });

/** The stored token, if it has not ended. A token that has ended is deleted. */
export function readToken(name: string, now = Date.now()): string | undefined {
  let stored: StoredToken;
  try {
    stored = JSON.parse(readFileSync(tokenFile(name), "utf8"));
  } catch {
    return undefined; // no sign-in is stored
  }
  if (stored.until > now) return stored.token;
  removeToken(name);
  return undefined;
}

function writePrivate(file: string, text: string): void {
  mkdirSync(profileFolder(), { recursive: true, mode: 0o700 });
  writePrivateFile(file, text);
}

let selected: string | undefined;

/** Sets the profile of `--profile` for the command that runs now; undefined is the sandbox. */
export function selectProfile(name: string | undefined): void {
  selected = name;
}

export const selectedProfile = (): string | undefined => selected;
