import { isPrivateUrl } from "#fhir/loopback";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Misuse, UnusableFile } from "../misuse.ts";
import { publicKeysIn } from "../log/ledger-keys.ts";
import { closeConnections, send } from "../connection/mutual-tls.ts";
import { profileFile, readProfile, writeProfile, writeToken, type Profile } from "../connection/profile.ts";
import { signInByBrowser, signInByDevice } from "../connection/sign-in.ts";
import { ask, giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

const text = { type: "string" } as const;
const options = {
  ops: text,
  cert: text,
  key: text,
  operator: text,
  ca: text,
  gateway: text,
  origin: text,
  ledger: text,
  keys: text,
  issuer: text,
  "client-id": text,
  scope: text,
  acr: { type: "string", multiple: true },
  "max-age": text,
  device: { type: "boolean", default: false },
} as const;

type Values = {
  readonly [name in Exclude<keyof typeof options, "acr" | "device">]?: string | undefined;
} & { readonly acr?: readonly string[] | undefined };

/**
 * Writes a profile, or changes the named members of a profile that exists, and signs its operator in if the
 * profile has an issuer. Returns 0 when the door answered, and the operator is signed in where needed.
 */
export async function login(args: readonly string[]): Promise<number> {
  const { values, name } = readNamedCall(args, options);
  try {
    const profile = await changed(before(name, values), name, values);
    await answers(profile);
    writeProfile(name, profile);
    say(`${profileFile(name)}: operator ${profile.operator.id} at ${profile.ops}`);
    const about = { profile: name, operator: profile.operator.id, ops: profile.ops };
    if (profile.signIn === undefined) {
      giveResult(about);
      return 0;
    }
    const signIn = values.device ? signInByDevice : signInByBrowser;
    const signedIn = await signIn(profile.signIn, {
      ca: profile.ca,
      ops: profile.ops,
      operator: profile.operator,
      say: ask,
    });
    writeToken(name, signedIn);
    const until = new Date(signedIn.until).toISOString();
    giveResult({ ...about, signedInUntil: until });
    say(`signed in until ${until}`);
    return 0;
  } finally {
    closeConnections();
  }
}

/** The profile as it is; with --ops a new profile. */
function before(name: string, { ops, cert, key, operator }: Values): Profile {
  if (ops === undefined) return readProfile(name);
  if (cert === undefined || key === undefined)
    throw new Misuse("a new profile needs --ops, --cert and --key");
  const id = operator ?? commonNameOf(cert);
  return { ops: urlOf(ops, "ops"), operator: { id, cert: resolve(cert), key: resolve(key) } };
}

async function changed(profile: Profile, name: string, values: Values): Promise<Profile> {
  const { issuer, "client-id": client, "max-age": maxAge } = values;
  if (issuer === undefined && profile.signIn === undefined && client !== undefined)
    throw new Misuse("--client-id belongs to an issuer: name it with --issuer");
  if (maxAge !== undefined && !/^\d{1,6}$/u.test(maxAge)) throw new Misuse("--max-age is in seconds");
  const at = { ...profile.signIn, ...(issuer !== undefined && { iss: issuer }) };
  const signIn = at.iss !== undefined && {
    signIn: {
      iss: urlOf(at.iss, "issuer"),
      client: client ?? at.client ?? "operators",
      scope: values.scope ?? at.scope ?? "openid operate",
      acr: values.acr ?? at.acr ?? [],
      ...(maxAge === undefined ? {} : { maxAgeSeconds: Number(maxAge) }),
    },
  };
  const operator = {
    id: values.operator ?? profile.operator.id,
    cert: resolve(values.cert ?? profile.operator.cert),
    key: resolve(values.key ?? profile.operator.key),
  };
  requirePair(operator);
  const ca = values.ca === undefined ? profile.ca : resolve(values.ca);
  const base = {
    ...profile,
    operator,
    ...signIn,
    ...(ca !== undefined && { ca }),
    ...(values.ledger !== undefined && { ledger: urlOf(values.ledger, "ledger") }),
    ...(values.keys !== undefined && publicKeysIn(values.keys)),
  };
  return values.gateway === undefined
    ? base
    : { ...base, ...(await gatewayOf(urlOf(values.gateway, "gateway"), values.origin ?? "main", ca, name)) };
}

/** Reads the addresses of a gateway from its metadata (RFC 8414). */
async function gatewayOf(gateway: string, origin: string, ca: string | undefined, name: string) {
  const { status, text: body } = await send(
    { ca },
    undefined,
    `${gateway}/.well-known/oauth-authorization-server`,
  );
  if (status !== 200) throw new Error(`${gateway} is no gateway: its metadata answered ${status}`);
  const about: {
    readonly issuer?: string;
    readonly token_endpoint?: string;
    readonly mtls_endpoint_aliases?: { readonly token_endpoint?: string };
  } = JSON.parse(body);
  const tokenEndpoint = about.mtls_endpoint_aliases?.token_endpoint ?? about.token_endpoint;
  if (about.issuer === undefined || tokenEndpoint === undefined)
    throw new Error(`${gateway} has no issuer or token endpoint in its metadata: check --gateway of ${name}`);
  const fhir = `${new URL(tokenEndpoint).origin}/v1/fhir/${encodeURIComponent(origin)}`;
  return { gateway, issuer: about.issuer, tokenEndpoint, fhir };
}

/** Throws if the operators' door does not answer over this certificate. */
async function answers({ ops, ca, operator }: Profile): Promise<void> {
  const { status } = await send({ ca }, operator, `${ops}/healthz`);
  if (status !== 200) throw new Error(`${ops}/healthz answered ${status}: check --ops`);
}

function requirePair({ cert, key }: Profile["operator"]): void {
  const certificate = certificateIn(cert);
  let isPair: boolean;
  try {
    isPair = certificate.checkPrivateKey(createPrivateKey(readFileSync(key)));
  } catch {
    throw new UnusableFile(`${key} cannot be read as a private key: --key is a PEM file without a password`);
  }
  if (!isPair) throw new UnusableFile(`${key} is not the key of ${cert}`);
  if (certificate.validToDate < new Date()) throw new UnusableFile(`${cert} ended on ${certificate.validTo}`);
}

function certificateIn(file: string): X509Certificate {
  try {
    return new X509Certificate(readFileSync(file));
  } catch {
    throw new UnusableFile(`${file} cannot be read as a certificate: --cert is a PEM file`);
  }
}

const commonNameOf = (cert: string): string =>
  /^CN=(.+)$/mu.exec(certificateIn(cert).subject)?.[1] ?? "operator";

function urlOf(given: string, option: string): string {
  const url = URL.parse(given);
  if (url === null || !isPrivateUrl(url))
    throw new Misuse(`--${option} is an https:// URL, and not ${given}`);
  return given.replace(/\/$/u, "");
}
