// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-bf20537aabdea07f.js",
  "integrity": "sha384-rRcMcF/hP7RcfNRBL5kWh8rQlXCTHdkHao/J7gf0ARTP98kaHkvUHgW7UcDS0pXA"
} as const;
