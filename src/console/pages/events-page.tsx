import type { ListedReview } from "#admin/tasks/review";
import type { ConsolePlaces } from "#console/ports";
import { texts } from "#console/texts";
import { reviewsPageMax } from "#registry/review-document";
import { momentText } from "#console/words";
import { ledgerAttributes } from "./ledger.tsx";
import { KeyForm } from "./key-form.tsx";
import { Badge, Table } from "./shell.tsx";
import { Banner, Done, Field, StepForm } from "./parts.tsx";

const { events } = texts;

interface EventsPageProps {
  /** A page of the open reviews, and a page of the closed ones. */
  readonly open: readonly ListedReview[];
  readonly closed: readonly ListedReview[];
  /** A review was closed just now. */
  readonly isClosed: boolean;
  readonly formToken: string;
  readonly once: () => string;
  readonly places: ConsolePlaces;
}

/** The reviews to close, and the events that an auditor's key opens. */
export function EventsPage({ open, closed, isClosed, formToken, once, places }: EventsPageProps) {
  return (
    <>
      <h1>{events.title}</h1>
      <p class="links">
        <a href="/console/events/breach">{texts.breach.title}</a>
      </p>
      {isClosed ? <Done>{events.closed}</Done> : undefined}
      <h2>{events.reviews}</h2>
      <p>{events.reviewsNote}</p>
      <Table
        caption={events.reviews}
        heads={[events.when, events.client, events.purpose, events.record, events.finding]}
        rows={open.map((review) => [
          <time>{momentText(review.openedAt)}</time>,
          review.client,
          texts.registry.grantOf(review.purpose, review.origin),
          // one element, because the cells of a phone's card place their children side by side
          <div>
            <p data-use={review.id} data-request={review.requestId} class="note">
              {events.unopened}
            </p>
            <a href={`/console/why#${review.requestId}`}>{events.openRecord}</a>
          </div>,
          <div class="steps">
            {(["justified", "unjustified"] as const).map((finding) => (
              <StepForm
                action="/console/events/close"
                formToken={formToken}
                fields={{ once: once(), review: review.id }}
              >
                <button
                  name="finding"
                  value={finding}
                  class={finding === "justified" ? "quiet" : "danger"}
                  aria-label={`${events.findings[finding]}: ${review.client} ${momentText(review.openedAt)}`}
                >
                  {events.findings[finding]}
                </button>
              </StepForm>
            ))}
          </div>,
        ])}
        none={events.noReviews}
      />
      <OlderReviews state="open" page={open} />
      {closed.length === 0 ? undefined : (
        <details>
          <summary>{events.done(closed.length)}</summary>
          <Table
            caption={events.done(closed.length)}
            heads={[events.when, events.client, events.purpose, events.by, events.finding]}
            rows={closed.map(({ openedAt, client, purpose, closedBy, finding }) => [
              <time>{momentText(openedAt)}</time>,
              client,
              texts.purpose(purpose),
              closedBy ?? "",
              <Badge tone={finding === "justified" ? "good" : "bad"}>
                {finding === "justified" || finding === "unjustified"
                  ? events.findings[finding]
                  : (finding ?? "")}
              </Badge>,
            ])}
          />
          <OlderReviews state="closed" page={closed} />
        </details>
      )}
      <h2>{events.changes}</h2>
      <p>{events.changesNote}</p>
      <section data-events {...ledgerAttributes(places)}>
        <KeyForm action={events.open}>
          <Field
            label={events.filter}
            id="events-filter"
            size={36}
            maxlength={200}
            autocomplete="off"
            spellcheck={false}
          />
        </KeyForm>
        <Banner>{events.before}</Banner>
        <div data-results></div>
      </section>
    </>
  );
}

interface OlderReviewsProps {
  readonly state: "open" | "closed";
  readonly page: readonly ListedReview[];
}

/** The way to the next page of reviews, behind a full page. */
function OlderReviews({ state, page }: OlderReviewsProps) {
  const last = page.at(-1);
  if (last === undefined || page.length < reviewsPageMax) return undefined;
  return (
    <p class="links">
      <a href={`/console/events?${state}-after=${last.id}`}>{events.olderReviews}</a>
    </p>
  );
}
