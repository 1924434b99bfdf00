import { Misuse } from "../misuse.ts";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { accessToken } from "./access-token.ts";
import { closeConnections } from "./mutual-tls.ts";
import { openDeployment } from "./deployment.ts";
import { giveResult, say } from "../output.ts";

/**
 * Prints an access token of a development client. The token lasts five minutes and is valid only with that
 * client's certificate, or with proofs of its key. Returns an exit code.
 */
export async function token(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      state: { type: "string", default: ".phylax" },
      purpose: { type: "string" },
      scope: { type: "string" },
    },
  });
  const [client, ...more] = positionals;
  if (client === undefined || more.length > 0) throw new Misuse();
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
