import { texts } from "#console/texts";
import { Message } from "./messages.tsx";
import { FactList, LinkLine } from "./parts.tsx";

const { signIn } = texts;

interface SignInPageProps {
  readonly operator: string;
  readonly issuer: string;
  readonly note: string | undefined;
}

/** The page before the sign-in: whose certificate it is, and the issuer that the browser will be sent to. */
export function SignInPage({ operator, issuer, note }: SignInPageProps) {
  return (
    <Message title={signIn.title}>
      {note === undefined ? undefined : (
        <p class="alert warn" role="status">
          {note}
        </p>
      )}
      <p>{signIn.intro}</p>
      <FactList
        rows={[
          [signIn.certificateOf, <strong>{operator}</strong>],
          [signIn.at, new URL(issuer).host],
        ]}
      />
      <p>
        <a class="button" href="/console/sign-in/begin">
          {signIn.go}
        </a>
      </p>
    </Message>
  );
}

export function SignedInPage() {
  return (
    <Message title={signIn.doneTitle} next="/console">
      <p>{signIn.done}</p>
      <LinkLine href="/console">{signIn.open}</LinkLine>
    </Message>
  );
}

interface SignedOutPageProps {
  readonly isPartial?: boolean;
  readonly next?: string | undefined;
}

/** `isPartial`: the session could not be denied. `next`: the end of the session at the issuer. */
export function SignedOutPage({ isPartial = false, next }: SignedOutPageProps) {
  return (
    <Message title={signIn.outTitle} next={next}>
      {isPartial ? <p role="alert">{signIn.outHere}</p> : <p>{signIn.out}</p>}
      {next === undefined ? undefined : (
        <LinkLine href={next}>{signIn.outThere(new URL(next).host)}</LinkLine>
      )}
      <LinkLine href="/console/sign-in">{signIn.retry}</LinkLine>
    </Message>
  );
}

export function SignInFailedPage({ why }: { readonly why: string }) {
  return (
    <Message title={signIn.failedTitle}>
      <p role="alert">{why}</p>
      <p>
        <a class="button" href="/console/sign-in">
          {signIn.retry}
        </a>
      </p>
    </Message>
  );
}
