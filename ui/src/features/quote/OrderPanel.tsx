import { useState } from "react";
import { answered, api } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { faultOf } from "@/area/validity";
import { Note } from "@/kit/Note";
import { presets, spell, type Season } from "@/season/presets";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { CatalogField } from "./CatalogField";
import { ModelField } from "./ModelField";
import { QuoteCard } from "./QuoteCard";
import { SeasonField } from "./SeasonField";

/** What is to be mapped, of when, by which model, and what that takes. */
export function OrderPanel() {
  const { area, areaName, set } = useView();
  const models = useFetched("models", (signal) => answered(api.GET("/api/v1/models", { signal })));
  const catalogs = useFetched("catalogs", (signal) => answered(api.GET("/api/v1/catalogs", { signal })));
  const [season, setSeason] = useState<Season>(() => firstSeason());
  const [model, setModel] = useState("");
  const [catalog, setCatalog] = useState("");
  const chosen = models.data?.find((one) => `${one.name}/${one.version}` === model) ?? models.data?.[0];
  if (area === null || faultOf(area) !== undefined) {
    return (
      <div className="stack">
        <h2>{strings.order.title}</h2>
        <p className="lead">{strings.order.noArea}</p>
        <button type="button" className="button button-primary" onClick={() => set({ panel: "area" })}>{strings.order.toArea}</button>
      </div>
    );
  }
  const order = chosen && { area, name: areaName, season, model: `${chosen.name}/${chosen.version}`, catalog: catalog || (catalogs.data?.[0]?.name ?? "") };
  return (
    <div className="stack stack-wide">
      <h2>{strings.order.title}</h2>
      {models.error && <Note tone="bad" action={<button type="button" className="button" onClick={models.again}>{strings.app.retry}</button>}>{strings.app.noApi}</Note>}
      {models.data?.length === 0 && <Note tone="plain">{strings.order.noModels}</Note>}
      {models.data && chosen && <ModelField models={models.data} chosen={chosen} onChange={setModel} />}
      <SeasonField season={season} onChange={setSeason} />
      {catalogs.data && catalogs.data.length > 1 && <CatalogField catalogs={catalogs.data} value={catalog} onChange={setCatalog} />}
      {order && <QuoteCard key={`${order.model} ${spell(season)}`} order={order} />}
    </div>
  );
}

function firstSeason(): Season {
  const today = new Date().toISOString().slice(0, 10);
  return presets(today)[0] ?? { start: today, end: today };
}
