// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-8db5d62f2c12b5bc.js",
  "integrity": "sha384-ToXmGiEUOWnp8IsC8ojI2Gf45SC5JXkhWEAJMAlsmItpJm1N3aIWdy9T8qi7o0qs"
} as const;
