// The search for events: what it asks for stands in the page's address.
import type { JSX } from 'preact';
import type { CategoriesReply } from '../../api.ts';
import { filledIn } from '../form.ts';
import { count } from '../format.ts';
import { useQuery } from '../query.ts';
import { go, linkTo } from '../route.ts';

type Params = Readonly<Record<string, string>>;

export function EventSearch({ params }: { readonly params: Params }): JSX.Element {
  const { data } = useQuery<CategoriesReply>('categories');
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (event.currentTarget instanceof HTMLFormElement) go(linkOf(new FormData(event.currentTarget)));
  };
  return (
    <form class="search" role="search" aria-label="Events" onSubmit={submit}>
      <label class="field">
        <span>Category</span>
        <input
          name="category"
          list="categories"
          data-search
          autoComplete="off"
          spellcheck={false}
          defaultValue={params['category'] ?? ''}
          placeholder="any"
        />
        <datalist id="categories">
          {data?.categories.map(({ category, events }) => (
            <option key={category} value={category}>
              {count(events)} events
            </option>
          ))}
        </datalist>
      </label>
      <Field name="stream" label="Stream" params={params} placeholder="category:id" />
      <Field name="type" label="Type" params={params} placeholder="any" />
      <Field name="id" label="Event id" params={params} placeholder="stream@version, or its own" />
      <TimeField name="since" label="Since" params={params} />
      <TimeField name="until" label="Until" params={params} />
      <label class="field">
        <span>Order</span>
        <select name="order">
          <option value="" selected={params['order'] !== 'oldest'}>
            newest first
          </option>
          <option value="oldest" selected={params['order'] === 'oldest'}>
            oldest first
          </option>
        </select>
      </label>
      <div class="row">
        <button type="submit" class="primary">
          Find
        </button>
        {Object.keys(params).length > 0 && (
          <a class="button" href={linkTo('events')}>
            Clear
          </a>
        )}
      </div>
    </form>
  );
}

function Field(props: { readonly name: string; readonly label: string; readonly params: Params; readonly placeholder: string }): JSX.Element {
  const { name, label, params, placeholder } = props;
  return (
    <label class="field">
      <span>{label}</span>
      <input name={name} autoComplete="off" spellcheck={false} defaultValue={params[name] ?? ''} placeholder={placeholder} />
    </label>
  );
}

function TimeField({ name, label, params }: { readonly name: string; readonly label: string; readonly params: Params }): JSX.Element {
  const given = params[name];
  return (
    <label class="field time">
      <span>{label}</span>
      <input name={name} type="datetime-local" step="1" defaultValue={given === undefined ? '' : localOf(new Date(given))} />
    </label>
  );
}

/** As a field for a time has it: by the reader's clock, without a zone. */
function localOf(date: Date): string {
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString('sv-SE').replace(' ', 'T');
}

function linkOf(form: FormData): string {
  const text = (name: string): string => filledIn(form, name);
  const at = (name: string): string => (text(name) === '' ? '' : new Date(text(name)).toISOString());
  if (text('id') !== '') return linkTo('event', { id: text('id') });
  const rest = { type: text('type'), since: at('since'), until: at('until'), order: text('order') };
  // A stream names its category.
  return linkTo('events', text('stream') === '' ? { category: text('category'), ...rest } : { stream: text('stream'), ...rest });
}
