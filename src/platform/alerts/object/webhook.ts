import { serializeInnerList, serializeItem, type BareItem } from "structured-headers";
import type { PostFailure } from "#audit/alerts/message";
import { answerBase } from "#identity/answer-signature";
import { epochSeconds, type Instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { contentDigest } from "#platform/keys/answer-signer";
import { parametersOf } from "#platform/keys/import-key";
import type { SigningKey } from "#platform/keys/signing-key";

/** The time of a receiver, from the connection to the status. */
const patienceMilliseconds = 10_000;

/** Tells this signature apart from signatures that an intermediary may add. */
const webhookTag = "phylax-alert";

/**
 * Posts a message, signed by RFC 9421 over method, URL, type and digest (RFC 9530). Undefined: the receiver took it, by
 * a status of 2xx in time. A redirect is not followed: the signed URL and its https would mean nothing.
 */
export async function post(
  url: string,
  text: string,
  key: SigningKey,
  at: Instant,
): Promise<PostFailure | undefined> {
  const body = utf8(text);
  const headers = { "content-type": "application/json", "content-digest": contentDigest([body]) };
  const covered = [["@method", "POST"], ["@target-uri", url], ...Object.entries(headers)] as const;
  const parameters = new Map<string, BareItem>([
    ["created", epochSeconds(at)],
    ["keyid", key.kid],
    ["tag", webhookTag],
  ]);
  const input = serializeInnerList([
    covered.map(([name]) => [name ?? "", new Map<string, BareItem>()]),
    parameters,
  ]);
  const parts = covered.map(([name = "", value = ""]) => ({ name, req: false, value }));
  const signed = await crypto.subtle.sign(
    parametersOf[key.algorithm],
    key.privateKey,
    utf8(answerBase(parts, input)),
  );
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "signature-input": `sig=${input}`, signature: `sig=${serializeItem(signed)}` },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(patienceMilliseconds),
    });
    await response.body?.cancel();
    return response.ok ? undefined : response.status;
  } catch (fault) {
    // the fault may quote the URL, which may have a secret of the receiver
    return fault instanceof Error && fault.name === "TimeoutError" ? "late" : "unreachable";
  }
}
