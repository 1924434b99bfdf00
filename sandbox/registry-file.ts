import { readFileSync } from "node:fs";
import { repeatsMember } from "#identity/repeated-member";
import { StartRefusal } from "./start-refusal.ts";

/** A registry file as it was read; `control` judges what it says. */
export interface RegistryFile {
  readonly path: string;
  readonly document: unknown;
  /** Of its origins: whoever starts the stack with this file lets the gateway call them. */
  readonly hosts: readonly string[];
  /** The bearer tokens that its origins name, out of the environment. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Those that are not there: the origin cannot be asked. */
  readonly missing: readonly string[];
}

/** Reads a registry file before anything is started. Throws a StartRefusal; never quotes what the file holds. */
export function readRegistryFile(path: string, environment: Readonly<Record<string, string | undefined>>): RegistryFile {
  const document = parse(path, readText(path));
  const hosts: string[] = [];
  const missing: string[] = [];
  const secrets: Record<string, string> = {};
  for (const origin of originsOf(document)) {
    const host = URL.parse(String(origin.url))?.host;
    if (host !== undefined) hosts.push(host);
    if (origin.credentials?.kind !== "bearer") continue;
    const name = String(origin.credentials.secret);
    const value = environment[name];
    if (value === undefined || value === "") missing.push(name);
    else secrets[name] = value;
  }
  return { path, document, hosts, secrets, missing };
}

function readText(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (fault) {
    const why = fault instanceof TypeError ? "is not UTF-8" : "cannot be read"; // the decoder throws a TypeError
    throw new StartRefusal(`${path}: ${why}`, { cause: fault });
  }
}

function parse(path: string, text: string): unknown {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new StartRefusal(`${path}: is not JSON`); // the parser's message would quote the file
  }
  if (repeatsMember(text)) throw new StartRefusal(`${path}: an object names a member twice`);
  return document;
}

interface LooseOrigin {
  readonly url?: unknown;
  readonly credentials?: { readonly kind?: unknown; readonly secret?: unknown } | null;
}

/** What looks like origins: whether they are, the registry's schema says later. */
function originsOf(document: unknown): readonly LooseOrigin[] {
  const origins: unknown = typeof document === "object" && document !== null ? Reflect.get(document, "origins") : undefined;
  return Array.isArray(origins)
    ? origins.filter((origin: unknown): origin is LooseOrigin => typeof origin === "object" && origin !== null)
    : [];
}
