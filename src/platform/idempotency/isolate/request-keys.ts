import { createHash } from "node:crypto";
import type { ClaimAnswer, KeyClaim, KeyEnd } from "#limits/idempotency";
import { inTime } from "#platform/deadlines";
import { pastReset } from "#platform/past-reset";
import type { KeyedRequest, RequestClaim, RequestKeys } from "#limits/request-keys";

interface Keys {
  claim(keyHash: string, call: KeyClaim): Promise<ClaimAnswer>;
  sending(keyHash: string, attempt: string, content: string, milliseconds: number): Promise<boolean>;
  ended(keyHash: string, attempt: string, end: KeyEnd): Promise<void>;
}

interface NamedKeys {
  getByName(name: string): Keys;
}

// The number of objects among which the keys of a client are divided. A changed number forgets keys.
const objectsOfHolder = 16;

/** The keys in the Durable Objects of their clients. `newId`: 128 random bits as text. */
export function requestKeys(objects: NamedKeys, newId: () => string): RequestKeys {
  return {
    async claim(request: KeyedRequest): Promise<RequestClaim> {
      const hash = hashOf("phylax request key v1", request.caller, request.key);
      const keyHash = hash.toString("base64url");
      // It has the key itself, so that a stored fingerprint confirms no guess at a request.
      const fingerprint = hashOf(
        "phylax keyed request v1",
        request.caller,
        request.key,
        request.request,
      ).toString("base64url");
      const name = `${request.holder} ${(hash[0] ?? 0) % objectsOfHolder}`;
      const attempt = newId();
      const ask = <T>(call: (keys: Keys) => Promise<T>) => asked(() => objects.getByName(name), call);
      const answer = await ask((keys) => keys.claim(keyHash, { attempt, fingerprint }));
      if (answer.kind !== "claimed") return answer;
      return {
        kind: "claimed",
        attempt: {
          name: hashOf("phylax keyed write v1", request.caller, request.key, String(answer.since)).toString(
            "hex",
          ),
          earlier: answer.earlier,
          async sending(content, milliseconds) {
            const mine = await ask((keys) => keys.sending(keyHash, attempt, content, milliseconds));
            if (!mine) throw new Error("another attempt has the idempotency key");
          },
          ended: (end) => ask((keys) => keys.ended(keyHash, attempt, end)),
        },
      };
    },
  };
}

/** SHA-256 over texts, each with its length: no two lists of texts are one text. */
function hashOf(...texts: readonly string[]): Buffer {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:${text}`);
  return hash.digest();
}

const asked = <T>(stub: () => Keys, call: (keys: Keys) => Promise<T>): Promise<T> =>
  inTime("requestKeys", () => pastReset(stub, call));
