import { toBase64 } from "#ledger/bytes/base64";

/** A signature to check: `x` is the Ed25519 key in base64url, `digest` the SHA-256 of the message in base64. */
interface SignatureQuestion {
  readonly x: string;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly digest: string;
}

/** The code needs the verdict on a signature, and WebCrypto has not given it yet. */
class VerdictMissing extends Error {
  readonly question: SignatureQuestion;
  constructor(question: SignatureQuestion) {
    super("a signature is not checked yet");
    this.question = question;
  }
}

const verdicts = new Map<string, boolean>();
const verdictsMax = 200_000;

const nameOf = ({ x, signature, digest }: SignatureQuestion): string =>
  `${x} ${digest} ${toBase64(signature)}`;

/** WebCrypto's verdict on a signature. Throws when it is not known yet: `settled` then asks for it. */
export function provenSignature(question: SignatureQuestion): boolean {
  const verdict = verdicts.get(nameOf(question));
  if (verdict === undefined) throw new VerdictMissing(question);
  return verdict;
}

/**
 * The result of a function of the ledger's code. The ledger checks signatures at once, WebCrypto later: for a
 * missing verdict WebCrypto is asked, and the function runs again from its beginning.
 */
export async function settled<T>(work: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (fault) {
      if (!(fault instanceof VerdictMissing)) throw fault;
      await askWebCrypto(fault.question);
    }
  }
}

async function askWebCrypto(question: SignatureQuestion): Promise<void> {
  const { x, message, signature } = question;
  const jwk = { kty: "OKP", crv: "Ed25519", x };
  const key = await crypto.subtle.importKey("jwk", jwk, { name: "Ed25519" }, false, ["verify"]);
  const verdict = await crypto.subtle.verify(
    "Ed25519",
    key,
    Uint8Array.from(signature),
    Uint8Array.from(message),
  );
  if (verdicts.size >= verdictsMax) verdicts.clear();
  verdicts.set(nameOf(question), verdict);
}
