// Made by scripts/accounting-script.ts from src/console/browser/check-accounting.ts.
export const checkScript = {
  "path": "check-accounting-437e43bc2ea2492c.js",
  "integrity": "sha384-I3Mjl0TFZE/DhjsyUI/A5Q1cBr5zbvpPpCTLaqxJkQH0h8GzGJBvkJALGdl+ldH+"
} as const;
