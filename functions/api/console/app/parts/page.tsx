import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { announce } from '../announce.ts';

let first = true;

type Props = {
  readonly title: string;
  /** Links to what stands above it. */
  readonly trail?: readonly { readonly name: string; readonly to: string }[];
  readonly aside?: ComponentChildren;
  readonly lead?: ComponentChildren;
  readonly children: ComponentChildren;
};

/** A page: names the document, and takes the focus to its heading when one comes from another page. */
export function Page({ title, trail = [], aside, lead, children }: Props): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · pgtwin`;
  }, [title]);
  // A title that changes later takes no focus
  useEffect(() => {
    if (!first) {
      heading.current?.focus();
      announce(title);
    }
    first = false;
  }, []);
  return (
    <>
      {trail.length > 0 && (
        <nav class="trail" aria-label="Breadcrumb">
          <ol>
            {trail.map(({ name, to }) => (
              <li key={to}>
                <a href={to}>{name}</a>
              </li>
            ))}
          </ol>
        </nav>
      )}
      <div class="page-head">
        <div>
          <h1 tabIndex={-1} ref={heading}>
            {title}
          </h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {aside && <div class="page-aside">{aside}</div>}
      </div>
      {children}
    </>
  );
}
