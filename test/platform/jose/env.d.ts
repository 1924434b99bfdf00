/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    /** Vectors of C2SP/wycheproof (json_web_signature_test, …_key_…, …_crypto_…), or nothing where they are not at hand. */
    WYCHEPROOF_JWS: string;
    WYCHEPROOF_JWK: string;
    WYCHEPROOF_CRYPTO: string;
  }
}
