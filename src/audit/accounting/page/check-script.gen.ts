// Made by scripts/accounting-script.ts from src/console/browser/check-accounting.ts.
export const checkScript = {
  "path": "check-accounting-f4aeb97f08b6733d.js",
  "integrity": "sha384-AmNQjfN+n17eStRkzuQd98+SmDjv67OmT4Hr37BfrDr0Me8iovocvsxr69yyubHP"
} as const;
