import type { Child, JSX, PropsWithChildren } from "hono/jsx";
import { formTokenField } from "#console/form";
import { texts } from "#console/texts";

/** A line with a link. */
export const LinkLine = ({ href, children }: PropsWithChildren<{ readonly href: string }>) => (
  <p>
    <a href={href}>{children}</a>
  </p>
);

/** What a step has done. */
export const Done = ({ children }: PropsWithChildren) => (
  <p class="alert good" role="status">
    {children}
  </p>
);

/** A part of a page that does not answer. */
export const Missing = ({ part }: { readonly part: string }) => (
  <p class="alert warn">
    {part}: {texts.degraded.part}
  </p>
);

/** The line in which a script says how its work goes. */
export const Banner = ({ children }: PropsWithChildren) => (
  <p class="alert still" role="status" data-banner>
    {children}
  </p>
);

export const NoScript = ({ children }: PropsWithChildren) => (
  <noscript>
    <p class="alert warn">{children}</p>
  </noscript>
);

export const RequestId = ({ id }: { readonly id: string }) => (
  <p class="note">
    {texts.requestId} <code>{id}</code>
  </p>
);

type InputProps = JSX.IntrinsicElements["input"] & { readonly id: string; readonly label: string };

export const Labelled = ({ label, ...input }: InputProps) => (
  <>
    <label for={input.id}>{label}</label>
    <input {...input} />
  </>
);

/** A labelled input among the fields of a form. */
export const Field = (input: InputProps) => (
  <div>
    <Labelled {...input} />
  </div>
);

type ChoiceProps = PropsWithChildren<{
  readonly name: string;
  readonly value: string;
  readonly checked?: boolean;
}>;

/** A box to tick, with its words. */
export const Choice = ({ name, value, checked = false, children }: ChoiceProps) => (
  <p>
    <label class="choice">
      <input type="checkbox" name={name} value={value} checked={checked} /> {children}
    </label>
  </p>
);

interface HiddenProps {
  /** The token of the session, which proves that the form is of a page of this console. */
  readonly formToken: string;
  readonly fields: Readonly<Record<string, string | undefined>>;
}

/** The fields that a form of this session sends besides what a person types. */
export const Hidden = ({ formToken, fields }: HiddenProps) => (
  <>
    {Object.entries({ [formTokenField]: formToken, ...fields }).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
  </>
);

type StepFormProps = PropsWithChildren<HiddenProps & { readonly action: string }>;

/** A form of a single step. */
export const StepForm = ({ action, children, ...hidden }: StepFormProps) => (
  <form class="inline" method="post" action={action}>
    <Hidden {...hidden} />
    {children}
  </form>
);

/** A term and its description each. */
export const FactList = ({ rows }: { readonly rows: readonly (readonly [term: string, says: Child])[] }) => (
  <dl>
    {rows.map(([term, says]) => (
      <>
        <dt>{term}</dt>
        <dd>{says}</dd>
      </>
    ))}
  </dl>
);

/** JSON as a person reads it. */
export const JsonText = ({ value }: { readonly value: unknown }) => (
  <pre tabindex={0}>{JSON.stringify(value, undefined, 2)}</pre>
);

/** JSON under a title, to be compared with the JSON beside it. */
export const Side = ({ title, value }: { readonly title: string; readonly value: unknown }) => (
  <div>
    <h3>{title}</h3>
    <JsonText value={value} />
  </div>
);
