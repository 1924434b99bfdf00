import type { Result } from "#kernel/result";
import type { ShownGrant } from "#console/registry-view";
import { texts } from "#console/texts";
import type { GrantedRows } from "#authoring/granted-types";
import type { Seen, SeenElement, SeenSample } from "#console/what-it-sees";
import { Badge, Table } from "./shell.tsx";
import { LinkLine, Side } from "./parts.tsx";
import { clientAddress } from "./registry.tsx";

const { sees } = texts;

const tones = {
  shown: "good",
  partly: "warn",
  removed: "bad",
  changed: "warn",
  added: "still",
} as const satisfies Readonly<Record<SeenElement["fate"], string>>;

/** What a grant lets its client see: all types and elements, then samples before and after. */
export function SeesPage({
  grant: { client, purpose, origin, policy, scopes },
  seen,
}: {
  readonly grant: ShownGrant;
  readonly seen: Result<Seen, string>;
}) {
  return (
    <>
      <LinkLine href={clientAddress(client)}>{client}</LinkLine>
      <h1>{sees.title(client)}</h1>
      <p>{sees.intro(purpose, origin, policy)}</p>
      <p class="note">
        {texts.registry.scopes}: <code>{scopes}</code>
      </p>
      {seen.ok ? (
        <>
          <h2>{sees.granted}</h2>
          <p class="note">{sees.grantedNote}</p>
          <Table
            caption={sees.granted}
            heads={[sees.type, sees.rows, sees.may, sees.element]}
            rows={seen.value.granted.map(grantedRow)}
            none={sees.noType}
          />
          <h2>{sees.samples}</h2>
          <p class="note">{sees.samplesNote}</p>
          {seen.value.samples.map((sample) => (
            <Sample {...sample} />
          ))}
        </>
      ) : (
        <p class="alert bad">{seen.error}</p>
      )}
    </>
  );
}

const grantedRow = ({ type, interactions, conditions, referredBy, elements }: GrantedRows) => [
  type,
  [
    conditions.join("; ") || (referredBy.length === 0 ? sees.allRows : ""),
    referredBy.length > 0 && sees.openedBy(referredBy.join(", ")),
  ]
    .filter(Boolean)
    .join("; "),
  interactions.join(", "),
  // one line behind the next would be twenty screens
  <div>
    {elements.map(({ path, why }, i) => (
      <>
        {i === 0 ? "" : ", "}
        <code>{path}</code>
        {why === "" ? "" : ` (${why})`}
      </>
    ))}
  </div>,
];

function Sample({ type, kept, before, after, elements }: SeenSample) {
  return (
    <section>
      <h3>{type}</h3>
      {after === undefined ? (
        <p class="alert still">
          {sees.nothing} {kept.join("; ")}
        </p>
      ) : (
        <>
          <Table
            caption={type}
            heads={[sees.element, sees.fate, sees.why]}
            rows={elements.map(({ path, fate, why }) => [
              <code>{path}</code>,
              <Badge tone={tones[fate]}>{sees.fates[fate]}</Badge>,
              why,
            ])}
          />
          <details>
            <summary>{sees.sample(type)}</summary>
            <div class="columns">
              <Side title={texts.approvals.before} value={before} />
              <Side title={texts.approvals.after} value={after} />
            </div>
          </details>
        </>
      )}
    </section>
  );
}
