import { grantName } from "#audit/grant-name";
import type { ConsolePlaces } from "#console/ports";
import { reviewAsset } from "#console/review-script.gen";
import type { RegistryView } from "#console/registry-view";
import { texts } from "#console/texts";
import { KeyForm } from "./key-form.tsx";
import { ledgerAttributes } from "./ledger.tsx";
import { clientAddress } from "./registry.tsx";
import { Banner, Field, LinkLine } from "./parts.tsx";

const { registry, review } = texts;

interface AccessReviewPageProps {
  readonly view: RegistryView;
  readonly places: ConsolePlaces;
  readonly formToken: string;
  /** Of the policies, by name. */
  readonly digests: ReadonlyMap<string, string>;
}

/**
 * Every grant. The script fills the use of each in from the records, with the narrower policy and the button that
 * accepts it. The policies stand in the page for the script.
 */
export function AccessReviewPage({ view, places, formToken, digests }: AccessReviewPageProps) {
  const { grants = [], policies = [] } = view.registry;
  const granted = new Set(grants.map(({ policy }) => policy));
  return (
    <>
      <LinkLine href="/console/registry">{registry.title}</LinkLine>
      <h1>{review.title}</h1>
      <p>{review.intro}</p>
      <section data-review data-form={formToken} {...ledgerAttributes(places)}>
        <KeyForm action={review.find}>
          <Field
            label={review.days}
            id="review-days"
            type="number"
            min={0}
            max={2200}
            step="any"
            value={90}
            required
          />
        </KeyForm>
        <Banner>{review.before}</Banner>
        {policies
          .filter(({ name }) => granted.has(name))
          .map(({ name, body }) => (
            <code hidden data-policy={name}>
              {JSON.stringify(body)}
            </code>
          ))}
        {grants.map((grant) => (
          <article
            class="card"
            data-grant={grantName(grant)}
            data-client={grant.client}
            data-origin={grant.origin}
            data-purpose={grant.purpose}
            data-name={grant.policy}
            data-digest={digests.get(grant.policy) ?? ""}
          >
            <h2>
              <a href={clientAddress(grant.client)}>{grant.client}</a>{" "}
              <small>{review.forPurpose(grant.purpose, grant.origin)}</small>
            </h2>
            <dl class="facts">
              <div>
                <dt>{registry.policy}</dt>
                <dd>{grant.policy}</dd>
              </div>
              <div>
                <dt>{review.last}</dt>
                <dd data-last>–</dd>
              </div>
              <div>
                <dt>{review.uses}</dt>
                <dd data-uses>–</dd>
              </div>
            </dl>
            <div data-proposal></div>
            <p role="status" data-answer></p>
          </article>
        ))}
      </section>
      <script type="module" src={reviewAsset.path} integrity={reviewAsset.integrity}></script>
    </>
  );
}
