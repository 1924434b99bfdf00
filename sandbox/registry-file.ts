import { readFileSync, statSync } from "node:fs";
import { repeatsMember } from "#identity/jose/repeated-member";
import { isTooDeep } from "#identity/jose/too-deep";
import { secretNamesIn } from "#platform/config/secret-names";
import { StartRefusal } from "./start-refusal.ts";

/** A registry file after parsing; `control` validates its content. */
export interface RegistryFile {
  readonly path: string;
  readonly document: unknown;
  /** Names of its origins. */
  readonly origins: readonly string[];
  /**
   * Hosts of its origins. By starting the stack with this file the operator permits the gateway to call them.
   */
  readonly hosts: readonly string[];
  /**
   * Hosts of the servers that it names for keys, introspection and access tokens. The gateway may call them
   * too.
   */
  readonly identityHosts: readonly string[];
  /** `NAME@host` for each secret that it names: the hosts of the entries that name it. */
  readonly secretHosts: readonly string[];
  /**
   * The certificates that the gateway shows to origins, by the names of bindings: `host:port` of the origin, and the
   * PEM text of certificate and key from the environment.
   */
  readonly certified: Readonly<Record<string, { readonly host: string; readonly pem: string }>>;
  /** The values of the secrets that it names, from the environment. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Names of the missing secrets: a server whose secret is missing cannot be called. */
  readonly missing: readonly string[];
}

/** Reads a registry file before any process is started. Throws a StartRefusal and never quotes the file. */
export function readRegistryFile(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
): RegistryFile {
  const document = parse(path, readText(path));
  const [origins, issuers, clients] = ["origins", "issuers", "clients"].map((list) =>
    entriesOf(document, list),
  );
  const credentials = origins?.map((origin) => member(origin, "credentials")) ?? [];
  const introspections = issuers?.map((issuer) => member(issuer, "introspection")) ?? [];
  const servers = [
    ...[...(issuers ?? []), ...(clients ?? [])].map((entry) => member(entry, "jwksUri")),
    ...introspections.map((introspection) => member(introspection, "endpoint")),
    ...credentials.map((credential) => member(credential, "tokenEndpoint")),
  ];
  const named = secretNamesIn([origins, introspections]).map(({ name }) => name);
  const bindings = (origins ?? []).flatMap((origin) => {
    const name = member(member(origin, "credentials"), "binding");
    return typeof name === "string" ? hostsOf([member(origin, "url")]).map((host) => ({ name, host })) : [];
  });
  return {
    path,
    document,
    origins: (origins ?? [])
      .map((origin) => member(origin, "name"))
      .filter((name) => typeof name === "string"),
    hosts: hostsOf(origins?.map((origin) => member(origin, "url")) ?? []),
    identityHosts: hostsOf(servers),
    secretHosts: [
      ...(origins ?? []).flatMap((origin) => {
        const [url, credential] = [member(origin, "url"), member(origin, "credentials")];
        const [secret, binding] = [member(credential, "secret"), member(credential, "binding")];
        const headers = secretNamesIn(member(origin, "headers"));
        const sent = [binding, ...headers.map(({ name }) => name)].flatMap((name) => secretAt(name, [url]));
        return secretAt(secret, [url, member(credential, "tokenEndpoint")]).concat(sent);
      }),
      ...introspections.flatMap((introspection) =>
        secretAt(member(member(introspection, "credentials"), "secret"), [member(introspection, "endpoint")]),
      ),
    ],
    certified: Object.fromEntries(
      bindings.flatMap(({ name, host }) => {
        const pem = environment[name];
        return pem ? [[name, { host, pem }] as const] : [];
      }),
    ),
    secrets: Object.fromEntries(
      named.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])),
    ),
    missing: [...named, ...bindings.map(({ name }) => name)].filter((name) => !environment[name]),
  };
}

const secretAt = (name: unknown, urls: readonly unknown[]): string[] =>
  typeof name === "string" ? hostsOf(urls).map((host) => `${name}@${host}`) : [];

const hostsOf = (urls: readonly unknown[]): string[] =>
  urls.flatMap((url) => (typeof url === "string" ? (URL.parse(url)?.host ?? []) : []));

function readText(path: string): string {
  // A pipe without a writer would block the start for ever.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new StartRefusal(`${path}: cannot be read: it is not a file`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (fault) {
    // the decoder throws a TypeError
    const why = fault instanceof TypeError ? "is not UTF-8" : "cannot be read";
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
  if (isTooDeep(text)) throw new StartRefusal(`${path}: is more than a hundred levels deep`);
  if (repeatsMember(text)) throw new StartRefusal(`${path}: an object names a member twice`);
  return document;
}

/** Members that look like entries. The registry's schema checks them later. */
function entriesOf(document: unknown, list: string): unknown[] {
  const entries = member(document, list);
  return Array.isArray(entries) ? entries : [];
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
