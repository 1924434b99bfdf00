import { totp } from "./identity-provider/totp.ts";

/** The part of `dev.json` that names the ways into the system. */
export interface Entrances {
  readonly ledger: string;
  readonly console: string;
  readonly officers: readonly {
    readonly cert: string;
    readonly login: string;
    readonly password: string;
    /** Secret of the second factor (RFC 6238) in base32. */
    readonly totp: string;
  }[];
}

/**
 * The commands that `npm start` suggests, and the way into the console. `folder` is the state folder, from the folder
 * where they will be typed. `at`: milliseconds since 1970, of the printed code.
 */
export function hints(
  { ledger, console: address, officers: [officer] }: Entrances,
  folder: string,
  at: number,
): readonly string[] {
  const isDefault = folder === ".phylax"; // the command looks there without --state
  return [
    `ledger: ${ledger}   verify it: npx --no phylax ledger verify ${ledger} --keys ${folder}/dev.json`,
    isDefault
      ? "a token: npx --no phylax token telehealth   what to try: README.md"
      : `a token: npx --no phylax token telehealth --state ${folder}   ` +
        `what to try: README.md, with ${folder} for .phylax`,
    ...(officer === undefined
      ? []
      : [
          `console: ${address}   certificate for the browser: ${officer.cert} (docs/console.md)`,
          `  login: ${officer.login}   password: ${officer.password}   code: ${totp(officer.totp, at)} ` +
            `(a later code: npm run code${isDefault ? "" : ` -- ${folder}`})`,
        ]),
  ];
}
