import { texts } from "#console/texts";
import { Message } from "./messages.tsx";

const { signIn } = texts;

/** The page before the sign-in: whose certificate it is, and the issuer that the browser will be sent to. */
export function SignInPage({
  operator,
  issuer,
  note,
}: {
  readonly operator: string;
  readonly issuer: string;
  readonly note: string | undefined;
}) {
  return (
    <Message title={signIn.title}>
      {note === undefined ? undefined : (
        <p class="alert warn" role="status">
          {note}
        </p>
      )}
      <p>{signIn.intro}</p>
      <dl>
        <dt>{signIn.certificateOf}</dt>
        <dd>
          <strong>{operator}</strong>
        </dd>
        <dt>{signIn.at}</dt>
        <dd>{new URL(issuer).host}</dd>
      </dl>
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
      <p>
        <a href="/console">{signIn.open}</a>
      </p>
    </Message>
  );
}

/** `isPartial`: the session could not be denied. `next`: the end of the session at the issuer. */
export function SignedOutPage({
  isPartial = false,
  next,
}: {
  readonly isPartial?: boolean;
  readonly next?: string | undefined;
}) {
  return (
    <Message title={signIn.outTitle} next={next}>
      {isPartial ? <p role="alert">{signIn.outHere}</p> : <p>{signIn.out}</p>}
      {next === undefined ? undefined : (
        <p>
          <a href={next}>{signIn.outThere(new URL(next).host)}</a>
        </p>
      )}
      <p>
        <a href="/console/sign-in">{signIn.retry}</a>
      </p>
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
