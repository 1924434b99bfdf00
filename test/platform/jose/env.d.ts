/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    /** C2SP/wycheproof json_web_signature_test.json, or nothing where it is not at hand. */
    WYCHEPROOF_JWS: string;
  }
}
