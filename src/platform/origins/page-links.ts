import type { PageBinding, PageLinks, PagePlace } from "#fhir/ports";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import type { KeyList } from "#kernel/key-list";
import { wholeSteps } from "#kernel/whole-steps";

// Long enough to read a page and go on, but short enough to make a link in an old log useless.
const lifeMilliseconds = 900_000;
// Version 1, which an earlier deployment sealed, opens too.
const [version, earlierVersion] = [2, 1];
const [nonceBytes, tagBytes] = [12, 16];
// Hidden rows decide where in the origin's list a page begins, and whether its place is a row or an origin page.
// The link's length must show neither. A key of a row has at most 129 characters.
const [placeStep, rowStep] = [1_024, 256];
// The origin's link may repeat the question, so each place has room for a second question. A text of this length
// fits in a URL of 16,000 characters (gateway/admission). A longer text has room for 1,024 bytes.
const paddedBytesMax = 11_264;

/**
 * The links to further pages, sealed with AES-256-GCM: `base64url(version u8 | nonce[12] | ciphertext |
 * tag)`. The additional data name the client and user that the link is for. Nonces are random: a key is good
 * for 2^32 links (NIST SP 800-38D §8.3), then PAGING_KEY must be changed. The first key seals; a link of any
 * key opens.
 */
export function pageLinks(keys: KeyList): PageLinks {
  const importKey = (secret: KeyList[0]) =>
    crypto.subtle.importKey("raw", secret.reveal(), "AES-GCM", false, ["encrypt", "decrypt"]);
  return {
    async seal({ question, posted, part = 0, link, after, seen }, binding, at) {
      const expires = at + lifeMilliseconds;
      const known = utf8Length(JSON.stringify([question, posted, null, null, 0, expires]));
      const place = padded(
        JSON.stringify([
          question,
          posted,
          link === undefined ? null : shortLink(link, question),
          after ?? null,
          seen,
          expires,
          part,
        ]),
        { known, question, after },
      );
      const nonce = crypto.getRandomValues(new Uint8Array(nonceBytes));
      const sealed = await crypto.subtle.encrypt(
        parameters(nonce, binding, version),
        await importKey(keys[0]),
        place,
      );
      return Buffer.concat([Buffer.of(version), nonce, new Uint8Array(sealed)]).toString("base64url");
    },
    async open(text, binding, at) {
      const bytes = Buffer.from(text, "base64url");
      // A link has a single spelling: a text that decodes to the same bytes but differs was changed.
      const isOne =
        bytes.toString("base64url") === text &&
        (bytes[0] === version || bytes[0] === earlierVersion) &&
        bytes.length > 1 + nonceBytes + tagBytes;
      if (!isOne) return err({ reason: "page_link_malformed" });
      const nonce = Uint8Array.from(bytes.subarray(1, 1 + nonceBytes));
      const sealed = Uint8Array.from(bytes.subarray(1 + nonceBytes));
      const openWith = async (secret: KeyList[0]) =>
        crypto.subtle
          .decrypt(parameters(nonce, binding, bytes[0]), await importKey(secret), sealed)
          .catch(() => undefined);
      let opened: ArrayBuffer | undefined;
      for (const secret of keys) opened ??= await openWith(secret);
      if (opened === undefined) return err({ reason: "page_link_mismatch" });
      const { place, expires } = read(new TextDecoder().decode(opened));
      return at < expires ? ok(place) : err({ reason: "page_link_expired" });
    },
  };
}

/**
 * Adds white space, which JSON allows. The length of facts that the reader does not know is rounded up to whole
 * steps: of `after`, and of the remaining facts beyond `known` bytes. The first step of the remaining facts has
 * room for a second question.
 */
function padded(
  text: string,
  {
    known,
    question,
    after,
  }: { readonly known: number; readonly question: string; readonly after: string | undefined },
): Uint8Array {
  const row = after === undefined ? 0 : utf8Length(JSON.stringify(after));
  const length = utf8Length(text);
  const first = Math.max(
    placeStep,
    Math.min(utf8Length(JSON.stringify(question)) + placeStep, paddedBytesMax - known - rowStep),
  );
  const rest = length - known - row;
  const place = rest <= first ? first : first + wholeSteps(rest - first, placeStep);
  return new TextEncoder().encode(text + " ".repeat(known + wholeSteps(row, rowStep) + place - length));
}

const utf8Length = (text: string) => new TextEncoder().encode(text).length;

function parameters(
  iv: Uint8Array<ArrayBuffer>,
  { client, origin, path, purpose, policyDigest, patient, user }: PageBinding,
  sealedIn: number | undefined,
) {
  const bound = JSON.stringify([
    "phylax page",
    sealedIn,
    client,
    origin,
    path,
    purpose,
    policyDigest,
    patient ?? null,
    user ?? null,
  ]);
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(bound) };
}

/** A link of the origin: the place before its query, and each parameter or its number in the question. */
type ShortLink = readonly [place: string, ...parameters: (string | number)[]];

/**
 * A link whose parameters that repeat the question are numbers: a link that repeats a long question is not longer
 * than a link of an origin that remembers the question.
 */
function shortLink(link: string, question: string): ShortLink {
  const at = link.indexOf("?") + 1;
  const repeated = new Map(spellings(question).map((text, number) => [text, number]));
  const parameters = link.slice(at).split("&");
  return [link.slice(0, at), ...parameters.map((parameter) => repeated.get(parameter) ?? parameter)];
}

function wholeLink([place, ...parameters]: ShortLink, question: string): string {
  const texts = spellings(question);
  const whole = parameters.map((parameter) => {
    const text = typeof parameter === "number" ? texts[parameter] : parameter;
    if (text === undefined) throw new Error("a sealed link has a parameter that its question lacks");
    return text;
  });
  return place + whole.join("&");
}

/** The parameters of a question in each encoding that servers write. The order is part of the sealed format. */
const spellings = (question: string): readonly string[] =>
  question.split("&").flatMap((parameter) => {
    const form = new URLSearchParams(parameter);
    const plain = [...form].map((pair) => pair.join("=").toWellFormed()).join("&");
    const percent = [...form].map((pair) => pair.map((text) => escaped(text)).join("=")).join("&");
    return [parameter, form.toString(), percent, encodeURI(plain), encodeURI(plain).replaceAll("%7C", "|")];
  });

const escaped = (text: string) => encodeURIComponent(text.toWellFormed());

type Sealed = [
  question: string,
  posted: boolean,
  /** A text in version 1. */
  link: ShortLink | string | null,
  after: string | null,
  seen: number,
  expires: number,
  /** An earlier version wrote none. */
  part?: number | string,
];

function read(text: string) {
  // The text is authenticated: this deployment wrote it, or an earlier deployment.
  const [question, posted, link, after, seen, expires, part = 0] = JSON.parse(text) as Sealed;
  const place: PagePlace = {
    question,
    posted,
    ...(part !== 0 && { part }),
    link: link === null ? undefined : typeof link === "string" ? link : wholeLink(link, question),
    after: after ?? undefined,
    seen,
  };
  return { place, expires: instant(expires) };
}
