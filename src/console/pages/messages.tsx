import type { PropsWithChildren } from "hono/jsx";
import type { VerbRefused, VisitRefused } from "#console/visit";
import { texts } from "#console/texts";
import { Shell } from "./shell.tsx";
import { LinkLine, RequestId } from "./parts.tsx";

/** A page with a heading and a few sentences, for visitors without a session. */
export function Message({
  title,
  next,
  children,
}: PropsWithChildren<{ readonly title: string; readonly next?: string | undefined }>) {
  return (
    <Shell title={title} next={next}>
      <div class="narrow">
        <h1>{title}</h1>
        {children}
      </div>
    </Shell>
  );
}

const { refused } = texts;

/** Texts for the reasons that an operator can act on; each further reason is about the certificate. */
const refusalTexts: Readonly<Partial<Record<VisitRefused["reason"], string>>> = {
  operator_unknown: refused.unknown,
  operator_suspended: refused.suspended,
  machine_has_no_console: refused.machine,
  sign_in_not_registered: refused.noSignIn,
  certificate_denied: refused.denied,
  client_denied: refused.denied,
  proof_key_denied: refused.denied,
  key_denied: refused.denied,
  token_denied: refused.denied,
};

/** Why the visitor of a page is refused, and the next step. The text is coarser than the operators' records. */
export const refusalText = (reason: VisitRefused["reason"]): string =>
  refusalTexts[reason] ?? refused.certificate;

export function RefusedPage({ text, requestId }: { readonly text: string; readonly requestId: string }) {
  return (
    <Message title={refused.title}>
      <p>{text}</p>
      <RequestId id={requestId} />
    </Message>
  );
}

/** No page, or no entry, at this address. `Refused` pages have no navigation; this content stands in any frame. */
export function MissingContent() {
  return (
    <>
      <h1>{refused.missingTitle}</h1>
      <p>{refused.missing}</p>
      <LinkLine href="/console">{refused.home}</LinkLine>
    </>
  );
}

export function MissingPage() {
  return (
    <Shell title={refused.missingTitle}>
      <div class="narrow">
        <MissingContent />
      </div>
    </Shell>
  );
}

/** A part that the page needs does not answer. */
export function DegradedPage({ requestId }: { readonly requestId: string }) {
  const { title, text } = texts.degraded;
  return (
    <Message title={title}>
      <p role="alert">{text}</p>
      <RequestId id={requestId} />
      <LinkLine href="/console">{refused.home}</LinkLine>
    </Message>
  );
}
/** The words of the operators' API about a step that it refused. */
export function VerbRefusal({ refusal }: { readonly refusal: VerbRefused }) {
  return (
    <>
      <h1>{refused.verbTitle}</h1>
      <RefusalAlert refusal={refusal} />
    </>
  );
}

/** The same, above a form that a person corrects. */
export function RefusalAlert({
  refusal: { status, title, detail, pointer, reason, requestId },
}: {
  readonly refusal: VerbRefused;
}) {
  return (
    <div class="alert bad" role="alert">
      <p>
        <strong>{refused.verb}</strong> {title}
      </p>
      {detail === undefined && pointer === undefined ? undefined : (
        <p>
          {pointer === undefined ? undefined : <code>{pointer}</code>} {detail}
        </p>
      )}
      <p class="note">
        {status} · {texts.requestId} <code>{requestId}</code>
        {reason === undefined ? undefined : <code> · {reason}</code>}
      </p>
    </div>
  );
}
