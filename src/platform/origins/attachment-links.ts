import { createCipheriv, createDecipheriv } from "node:crypto";
import type { AttachmentLinks, LinkHolder } from "#fhir/ports";
import type { KeyList } from "#kernel/key-list";
import { utf8 } from "#kernel/encoded";
import { hmacSha256, sha256 } from "#ledger/bytes/hash";

const version = 1;
const [nonceBytes, tagBytes, digestBytes] = [12, 16, 16];

/**
 * The links in place of attachments' URLs, sealed with AES-256-GCM: `base64url(version u8 | nonce[12] | ciphertext |
 * tag)` of a digest of the URL and the row. The additional data name the client and user that the link is for. The
 * nonce is a keyed hash of all that is sealed, so that equal rows have equal links and the tag of an answer stands. The
 * first key seals; a link of any key opens.
 */
export function attachmentLinks(list: KeyList): AttachmentLinks {
  const [first, ...others] = list.map((secret) => {
    const derived = (name: string) => hmacSha256(secret.reveal(), utf8(`phylax attachment ${name} 1`));
    return { cipher: derived("cipher"), nonce: derived("nonce") };
  });
  if (first === undefined) throw new Error("no key seals links");
  return {
    linkTo(row, url, holder) {
      const bound = boundTo(holder);
      const place = Buffer.concat([digestOf(url), utf8(row)]);
      const nonce = hmacSha256(first.nonce, Buffer.concat([bound, place])).subarray(0, nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", first.cipher, nonce).setAAD(bound);
      const sealed = [cipher.update(place), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat([Buffer.of(version), nonce, ...sealed]).toString("base64url");
    },
    placeOf(link, holder) {
      const bytes = Buffer.from(link, "base64url");
      const isOne =
        bytes[0] === version &&
        bytes.length > 1 + nonceBytes + digestBytes + tagBytes &&
        bytes.toString("base64url") === link; // a link has a single spelling
      if (!isOne) return undefined;
      const [nonce, sealed, tag] = [
        bytes.subarray(1, 1 + nonceBytes),
        bytes.subarray(1 + nonceBytes, -tagBytes),
        bytes.subarray(-tagBytes),
      ];
      for (const { cipher } of [first, ...others]) {
        const opening = createDecipheriv("aes-256-gcm", cipher, nonce)
          .setAAD(boundTo(holder))
          .setAuthTag(tag);
        const place = opening.update(sealed);
        try {
          opening.final();
        } catch {
          continue; // sealed by another key, for another caller, or altered
        }
        const digest = place.subarray(0, digestBytes);
        const row = place.subarray(digestBytes).toString();
        return { row, isOf: (url) => digestOf(url).equals(digest) };
      }
      return undefined;
    },
  };
}

const digestOf = (url: string) => Buffer.from(sha256(utf8(url)).subarray(0, digestBytes));

const boundTo = ({ client, origin, purpose, patient, user }: LinkHolder): Uint8Array =>
  utf8(
    JSON.stringify(["phylax attachment", version, client, origin, purpose, patient ?? null, user ?? null]),
  );
