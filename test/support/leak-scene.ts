import type { ExpectStatic } from "vitest";
import type { Resource } from "@medplum/fhirtypes";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { startIgnoringOrigin, type IgnoringOrigin } from "./ignoring-origin.ts";
import { leakPolicy } from "./leak-policy.ts";
import { leakWorld } from "./leak-world.ts";
import { issuerEntry, joined, outsideClient, outsider, type Outsider, outsideToken } from "./outside.ts";
import { startDoor, type Door } from "./in-process/door.ts";

/** The two origins with the same rows: one answers as asked, the second ignores every question. */
export const origins = ["main", "ignoring"] as const;
export type OriginName = (typeof origins)[number];

/**
 * `app`: Ann's app, with `patient/*.cruds`. `reader`: Ann's app that only reads. `ben`: Ben's app. `staff`:
 * all rows. `user`: the signed-in user, by their relation to a patient.
 */
const scopes = {
  app: "patient/*.cruds",
  reader: "patient/*.rs",
  ben: "patient/*.rs",
  staff: "system/*.cruds",
  user: "user/*.rs",
} as const;
export type Who = keyof typeof scopes;
const patients: Partial<Record<Who, string>> = { app: "ann", reader: "ann", ben: "ben" };

/** The status and text of a refusal, without request ids. */
export const faceOf = ({ status, text }: Reply): readonly [number, string] => [
  status,
  text.replaceAll(/[0-9a-f]{32}/gu, "id"),
];

export interface LeakBundle {
  readonly total?: number;
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry?: readonly {
    readonly fullUrl: string;
    readonly resource: { readonly resourceType: string; readonly id: string };
    readonly search?: { readonly mode: string };
  }[];
}
export const bundleOf = ({ text }: Reply): LeakBundle => JSON.parse(text);

/** `Type/id` of each row, with `+` before an included row. */
export const rowsOf = (reply: Reply): readonly string[] =>
  (bundleOf(reply).entry ?? [])
    .map(
      ({ resource, search }) =>
        `${search?.mode === "include" ? "+" : ""}${resource.resourceType}/${resource.id}`,
    )
    .toSorted();

/** The observations that Ann's app may see. */
export const anns = ["Observation/holds", "Observation/odd", "Observation/pulse", "Observation/weight"];

/**
 * All workers, in this process, in front of two origins with the same rows, and clients with the same
 * policy.
 */
export interface LeakScene {
  readonly phylax: Door;
  readonly ignoring: IgnoringOrigin;
  readonly at: (origin: OriginName) => ReturnType<typeof atOrigin>;
  close(): Promise<void>;
}

export async function startLeakScene(): Promise<LeakScene> {
  const ignoring = await startIgnoringOrigin(leakWorld);
  const phylax = await startDoor({
    // strict R4, except elements that an origin would not check
    resources: leakWorld("https://origin.example/fhir") as Iterable<Resource>,
    originHosts: [new URL(ignoring.url).host],
  });
  const issuer = await outsider("https://leaks.example", "phylax");
  const certificates = new Map<string, CertificateFiles>();
  const entries = [];
  // Each origin has its own client, because a token's patient is a patient of one server.
  for (const origin of origins)
    for (const who of Object.keys(scopes) as Who[]) {
      const id = `${who}-${origin}`;
      const client = await outsideClient(phylax, issuer, id, { policy: "leaks", scopes: scopes[who] });
      certificates.set(id, client.certificate);
      const { grants, ...own } = client.entries;
      entries.push(own, { grants: grants.map((grant) => Object.assign(grant, { origin })) });
    }
  await phylax.applyRegistry(
    joined(
      {
        origins: [
          {
            name: "ignoring",
            url: ignoring.url,
            credentials: { kind: "none" },
            transactions: "atomic",
            honoursIfMatchOnDelete: true,
          },
        ],
        issuers: [issuerEntry(issuer)],
        policies: [{ name: "leaks", body: leakPolicy }],
      },
      ...entries,
    ),
  );
  return {
    phylax,
    ignoring,
    at: (origin) => atOrigin({ phylax, ignoring, issuer, certificates }, origin),
    async close() {
      await phylax.close();
      await ignoring.close();
    },
  };
}

interface SceneParts extends Pick<LeakScene, "phylax" | "ignoring"> {
  readonly issuer: Outsider;
  readonly certificates: ReadonlyMap<string, CertificateFiles>;
}

/** Asks at one of the origins. A path is relative to `base`, the FHIR base as clients call it, unless it is a whole URL. */
function atOrigin({ phylax, ignoring, issuer, certificates }: SceneParts, origin: OriginName) {
  const base = `${phylax.dev.gateway}/v1/fhir/${origin}`;
  const tokens = new Map<string, string>();

  /** Asks with the given claims: `scope`, `patient`, `fhirUser`. */
  async function askWith(
    who: Who,
    claims: Readonly<Record<string, unknown>>,
    path: string,
    sending: Sending = {},
  ): Promise<Reply> {
    const client = `${who}-${origin}`;
    const certificate = certificates.get(client);
    if (certificate === undefined) throw new Error("a client of this scene");
    const name = `${client} ${JSON.stringify(claims)}`;
    // A relative who signed in, unless the claims say who did: labels withhold no row from the individual.
    const user = claims["patient"] === undefined ? {} : { fhirUser: "RelatedPerson/relative" };
    const token =
      tokens.get(name) ??
      (await outsideToken(issuer, certificate, { client_id: client, ...user, ...claims }));
    tokens.set(name, token);
    const url = path.startsWith("https:") ? path : `${base}/${path}`;
    return send(phylax.dev, certificate, url, {
      ...sending,
      headers: { authorization: `Bearer ${token}`, ...sending.headers },
    });
  }

  const ask = (path: string, who: Who = "reader", sending: Sending = {}): Promise<Reply> =>
    askWith(who, { scope: scopes[who], patient: patients[who] }, path, sending);

  /** The requests that the origin got so far, in order, as `GET Patient/1`. */
  const asked = (): readonly string[] =>
    origin === "ignoring"
      ? ignoring.asked
      : phylax.forwarded.map((line) => decodeURIComponent(line.replace("/fhir/", "")));

  /** Fails unless each path is refused with one of the statuses before the origin gets a request. */
  async function expectRefused(
    expect: ExpectStatic,
    statuses: readonly number[],
    ...paths: readonly string[]
  ): Promise<void> {
    for (const path of paths) {
      const before = asked().length;
      const reply = await ask(path);
      expect(statuses, `${path} ${reply.status} ${reply.text}`).toContain(reply.status);
      expect(asked().slice(before), path).toEqual([]);
      expect(reply.text, path).not.toContain("canary");
    }
  }

  /** Fails unless each path is answered exactly as a path without a resource. */
  async function expectAbsent(
    expect: ExpectStatic,
    absent: string,
    ...paths: readonly string[]
  ): Promise<void> {
    const gone = faceOf(await ask(absent));
    expect(gone[0]).toBe(404);
    for (const path of paths) expect(faceOf(await ask(path)), path).toEqual(gone);
  }

  return { base, ask, askWith, asked, expectRefused, expectAbsent };
}
