/**
 * The commands that `npm start` suggests. `folder` is the state folder, from the folder where they will be
 * typed.
 */
export function hints(ledger: string, folder: string): readonly string[] {
  const isDefault = folder === ".phylax"; // the command looks there without --state
  return [
    `ledger: ${ledger}   verify it: npx --no phylax ledger verify ${ledger} --keys ${folder}/dev.json`,
    isDefault
      ? "a token: npx --no phylax token telehealth   what to try: README.md"
      : `a token: npx --no phylax token telehealth --state ${folder}   ` +
        `what to try: README.md, with ${folder} for .phylax`,
  ];
}
