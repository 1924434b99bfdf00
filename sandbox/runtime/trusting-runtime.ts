import { existsSync, readFileSync } from "node:fs";
import { writeWhole } from "../keys.ts";
import type * as runtime from "./runtime.ts";

const variable = "NODE_EXTRA_CA_CERTS";

/**
 * The runtime, with workers that also trust servers of the sandbox's own authority, so that those servers may
 * run on this machine. Miniflare reads additional authorities once, when it is loaded, from the file in
 * NODE_EXTRA_CA_CERTS. `bundle` is written for that, with the authorities of the earlier value. A second
 * stack in one process trusts the first stack's authority.
 */
export async function runtimeThatTrusts(ca: string, bundle: string): Promise<typeof runtime> {
  const said = process.env[variable];
  const others = said !== undefined && existsSync(said) ? readFileSync(said, "utf8") : "";
  writeWhole(bundle, `${others}\n${readFileSync(ca, "utf8")}`);
  process.env[variable] = bundle;
  try {
    return await import("./runtime.ts");
  } finally {
    // No child process may read it: the state may be deleted by then.
    if (said === undefined) delete process.env[variable];
    else process.env[variable] = said;
  }
}
