import { resolve } from "node:path";
import { Misuse } from "../misuse.ts";
import { readDevFile } from "./dev-file.ts";
import { closeConnections } from "./mutual-tls.ts";
import { signInByBrowser } from "./sign-in.ts";
import { ask, giveResult, say } from "../output.ts";
import { writePrivateFile } from "../private-file.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Signs an operator of a development stack in. Prints the address to open in a browser, and writes the access
 * token, bound to the operator's certificate, to a file that only its owner can read. Returns an exit code.
 */
export async function operatorSignIn(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, {
    state: { type: "string", default: ".phylax" },
    out: { type: "string" },
  });
  if (values.out === undefined) throw new Misuse();
  try {
    const dev = readDevFile(resolve(values.state));
    const officer = dev.officers.find((each) => each.id === id);
    if (officer === undefined)
      throw new Error(
        `no operator ${id} who signs in; choose from: ${dev.officers.map((each) => each.id).join(", ")}`,
      );
    const at = { ...officer.signIn, client: officer.client, scope: "openid operate" };
    const via = { ca: dev.ca, ops: dev.ops, operator: officer, say: ask };
    const { token } = await signInByBrowser(at, via);
    writePrivateFile(values.out, `${token}\n`);
    giveResult({ operator: id, file: values.out });
    say(`${values.out}: valid for five minutes, with ${id}'s certificate`);
    return 0;
  } finally {
    closeConnections();
  }
}
