import type { ListedReview } from "#admin/tasks/review";
import type { ConsolePlaces } from "#console/ports";
import { texts } from "#console/texts";
import { reviewsPageMax } from "#registry/review-document";
import { momentText } from "#console/words";
import { ledgerAttributes } from "./ledger.tsx";
import { KeyForm } from "./key-form.tsx";
import { Badge, Table } from "./shell.tsx";
import { Banner, Done, Field, Labelled, StepForm } from "./parts.tsx";

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
          <UseFacts review={review} />,
          <CloseForm review={review} formToken={formToken} once={once()} />,
        ])}
        none={events.noReviews}
      />
      <OlderReviews state="open" page={open} />
      {closed.length === 0 ? undefined : (
        <details>
          <summary>{events.done(closed.length)}</summary>
          <Table
            caption={events.done(closed.length)}
            heads={[events.when, events.client, events.purpose, events.record, events.by, events.finding]}
            rows={closed.map((review) => [
              <time>{momentText(review.openedAt)}</time>,
              review.client,
              texts.purpose(review.purpose),
              <UseFacts review={review} />,
              review.closedBy ?? "",
              <div>
                <Badge tone={review.finding === "justified" ? "good" : "bad"}>
                  {events.findings[review.finding ?? "unjustified"]}
                </Badge>
                {review.note === null ? undefined : <p class="note">{review.note}</p>}
                <details>
                  <summary>{events.change}</summary>
                  <CloseForm review={review} formToken={formToken} once={once()} />
                </details>
              </div>,
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

/** The facts that an opened record fills in: one element, because a phone's card places a cell's children side by side. */
const UseFacts = ({ review: { id, requestId } }: { readonly review: ListedReview }) => (
  <div>
    <p data-use={id} data-request={requestId} class="note">
      {events.unopened}
    </p>
    <a href={`/console/why#${requestId}`}>{events.openRecord}</a>
  </div>
);

interface CloseFormProps {
  readonly review: ListedReview;
  readonly formToken: string;
  readonly once: string;
}

/** The finding with its note. The script sends it and stays on the page, so that a chosen key is kept. */
function CloseForm({ review, formToken, once }: CloseFormProps) {
  const { id, client, openedAt, closedAt } = review;
  return (
    <div data-close>
      <StepForm action="/console/events/close" formToken={formToken} fields={{ once, review: id }}>
        <Labelled
          label={events.note}
          id={`note-${id}`}
          name="note"
          maxlength={1_000}
          required={closedAt !== null}
        />
        {(["justified", "unjustified"] as const).map((finding) => (
          <button
            name="finding"
            value={finding}
            class={finding === "justified" ? "quiet" : "danger"}
            aria-label={`${events.findings[finding]}: ${client} ${momentText(openedAt)}`}
          >
            {events.findings[finding]}
          </button>
        ))}
      </StepForm>
      <p role="status" data-answer></p>
    </div>
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
