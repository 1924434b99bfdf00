import { existsSync, readFileSync } from "node:fs";
import { writeWhole } from "../keys.ts";
import type * as runtime from "./runtime.ts";

const variable = "NODE_EXTRA_CA_CERTS";

/** The certificates that Miniflare read when this process loaded it. */
let read: string | undefined;

/**
 * The runtime, with workers that also trust servers of the authority `ca`, so that those servers may run on
 * this machine. Miniflare reads additional authorities once, when it is loaded, from the file in
 * NODE_EXTRA_CA_CERTS. `bundle` is written for that, with the authorities of the earlier value. The runtime
 * of a later stack in this process needs `authorities`, if Miniflare has not read its authority.
 */
export async function runtimeThatTrusts(
  ca: string,
  bundle: string,
): Promise<Pick<typeof runtime, "startRuntime"> & { readonly authorities?: readonly string[] }> {
  const said = process.env[variable];
  const others = said !== undefined && existsSync(said) ? readFileSync(said, "utf8") : "";
  const own = readFileSync(ca, "utf8");
  const certificates = `${others}\n${own}`;
  writeWhole(bundle, certificates);
  read ??= certificates;
  process.env[variable] = bundle;
  try {
    const { startRuntime } = await import("./runtime.ts");
    return { startRuntime, ...(!read.includes(own) && { authorities: [certificates] }) };
  } finally {
    // No child process may read it: the state may be deleted by then.
    if (said === undefined) delete process.env[variable];
    else process.env[variable] = said;
  }
}
