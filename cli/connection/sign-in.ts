import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { printable } from "../printable.ts";
import { send, type Reply } from "./mutual-tls.ts";

const patienceMilliseconds = 300_000;
const devicePollSeconds = 5; // RFC 8628 §3.2: without `interval`

/** The place where an operator signs in, and the client that signs in there. */
export interface SignInAt {
  readonly iss: string;
  readonly client: string;
  readonly scope: string;
  readonly acr: readonly string[];
  readonly maxAgeSeconds?: number | undefined;
}

/** An access token for the operators' door, bound to the operator's certificate. */
export interface SignedIn {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

interface Via {
  readonly ca: string | undefined;
  readonly ops: string;
  readonly operator: { readonly cert: string; readonly key: string };
  /** Prints a line for the person who signs in. */
  readonly say: (line: string) => void;
  /** Waits between two questions of the sign-in by device. */
  readonly wait?: (milliseconds: number) => Promise<unknown>;
}

/**
 * Signs an operator in by a browser on this machine: authorization code with PKCE (RFC 7636) and a listener on
 * loopback (RFC 8252 §7.3). The token endpoint gets the operator's certificate, so the token is bound to it
 * (RFC 8705 §3).
 */
export async function signInByBrowser(at: SignInAt, via: Via): Promise<SignedIn> {
  const about = await metadataOf(at.iss, via);
  const [verifier, state] = [randomBytes(32).toString("base64url"), randomBytes(16).toString("base64url")];
  const callback = await listen(patienceMilliseconds);
  const address = new URL(String(about["authorization_endpoint"]));
  const asked = {
    client_id: at.client,
    response_type: "code",
    redirect_uri: callback.uri,
    ...askedOf(at, via),
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    state,
  };
  for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
  via.say(printable(`open in a browser: ${address.href}`));
  const answer = await callback.answer;
  // RFC 9700 §4.4.2, §4.7: refuses an answer to a different request, or from a different server.
  const isOthers = answer.has("iss")
    ? answer.get("iss") !== at.iss
    : about["authorization_response_iss_parameter_supported"] === true;
  if (answer.get("state") !== state || isOthers)
    throw new Error("the browser's answer belongs to another sign-in: run the command again");
  const code = answer.get("code");
  if (code === null) throw new Error(`not signed in: ${answer.get("error") ?? "no code"}`);
  const form = {
    grant_type: "authorization_code",
    client_id: at.client,
    redirect_uri: callback.uri,
    code,
    code_verifier: verifier,
  };
  return tokenOf(await post(tokenEndpointOf(about), form, via));
}

/** Signs an operator in on a second device (RFC 8628), for machines without a browser. */
export async function signInByDevice(at: SignInAt, via: Via): Promise<SignedIn> {
  const about = await metadataOf(at.iss, via);
  const endpoint = about["device_authorization_endpoint"];
  if (typeof endpoint !== "string")
    throw new Error(`${at.iss} has no device sign-in (RFC 8628): leave --device out`);
  const started = await post(endpoint, { client_id: at.client, ...askedOf(at, via) }, via);
  const { device_code: device, user_code: user, verification_uri: page, expires_in: life } = started.members;
  if (typeof device !== "string" || typeof page !== "string")
    throw new Error(`the identity provider answered ${started.status}: ${String(started.members["error"])}`);
  via.say(printable(`open on any device: ${page} and type the code ${String(user)}`));
  let seconds = Number(started.members["interval"] ?? devicePollSeconds);
  const end = Date.now() + Math.min(Number(life ?? 300) * 1000, 1_800_000);
  const form = {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    client_id: at.client,
    device_code: device,
  };
  while (Date.now() < end) {
    await (via.wait ?? wait)(seconds * 1000);
    const answer = await post(tokenEndpointOf(about), form, via);
    const { error } = answer.members;
    if (error === "slow_down") seconds += 5; // RFC 8628 §3.5
    else if (error !== "authorization_pending") return tokenOf(answer);
  }
  throw new Error("the sign-in was not finished in time: run the command again");
}

const askedOf = ({ scope, acr, maxAgeSeconds }: SignInAt, { ops }: Via): Record<string, string> => ({
  scope,
  resource: ops,
  ...(acr.length > 0 && { acr_values: acr.join(" ") }),
  ...(maxAgeSeconds !== undefined && { max_age: String(maxAgeSeconds) }),
});

type Members = Readonly<Record<string, unknown>>;

/** The issuer's metadata: OpenID Connect Discovery, else RFC 8414. Its `issuer` must be the issuer itself. */
async function metadataOf(iss: string, via: Via): Promise<Members> {
  const { origin, pathname } = new URL(iss);
  const path = pathname.replace(/\/$/u, "");
  const places = [
    `${iss.replace(/\/$/u, "")}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  for (const place of places) {
    const { status, members } = membersOf(await send({ ca: via.ca }, undefined, place));
    if (status !== 200) continue;
    if (members["issuer"] === iss) return members;
    throw new Error(`${place} is of issuer ${String(members["issuer"])}, and not of ${iss}`);
  }
  throw new Error(`${iss} has no metadata: check the issuer`);
}

/** RFC 8705 §5: the endpoint that asks for certificates, where the issuer has two host names. */
function tokenEndpointOf(about: Members): string {
  const aliases = about["mtls_endpoint_aliases"];
  const alias: unknown =
    typeof aliases === "object" && aliases !== null ? Reflect.get(aliases, "token_endpoint") : undefined;
  return String(alias ?? about["token_endpoint"]);
}

interface Answered {
  readonly status: number;
  readonly members: Members;
}

async function post(url: string, form: Readonly<Record<string, string>>, via: Via): Promise<Answered> {
  return membersOf(
    await send({ ca: via.ca }, via.operator, url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(form).toString(),
    }),
  );
}

function membersOf({ status, text }: Reply): Answered {
  try {
    const members: Members = JSON.parse(text);
    return { status, members };
  } catch {
    return { status, members: {} };
  }
}

function tokenOf({ status, members }: Answered): SignedIn {
  const { access_token: token, expires_in: seconds, error } = members;
  if (status !== 200 || typeof token !== "string")
    throw new Error(
      `the identity provider answered ${status}: ${typeof error === "string" ? error : "no token"}`,
    );
  // RFC 6749 §5.1: `expires_in` is recommended only. Five minutes are the shortest usual life.
  return { token, until: Date.now() + (typeof seconds === "number" ? seconds : 300) * 1000 };
}

/** Waits for the browser to come back once. */
async function listen(
  milliseconds: number,
): Promise<{ readonly uri: string; readonly answer: Promise<URLSearchParams> }> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`; // a TCP server's address
  const answer = new Promise<URLSearchParams>((settle, fail) => {
    const late = setTimeout(
      () =>
        fail(
          new Error("the sign-in was not finished in the browser within five minutes: run the command again"),
        ),
      milliseconds,
    );
    server.on("request", (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", uri);
      if (pathname !== "/callback") return response.writeHead(404).end();
      response.writeHead(200, { "content-type": "text/plain" }).end("Done. Close this window.\n");
      clearTimeout(late);
      settle(searchParams);
    });
  }).finally(() => {
    server.close();
    server.closeAllConnections();
  });
  answer.catch(() => {}); // the caller that awaits it gets the error
  return { uri, answer };
}
