import type { Schemas } from "@/api/client";
import { strings } from "@/strings";

interface Props {
  readonly catalogs: readonly Schemas["CatalogView"][];
  readonly value: string;
  readonly onChange: (name: string) => void;
}

export function CatalogField({ catalogs, value, onChange }: Props) {
  return (
    <label className="field">
      <span>{strings.order.catalog}</span>
      <select className="input" value={value} onChange={(event) => onChange(event.target.value)}>
        {catalogs.map(({ name }) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}
