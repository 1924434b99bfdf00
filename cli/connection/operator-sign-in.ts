import { Misuse } from "../misuse.ts";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { readDevFile, type DevFile, type DevOfficer } from "./dev-file.ts";
import { closeConnections, send, type Reply } from "./mutual-tls.ts";

const patienceMilliseconds = 300_000;

/**
 * Signs an operator of a development stack in. Prints the address to open in a browser, and writes the access
 * token, bound to the operator's certificate, to a file that only its owner can read. Returns an exit code.
 */
export async function operatorSignIn(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { state: { type: "string", default: ".phylax" }, out: { type: "string" } },
  });
  const [id, ...more] = positionals;
  if (id === undefined || values.out === undefined || more.length > 0) throw new Misuse();
  try {
    const dev = readDevFile(resolve(values.state));
    const officer = dev.officers.find((each) => each.id === id);
    if (officer === undefined)
      throw new Error(
        `no operator ${id} who signs in; choose from: ${dev.officers.map((each) => each.id).join(", ")}`,
      );
    writeFileSync(values.out, `${await signIn(dev, officer)}\n`, { mode: 0o600 });
    console.log(`${values.out}: valid for five minutes, with ${id}'s certificate`);
    return 0;
  } catch (fault) {
    console.error(fault instanceof Error ? fault.message : "not signed in");
    return 1;
  } finally {
    closeConnections();
  }
}

/** Authorization code with PKCE (RFC 7636), by a listener on this machine (RFC 8252 §7.3). */
async function signIn(dev: DevFile, officer: DevOfficer): Promise<string> {
  const { iss, acr, maxAgeSeconds } = officer.signIn;
  const about = await document(send(dev, undefined, `${iss}/.well-known/openid-configuration`));
  const [verifier, state] = [randomBytes(32).toString("base64url"), randomBytes(16).toString("base64url")];
  const callback = await listen(patienceMilliseconds);
  const address = new URL(String(about["authorization_endpoint"]));
  address.search = new URLSearchParams({
    client_id: officer.client,
    response_type: "code",
    redirect_uri: callback.uri,
    scope: "openid operate",
    resource: dev.ops,
    acr_values: acr.join(" "),
    max_age: String(maxAgeSeconds),
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    state,
  }).toString();
  console.log(`open in a browser: ${address.href}`);
  const answer = await callback.answer;
  // RFC 9700 §4.4.2, §4.7: refuses an answer to a different request, or from a different server.
  if (answer.get("state") !== state || answer.get("iss") !== iss)
    throw new Error("the browser's answer belongs to another sign-in: run the command again");
  const code = answer.get("code");
  if (code === null) throw new Error(`not signed in: ${answer.get("error") ?? "no code"}`);
  const form = {
    grant_type: "authorization_code",
    client_id: officer.client,
    redirect_uri: callback.uri,
    code,
    code_verifier: verifier,
  };
  const { access_token: token } = await document(
    send(dev, officer, String(about["token_endpoint"]), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(form).toString(),
    }),
  );
  return String(token);
}

async function document(reply: Promise<Reply>): Promise<Readonly<Record<string, unknown>>> {
  const { status, text } = await reply;
  if (status !== 200) throw new Error(`the identity provider answered ${status}`);
  const members: Readonly<Record<string, unknown>> = JSON.parse(text);
  return members;
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
