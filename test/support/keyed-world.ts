import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Resource } from "@medplum/fhirtypes";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { startDoor, type Door, type DoorOptions } from "./in-process/door.ts";
import { handlerOf } from "./in-process/memory-handler.ts";
import { serveAt, type Handler } from "./in-process/network.ts";
import type { Remote } from "./in-process/remote.ts";
import {
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  askAs,
  thumbprint,
} from "./outside.ts";

/** The kinds of origins, by the way in which a create under a key is done once there. */
export const originKinds = ["update-as-create", "if-none-exist", "plain"] as const;
export type OriginKind = (typeof originKinds)[number];

const capabilitiesOf: Readonly<Record<OriginKind, object>> = {
  "update-as-create": { updateAsCreate: true, honoursIfNoneExist: true },
  "if-none-exist": { updateAsCreate: false, honoursIfNoneExist: true },
  plain: { updateAsCreate: false },
};

/**
 * A trouble of a request on its way: before it comes to the origin, or of the answer on its way back.
 */
export type Trouble = (request: Request, act: () => Promise<Response>) => Promise<Response>;

export interface KeyedWorld {
  readonly door: Door;
  /** The trouble of an origin from now on. */
  readonly trouble: Map<OriginKind, Trouble>;
  /** The methods and paths of the writes that an origin got. */
  readonly written: ReadonlyMap<OriginKind, string[]>;
  /** The rows of an origin, by type. */
  held(kind: OriginKind, type: string): Promise<readonly Resource[]>;
  ask(kind: OriginKind, path: string, asking?: Asking): Promise<Reply>;
  /** Replaces the scope of the client's grants in the registry. */
  grant(scope: string): Promise<void>;
}

export interface Asking {
  readonly method?: string;
  readonly body?: object | string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** With a new token: the last token has expired. */
  readonly isFresh?: boolean;
  readonly scope?: string;
  /** `sub` of the token. */
  readonly subject?: string;
}

const policy = {
  format: "phylax.policy.v1",
  name: "keyed-writer",
  title: "Writes under a key",
  purposes: ["PATRQT"],
  rules: [
    {
      types: ["Observation", "Patient"],
      interactions: ["read", "search", "create", "update", "delete"],
      show: "everything",
      why: "45 CFR 164.506(c)(2): treatment activities of a provider.",
      examples: [{ says: "It may be read.", request: "Observation/1", is: "permitted" }],
    },
  ],
};

let worlds = 0;

/**
 * A door before three origins, one of each kind: all of them are the sandbox's FHIR server, which ignores
 * what its kind does not do.
 *
 * @param keyed true: each grant requires a key.
 */
export async function startKeyedWorld({
  remote,
  keyed = false,
  more = {},
  ignoresIfMatch = false,
  alarms,
}: {
  readonly remote?: Remote;
  readonly keyed?: boolean;
  /** Further fields of each origin's entry. */
  readonly more?: object;
  /** Each origin writes and deletes whatever `If-Match` says, a moment after it was asked. */
  readonly ignoresIfMatch?: boolean;
  readonly alarms?: DoorOptions["alarms"];
} = {}): Promise<KeyedWorld & { close(): Promise<void> }> {
  const first = 700 + 3 * worlds++;
  const hostOf = (kind: OriginKind) => `127.0.0.1:${first + originKinds.indexOf(kind)}`;
  const trouble = new Map<OriginKind, Trouble>();
  const written = new Map<OriginKind, string[]>(originKinds.map((kind) => [kind, []]));
  const servers = new Map<OriginKind, Handler>();
  const ends = originKinds.map((kind) => {
    const server = memoryOrigin(`http://${hostOf(kind)}/fhir`);
    server.load([
      { resourceType: "Patient", id: "amara" },
      { resourceType: "Patient", id: "bela" },
    ]);
    const real = handlerOf(server);
    servers.set(kind, real);
    return serveAt(hostOf(kind), async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET" && !pathname.endsWith("_search"))
        written.get(kind)?.push(`${request.method} ${pathname.replace("/fhir/", "")}`);
      const act = async () => {
        if (!ignoresIfMatch) return real(asKind(kind, request));
        await setTimeout(20);
        const headers = new Headers(request.headers);
        headers.delete("if-match");
        return real(asKind(kind, new Request(request, { headers })));
      };
      const through = () => (remote === undefined ? act() : remote("origin", act));
      return (trouble.get(kind) ?? ((_request, act) => act()))(request, through);
    });
  });
  const door = await startDoor({
    resources: [],
    originHosts: originKinds.map(hostOf),
    ...(remote && { remote }),
    ...(alarms && { alarms }),
  });
  const issuer = await outsider("https://keyed.example", "phylax");
  const certificate = await certificateFor(door, "keyed-app");
  const client = {
    id: "keyed-app",
    kind: "patient",
    auth: "external",
    issuer: issuer.iss,
    externalClientId: "app",
    certificates: [thumbprint(certificate)],
  };
  const granted = (scope: string) => {
    const entries = clientEntries(client, "PATRQT", "keyed-writer", scope);
    return {
      ...entries,
      grants: originKinds.flatMap((origin) =>
        entries.grants.map((grant) => Object.assign({}, grant, { origin, keyedWrites: keyed })),
      ),
    };
  };
  await door.applyRegistry(
    joined(
      {
        origins: originKinds.map((kind) => {
          const entry = {
            name: kind,
            url: `http://${hostOf(kind)}/fhir`,
            credentials: { kind: "none" },
            transactions: "atomic",
            capabilities: capabilitiesOf[kind],
          };
          return Object.assign(entry, ignoresIfMatch ? {} : { honoursIfMatchOnDelete: true }, more);
        }),
      },
      { issuers: [issuerEntry(issuer)], policies: [{ name: "keyed-writer", body: policy }] },
      granted("system/*.cruds"),
    ),
  );
  const tokens = new Map<string, Promise<string>>();
  const tokenOf = (subject: string, scope = "system/*.cruds") => {
    const kept =
      tokens.get(`${subject} ${scope}`) ??
      outsideToken(issuer, certificate, {
        client_id: "app",
        sub: subject,
        scope,
        exp: Math.floor(Date.now() / 1_000) + 3_600,
      });
    tokens.set(`${subject} ${scope}`, kept);
    return kept;
  };
  return {
    door,
    trouble,
    written,
    async held(kind, type) {
      const server = servers.get(kind);
      if (server === undefined) throw new Error("there is no such origin");
      const answer = await server(new Request(`http://${hostOf(kind)}/fhir/${type}?_count=1000`));
      const { entry = [] } = await answer.json<{ readonly entry?: readonly { resource: Resource }[] }>();
      return entry.map(({ resource }) => resource);
    },
    async ask(
      kind,
      path,
      { method = "POST", body, key, headers = {}, subject = "someone", isFresh, scope } = {},
    ) {
      if (isFresh === true) tokens.clear();
      return askAs(
        door,
        certificate,
        await tokenOf(subject, scope),
        `${door.dev.gateway}/v1/fhir/${kind}/${path}`,
        {
          method,
          headers: {
            "content-type": method === "PATCH" ? "application/json-patch+json" : "application/fhir+json",
            ...(key !== undefined && { "idempotency-key": `"${key}"` }),
            ...headers,
          },
          ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
        },
      );
    },
    grant: (scope) =>
      door.applyRegistry(joined({ policies: [{ name: "keyed-writer", body: policy }] }, granted(scope))),
    async close() {
      await door.close();
      for (const end of ends) end();
    },
  };
}

/** The request as a server of this kind reads it: it ignores a condition that it does not know. */
function asKind(kind: OriginKind, request: Request): Request {
  const headers = new Headers(request.headers);
  if (kind === "plain") headers.delete("if-none-exist");
  headers.delete("if-none-match");
  return new Request(request, { headers });
}

export const observation = (patient = "amara", more: object = {}) => ({
  resourceType: "Observation",
  status: "final",
  code: { text: "pulse" },
  subject: { reference: `Patient/${patient}` },
  ...more,
});

export const noted = (text: string) => observation("amara", { note: [{ text }] });

/** The observations of an origin that have a note of this beginning. */
export const heldWith = async (world: KeyedWorld, kind: OriginKind, text: string) =>
  (await world.held(kind, "Observation")).filter((row) => JSON.stringify(row).includes(`"${text}`));

export const newKey = (): string => randomUUID();
