// `npm run code [-- STATE]`: prints the present second factor of the sandbox's first operator.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Entrances } from "./hints.ts";
import { totp } from "./identity-provider/totp.ts";

const state = resolve(process.env["INIT_CWD"] ?? ".", process.argv[2] ?? ".phylax");
const { officers } = JSON.parse(readFileSync(`${state}/dev.json`, "utf8")) as Pick<Entrances, "officers">;
for (const { login, totp: secret } of officers.slice(0, 1))
  console.log(`${login} ${totp(secret, Date.now())}`);
