// Made by scripts/accounting-script.ts from src/console/browser/check-accounting.ts.
export const checkScript = {
  "path": "check-accounting-d40cb4b038bb2c5f.js",
  "integrity": "sha384-aDTclNMALEixdkHSu035mbHQGup8QIvXPCLrwXwVJP4q9d5U5kv0R6dBKN0HLTOE"
} as const;
