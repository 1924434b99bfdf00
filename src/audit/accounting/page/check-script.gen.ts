// Made by scripts/accounting-script.ts from src/console/browser/check-accounting.ts.
export const checkScript = {
  "path": "check-accounting-a7a6ec3b4133fc32.js",
  "integrity": "sha384-5MVXr/NRp2g1zRQSJ9E2Mb+C/hLssX0kiAVXypHwbSzy9jGlfzVaT7jxWhA9zigm"
} as const;
