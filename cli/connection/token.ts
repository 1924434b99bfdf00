import { resolve } from "node:path";
import { accessToken } from "./access-token.ts";
import { closeConnections } from "./mutual-tls.ts";
import { openDeployment } from "./deployment.ts";
import { giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Prints an access token of a development client. The token lasts five minutes and is valid only with that
 * client's certificate, or with proofs of its key. Returns an exit code.
 */
export async function token(args: readonly string[]): Promise<number> {
  const { values, name: client } = readNamedCall(args, {
    state: { type: "string", default: ".phylax" },
    purpose: { type: "string" },
    scope: { type: "string" },
  });
  try {
    const place = openDeployment(resolve(values.state));
    const asked = { purpose: values.purpose, scope: values.scope };
    const text = await accessToken(place.deployment, place.client(client), asked);
    giveResult({ client, token: text });
    say(text);
    return 0;
  } finally {
    closeConnections();
  }
}
