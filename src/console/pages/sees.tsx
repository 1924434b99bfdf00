import type { Result } from "#kernel/result";
import type { ShownGrant } from "#console/registry-view";
import { texts } from "#console/texts";
import type { SeenElement, SeenSample } from "#console/what-it-sees";
import { Badge, Table } from "./shell.tsx";
import { LinkLine, Side } from "./parts.tsx";
import { clientAddress } from "./registry.tsx";

const { sees } = texts;

const tones = { shown: "good", removed: "bad", changed: "warn", added: "still" } as const satisfies Readonly<
  Record<SeenElement["fate"], string>
>;

/** What a grant lets its client see, element by element, beside samples before and after. */
export function SeesPage({
  grant: { client, purpose, origin, policy, scopes },
  samples,
}: {
  readonly grant: ShownGrant;
  readonly samples: Result<readonly SeenSample[], string>;
}) {
  return (
    <>
      <LinkLine href={clientAddress(client)}>{client}</LinkLine>
      <h1>{sees.title(client)}</h1>
      <p>{sees.intro(purpose, origin, policy)}</p>
      <p class="note">
        {texts.registry.scopes}: <code>{scopes}</code>
      </p>
      {samples.ok ? (
        samples.value.map((sample) => <Sample {...sample} />)
      ) : (
        <p class="alert bad">{samples.error}</p>
      )}
    </>
  );
}

function Sample({ type, kept, before, after, elements }: SeenSample) {
  return (
    <section>
      <h2>{type}</h2>
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
