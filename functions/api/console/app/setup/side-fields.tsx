import type { JSX } from 'preact';
import type { GivenSide } from '../../../../../shared/client/given-side.ts';
import type { FieldErrors } from '../field-errors.ts';
import { SelectField, TextField } from '../parts/field.tsx';

/** The form of one database, as text. */
export type SideForm = {
  readonly as: 'parts' | 'url';
  readonly url: string;
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly user: string;
  readonly keptIn: 'here' | 'secret';
  readonly password: string;
  readonly secret: string;
  readonly tls: '' | 'disable' | 'require' | 'verify-full';
};

export const emptySide: SideForm = {
  as: 'parts',
  ...{ url: '', host: '', port: '5432', database: '', user: '' },
  ...{ keptIn: 'here', password: '', secret: '', tls: 'require' },
};

/** What the API gets of a form. What was left empty is left out: the API says what is missing. */
export function sideOf(form: SideForm): GivenSide {
  const { as, url, host, port, database, user, keptIn, password, secret, tls } = form;
  const given = Object.entries(
    as === 'url' ? { url: url.trim() } : { host: host.trim(), database: database.trim(), user: user.trim() },
  );
  return {
    ...Object.fromEntries(given.filter(([, text]) => text !== '')),
    ...(as === 'parts' && port !== '' ? { port: Number(port) } : {}),
    ...(keptIn === 'here' && password !== '' ? { password } : {}),
    ...(keptIn === 'secret' && secret !== '' ? { secret: secret.trim() } : {}),
    ...(as === 'parts' && tls !== '' ? { tls } : {}),
  };
}

type Props = {
  readonly side: 'a' | 'b';
  readonly title: string;
  readonly lead: string;
  readonly form: SideForm;
  readonly onChange: (form: SideForm) => void;
  /** Of this side, paths without its own. */
  readonly errors: FieldErrors;
};

export function SideFields({ side, title, lead, form, onChange, errors }: Props): JSX.Element {
  const set =
    <Name extends keyof SideForm>(name: Name) =>
    (value: string) =>
      onChange({ ...form, [name]: value as SideForm[Name] });
  return (
    <fieldset class="card side-fields">
      <legend>
        <span class="side-mark" aria-hidden="true">
          {side}
        </span>
        {title}
      </legend>
      <p class="muted">{lead}</p>
      <SelectField
        label="Give it as"
        value={form.as}
        onChange={set('as')}
        options={[
          { value: 'parts', text: 'Host, database and user' },
          { value: 'url', text: 'Connection URL' },
        ]}
      />
      {form.as === 'url' ? (
        <TextField
          label="URL"
          path="url"
          mono
          errors={errors}
          value={form.url}
          onChange={set('url')}
          placeholder="postgres://user@host:5432/database?sslmode=require"
          hint="Leave the password out here: it has a field of its own."
        />
      ) : (
        <>
          <div class="host-port">
            <TextField
              label="Host"
              path="host"
              errors={errors}
              value={form.host}
              onChange={set('host')}
              placeholder={`db-${side}.example.com`}
            />
            <TextField
              label="Port"
              path="port"
              type="number"
              min={1}
              max={65535}
              errors={errors}
              value={form.port}
              onChange={set('port')}
            />
          </div>
          <TextField
            label="Database"
            path="database"
            errors={errors}
            value={form.database}
            onChange={set('database')}
          />
          <TextField label="User" path="user" errors={errors} value={form.user} onChange={set('user')} />
          <SelectField
            label="TLS"
            path="tls"
            errors={errors}
            value={form.tls}
            onChange={set('tls')}
            options={[
              { value: 'verify-full', text: 'Verify the certificate (verify-full)' },
              { value: 'require', text: 'Require TLS' },
              { value: 'disable', text: 'No TLS' },
            ]}
          />
        </>
      )}
      <SelectField
        label="Password"
        value={form.keptIn}
        onChange={set('keptIn')}
        options={[
          { value: 'here', text: 'Type it; it goes to the secret store' },
          { value: 'secret', text: 'It is in a secret already' },
        ]}
      />
      {form.keptIn === 'here' ? (
        <TextField
          label={`Password of side ${side}`}
          path="password"
          type="password"
          autocomplete="new-password"
          errors={errors}
          value={form.password}
          onChange={set('password')}
          hint="Stored encrypted at once, and never shown again."
        />
      ) : (
        <TextField
          label="Secret"
          path="secret"
          mono
          errors={errors}
          value={form.secret}
          onChange={set('secret')}
          hint="ARN of a Secrets Manager secret, or local:NAME on the local platform."
        />
      )}
    </fieldset>
  );
}
